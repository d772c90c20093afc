//! Descriptor tables: the GDT and the task-state segment of the crate `x86_64`, and an IDT of our own. The runtime does
//! not care whose types they are: it reads back from the processor what it needs.

use core::cell::UnsafeCell;

use panic_smp::{CpuIndex, entry};
use x86_64::VirtAddr;
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::registers::segmentation::{CS, SS, Segment};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

use crate::registers::{INTERRUPT_GATE, segment};
use crate::{CPUS, PANIC};

#[derive(Clone, Copy)]
#[repr(C)]
struct Gate(u64, u64);

/// What each CPU has for itself.
struct Own {
    task_state: TaskStateSegment,
    descriptors: GlobalDescriptorTable,
}

struct Shared<T>(UnsafeCell<T>);

// SAFETY: `IDT` is written by the first CPU before any other runs, element i of `OWN` by CPU i in `load`, once.
unsafe impl<T> Sync for Shared<T> {}

static IDT: Shared<[Gate; 256]> = Shared(UnsafeCell::new([Gate(0, 0); 256]));
static OWN: [Shared<Own>; CPUS] = [const {
    Shared(UnsafeCell::new(Own {
        task_state: TaskStateSegment::new(),
        descriptors: GlobalDescriptorTable::new(),
    }))
}; CPUS];

/// Fills the IDT: a gate of the runtime for each exception, on the interrupt stack that it names.
pub fn prepare() {
    // SAFETY: one CPU runs, and the table is not loaded yet.
    let gates = unsafe { &mut *IDT.0.get() };
    for exception in entry::exceptions() {
        let address = exception.address;
        let low = address & 0xffff
            | u64::from(segment::CODE) << 16
            | u64::from(exception.ist) << 32
            | INTERRUPT_GATE << 40
            | (address & 0xffff_0000) << 32;
        gates[usize::from(exception.vector)] = Gate(low, address >> 32);
    }
}

/// Loads the tables of `cpu`, on it. From here on its panics and exceptions are reported.
pub fn load(cpu: CpuIndex) {
    let Some(stacks) = PANIC.interrupt_stacks(cpu) else { panic!("{cpu} is one too many") };
    // SAFETY: this CPU's own, which nothing has referred to so far.
    let own: &'static mut Own = unsafe { &mut *OWN[cpu.as_usize()].0.get() };
    // IST 1 is element 0 here: the crate counts from zero, the processor and the runtime from one.
    for (slot, top) in [stacks.nmi, stacks.double_fault, stacks.machine_check].into_iter().enumerate() {
        own.task_state.interrupt_stack_table[slot] = VirtAddr::new(top);
    }
    let code = own.descriptors.append(Descriptor::kernel_code_segment());
    let data = own.descriptors.append(Descriptor::kernel_data_segment());
    let task = own.descriptors.append(Descriptor::tss_segment(&own.task_state));
    own.descriptors.load();
    let idt = DescriptorTablePointer {
        limit: (size_of_val(&IDT) - 1) as u16,
        base: VirtAddr::from_ptr(IDT.0.get()),
    };
    // SAFETY: the tables live for ever; the selectors are those of the table just loaded, and code and data are where the
    // boot table had them; each gate is absent or leads to an entry of the runtime.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        load_tss(task);
        lidt(&idt);
    }
}
