//! The first CPU, from its first Rust code to the firmware's `main`.

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use boot_handoff::Framebuffer;
use firmware_tables::{Cpu, Fadt, Hpet, Madt, Tables, UNUSED_CPU, Warning};
use panic_smp::{CpuIndex, Image, Runtime, SetupError};

use super::{
    apic::LocalApic,
    clock::{self, Timers},
    console,
    cpu::{self, Capabilities, CpuTables},
    directory, image, interrupts, io_apic,
    loader::{self, Loaded},
    memory::{BOOT_LIMIT, BootMemory, BootView},
    others, pic, reset, trampoline,
};
use crate::{
    Entry, Machine, VgaText,
    init_sipi::Stage,
    left_armed,
    memory_map::{self, Region, Taken},
    multiboot::Information,
    paging::{self, Attributes, GuardedStacks, Mapping},
    phase::Phase,
    println,
    registers::{apic, page},
};

unsafe extern "Rust" {
    // SAFETY: `entry!` defines it with this type, and never changes it.
    safe static APPLIANCE_RT_HAS_NO_MAIN_declare_one_with_appliance_rt_entry: Entry;
}

/// The longest command line that is kept.
const COMMAND_LINE: usize = 1024;
/// The most regions of the memory map that are kept.
const REGIONS: usize = 128;
/// The most modules that are kept clear of.
const MODULES: usize = 16;
/// The most CPUs that are read from the MADT: what a panic runtime can hold.
pub const CPUS: usize = 1024;

/// Written once by the first CPU, before any other runs.
struct Once<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: one writer, before there is a reader: see `publish`.
unsafe impl<T: Sync> Sync for Once<T> {}

/// What all CPUs share.
struct Shared {
    machine: Machine,
    tables: *mut [CpuTables],
    enabled: &'static [bool],
    stack_words: &'static [AtomicU64],
    entered: u64,
}

// SAFETY: each CPU reaches its own tables alone, see `tables`.
unsafe impl Sync for Shared {}

static SHARED: Once<Shared> = Once(UnsafeCell::new(MaybeUninit::uninit()));

fn publish(shared: Shared) -> &'static Shared {
    // SAFETY: called once, by the first CPU, while no other runs; the reference is shared from then on.
    unsafe { (*SHARED.0.get()).write(shared) }
}

fn get() -> &'static Shared {
    // SAFETY: `publish` ran before any caller: before the first CPU left the boot stack, and before any other started.
    unsafe { (*SHARED.0.get()).assume_init_ref() }
}

/// The machine and the firmware's part, for a CPU that was started.
pub fn shared() -> (&'static Machine, &'static Entry) {
    (&get().machine, &APPLIANCE_RT_HAS_NO_MAIN_declare_one_with_appliance_rt_entry)
}

/// The descriptor tables of `cpu`, for that CPU alone.
pub fn tables(cpu: CpuIndex) -> Option<*mut CpuTables> {
    let all = get().tables;
    // SAFETY: the index is inside the slice that the pointer is of.
    (cpu.as_usize() < all.len()).then(|| unsafe { all.cast::<CpuTables>().add(cpu.as_usize()) })
}

pub fn warn(warning: Warning) {
    println!("appliance-rt: {warning}");
}

/// Called by `start.S` on the boot stack. From `interrupts::prepare` on, a panic here is reported like any other.
pub extern "C" fn boot(magic: u32, information: u32) -> ! {
    let entered = clock::now();
    interrupts::prepare();
    let loaded = loader::read(magic, information);
    let rsdp = loaded.as_ref().ok().and_then(|loaded| loader::quiet_rsdp(&loaded.handoff, COMMAND_LINE));
    let console = console::start(rsdp);
    let entry = &APPLIANCE_RT_HAS_NO_MAIN_declare_one_with_appliance_rt_entry;
    // SAFETY: both are the image's, for ever.
    entry.runtime.set_image(Image {
        base: image::start(),
        end: image::end(),
        build_id_note: image::build_id(),
    });
    assert!(image::is_whole(), "the loader did not copy the whole image to where it belongs");
    pic::mask();

    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}"),
    };
    let shared = publish(survey(&loaded, console, entered));
    let machine = &shared.machine;
    if let Err(error) = entry.runtime.declare_cpus(machine.apic_ids) {
        panic!("{error}");
    }
    let Some(stack) = machine.stack(CpuIndex(0)) else { unreachable!("CPU 0 has a stack") };
    unsafe extern "C" {
        fn change_stack(top: u64) -> !;
    }
    // SAFETY: the stack is mapped, unused, and 16-byte aligned. Nothing on the boot stack is needed any more.
    unsafe { change_stack(stack.end) }
}

/// Everything that is found out, chosen and laid out before there is a [`Machine`].
fn survey(loaded: &Loaded, console: console::Start, entered: u64) -> Shared {
    let handoff = &loaded.handoff;
    let entry = &APPLIANCE_RT_HAS_NO_MAIN_declare_one_with_appliance_rt_entry;
    let Some(information) = Information::at(&BootView, handoff.information) else {
        panic!("the Multiboot information is not in memory");
    };
    let mut map = heapless::Vec::<Region, REGIONS>::new();
    for region in information.memory_map() {
        if map.push(region).is_err() {
            println!("appliance-rt: more than {REGIONS} memory regions: the rest is left alone");
            break;
        }
    }
    let mut taken = heapless::Vec::<Taken, { MODULES + 2 }>::new();
    // There is room for these, and for the trampoline page below.
    let _ = taken.push(image::all());
    for module in information.modules().take(MODULES) {
        let _ = taken.push(module);
    }
    let trampoline = memory_map::trampoline_page(&map, &taken);

    // The loader's information lies in free memory: it is copied out of the way of what is given away below.
    let mut line = heapless::Vec::<u8, COMMAND_LINE>::new();
    let _ = line.extend_from_slice(information.command_line(COMMAND_LINE));

    let Some(free) = memory_map::largest_free(&map, &taken, (1 << 20)..BOOT_LIMIT) else {
        panic!("no free memory below 4 GiB in the memory map");
    };
    let mut cpus = [UNUSED_CPU; CPUS];
    let rsdp = loader::rsdp(&line, handoff.rsdp, warn);
    let tables = rsdp.map(|rsdp| Tables::new(&BootView, rsdp, warn_of_cpus));
    let tables = tables.as_ref();
    let found = read_madt(tables, &mut cpus, &map);
    let fadt = tables.and_then(|tables| tables.open(Fadt::SIGNATURE, Fadt::new, warn));
    let hpet = tables.and_then(|tables| tables.open(Hpet::SIGNATURE, Hpet::new, warn));
    if let Some(fadt) = &fadt {
        fadt.check(warn);
        if let Some(register) = reset::find(fadt, &map) {
            entry.runtime.set_reset_register(register);
        }
    }
    if let Some(hpet) = &hpet {
        hpet.check(warn);
    }
    let timers = Timers::of(fadt.as_ref(), hpet.as_ref());
    // On an EFI machine nobody keeps the BIOS data area.
    let vga_text = if loaded.by_efi { None } else { VgaText::of_bios(&BootView) };
    // SAFETY: RAM that neither the image nor a module takes, above 1 MiB. What the loader left in it has been copied.
    let mut memory = unsafe { BootMemory::new(free) };
    let short = || -> ! { panic!("too little memory below 4 GiB for start-up") };

    let capabilities = Capabilities::read();
    let mut local = LocalApic::of_this_cpu();
    let count = first_cpu_first(&mut cpus, found, local.id());
    let cpus = held(entry.runtime, &mut cpus[..count]);
    let count = cpus.len();
    if capabilities.x2apic && cpus.iter().any(|cpu| cpu.apic_id >= apic::FIRST_X2APIC_ID) {
        // SAFETY: CPUID says that the mode exists.
        local = unsafe { local.enter_x2apic() };
    }

    let Some(command_line) = memory.slice(line.len(), |index| line[index]) else { short() };
    let Some(apic_ids) = memory.slice(count, |index| cpus[index].apic_id) else { short() };
    let Some(enabled) = memory.slice(count, |index| cpus[index].enabled) else { short() };
    let Some(phases) = memory.slice(count, |_| Phase::new()) else { short() };
    let Some(stack_words) = memory.slice(count, |_| AtomicU64::new(0)) else { short() };
    let Some(memory_map) = memory.slice(map.len(), |index| map[index]) else { short() };
    let tables = memory.slice(count, |index| match entry.runtime.interrupt_stacks(CpuIndex(index as u16)) {
        Some(stacks) => CpuTables::new(&stacks),
        None => unreachable!("the runtime has stacks for each CPU within its capacity"),
    });
    let Some(tables) = tables else { short() };
    let Some(first_stack) = memory.bytes(count as u64 * GuardedStacks::STRIDE, page::SIZE) else { short() };
    let stacks = GuardedStacks::new(first_stack, count);

    let devices = Devices { local, framebuffer: handoff.framebuffer, uart: console.range() };
    let Ok(root) = build_tables(&mut memory, &map, &stacks, trampoline, &devices, capabilities.no_execute)
    else {
        short()
    };
    if let Some(page) = trampoline {
        // SAFETY: the page is free RAM; the boot tables, still loaded, map it and page 0 writable; the loader's data was
        // copied; no CPU was started. The tables lie below 4 GiB as all of `memory`.
        unsafe { trampoline::install(page, root as u32, cpu::efer(capabilities.no_execute)) };
    }
    directory::lay_out(apic_ids, stack_words, matches!(local, LocalApic::X2apic));
    // SAFETY: the tables map all memory one to one as the boot tables did, and the image by its segments; the page below
    // each stack, page 0 and the trampoline's writability are given up, and nothing uses them.
    unsafe { cpu::load_page_tables(root, capabilities.no_execute) };
    console.finish();
    let tsc_hz = clock::calibrate(&timers, entry.runtime);

    let machine = Machine {
        command_line: core::str::from_utf8(command_line).unwrap_or_else(|_| {
            println!("appliance-rt: the command line is not UTF-8 and is not used");
            ""
        }),
        memory_map,
        boot_memory: memory.used(),
        apic_ids,
        phases,
        stacks,
        trampoline,
        rsdp,
        framebuffer: handoff.framebuffer,
        tsc_hz,
        vga_text,
        all_started: AtomicBool::new(false),
    };
    Shared { machine, tables: &raw mut *tables, enabled, stack_words, entered }
}

/// Where the tables that lead to the CPUs are damaged there may be other CPUs, which firmware left in a state of its own.
fn warn_of_cpus(warning: Warning) {
    APPLIANCE_RT_HAS_NO_MAIN_declare_one_with_appliance_rt_entry.runtime.expect_undeclared_cpus();
    warn(warning);
}

/// The CPUs of the MADT, whose I/O APICs are masked.
fn read_madt(tables: Option<&Tables<'_, BootView>>, cpus: &mut [Cpu], map: &[Region]) -> usize {
    let madt = tables.and_then(|tables| tables.open(Madt::SIGNATURE, Madt::new, warn_of_cpus));
    let Some(madt) = madt else {
        APPLIANCE_RT_HAS_NO_MAIN_declare_one_with_appliance_rt_entry.runtime.expect_undeclared_cpus();
        println!("appliance-rt: no ACPI table of CPUs: only this one runs");
        return 0;
    };
    io_apic::mask_all(&madt, map);
    madt.cpus(cpus, warn_of_cpus)
}

/// As many of the CPUs as the runtime holds, the first one among them and the enabled ones before the others. The rest is
/// never started, and no NMI reaches it.
fn held<'c>(runtime: &Runtime, cpus: &'c mut [Cpu]) -> &'c [Cpu] {
    let (capacity, count) = (runtime.capacity(), cpus.len());
    if count <= capacity {
        return cpus;
    }
    runtime.expect_undeclared_cpus();
    println!(
        "appliance-rt: {}; the others are not started",
        SetupError::TooManyCpus { capacity, cpus: count }
    );
    if let Some((_, others)) = cpus.split_first_mut() {
        others.sort_unstable_by_key(|cpu| (!cpu.enabled, cpu.apic_id));
    }
    cpus.get(..capacity).unwrap_or_default()
}

/// Moves the CPU with APIC id `own` to the front of the first `count`, the others staying in order. One that is not
/// among them is put there. Returns the new count.
fn first_cpu_first(cpus: &mut [Cpu], count: usize, own: u32) -> usize {
    match cpus.iter().take(count).position(|cpu| cpu.apic_id == own) {
        Some(place) => {
            cpus[..=place].rotate_right(1);
            count
        }
        None => {
            if count != 0 {
                println!("appliance-rt: ACPI does not list this CPU, APIC id {own}");
            }
            let count = cpus.len().min(count + 1);
            cpus[..count].rotate_right(1);
            cpus[0] = Cpu { apic_id: own, enabled: true, ..UNUSED_CPU };
            count
        }
    }
}

/// Registers and memory of devices that are mapped wherever they are.
struct Devices {
    local: LocalApic,
    framebuffer: Option<Framebuffer>,
    uart: Option<Range<u64>>,
}

/// The final page tables: their root.
fn build_tables(
    memory: &mut BootMemory,
    map: &[Region],
    stacks: &GuardedStacks,
    trampoline: Option<u64>,
    devices: &Devices,
    no_execute: bool,
) -> Result<u64, paging::OutOfTables> {
    let mut mappings = heapless::Vec::<Mapping, { REGIONS + 10 }>::new();
    let mut add = |start, end, attributes: Attributes| {
        let attributes = if no_execute { attributes } else { attributes.without_no_execute() };
        // The capacity holds every region and the ten others below.
        let _ = mappings.push(Mapping::new(start, end, attributes));
    };
    // What the memory map does not call memory may be device registers: the local APIC, the I/O APIC, PCI.
    add(0, BOOT_LIMIT, Attributes::DEVICE);
    for region in map.iter().filter(|region| region.kind.is_memory()) {
        add(region.start, region.end, Attributes::DATA);
    }
    if let Some(screen) = devices.framebuffer {
        add(screen.base, screen.base.saturating_add(screen.bytes), Attributes::DEVICE);
    }
    if let LocalApic::Xapic(base) = devices.local {
        add(base, base + page::SIZE, Attributes::DEVICE);
    }
    if let Some(range) = &devices.uart {
        add(range.start, range.end, Attributes::DEVICE);
    }
    add(0, page::SIZE, Attributes::UNMAPPED);
    if let Some(start) = trampoline {
        add(start, start + page::SIZE, Attributes::CODE);
    }
    add(image::text_start(), image::text_end(), Attributes::CODE);
    add(image::rodata_start(), image::rodata_end(), Attributes::CONSTANTS);
    add(image::data_start(), image::data_end(), Attributes::DATA);
    let guard = image::boot_stack_guard();
    add(guard, guard + page::SIZE, Attributes::UNMAPPED);

    let mut tables = paging::Tables::build(memory, &mappings)?;
    let mut index = 0;
    while let Some(guard) = stacks.guard(index) {
        tables.unmap(guard)?;
        index += 1;
    }
    Ok(tables.root())
}

/// Called by `change_stack`, on the first CPU's own stack.
pub extern "C" fn on_own_stack() -> ! {
    let shared = get();
    let (machine, entry) = self::shared();
    let runtime = entry.runtime;
    let Some(tables) = tables(CpuIndex(0)) else { unreachable!("a panic runtime holds at least one CPU") };
    // SAFETY: these tables are this CPU's alone, and live for ever.
    unsafe { (&mut *tables).load() };
    interrupts::use_interrupt_stacks();
    let local = LocalApic::of_this_cpu();
    left_armed::silence_local_apic(&local);
    local.enable();

    (entry.prepare)(machine);

    let first_cpu = CpuIndex(0);
    // Held for ever: `main` does not return.
    let _ready = match runtime.ready(first_cpu) {
        Ok(ready) => ready,
        Err(error) => panic!("{first_cpu} is not ready: {error}"),
    };
    if let Some(phase) = machine.phases.first() {
        phase.advance(Stage::Waiting, Stage::Ready);
    }
    let wanted = shared.enabled.iter().filter(|enabled| **enabled).count();
    if let Some(page) = machine.trampoline {
        others::start(machine, runtime, local, page, shared.stack_words, shared.enabled);
    } else if wanted > 1 {
        println!("appliance-rt: no free page below 640 KiB: the other CPUs are not started");
    }
    // Release: pairs with `Machine::wait_for_all`.
    machine.all_started.store(true, Ordering::Release);
    let ms = machine.tsc_hz.map_or(0, |hz| clock::now().wrapping_sub(shared.entered) / (hz / 1000).max(1));
    println!("appliance-rt: {} of {wanted} CPUs ready {ms} ms after entry", machine.cpus_running());
    (entry.main)(machine, first_cpu)
}
