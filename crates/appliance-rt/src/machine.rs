//! What start-up found out about the machine.

use core::{
    arch::asm,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use boot_handoff::Framebuffer;
use firmware_tables::Rsdp;
use panic_smp::CpuIndex;

use crate::{
    VgaText, command_line, init_sipi::Stage, memory_map::Region, paging::GuardedStacks, phase::Phase,
};

/// The machine, as `main` gets it. Lives for ever; every method may be called on any CPU in normal or interrupt context.
#[derive(Debug)]
pub struct Machine {
    pub(crate) command_line: &'static str,
    pub(crate) memory_map: &'static [Region],
    pub(crate) boot_memory: Range<u64>,
    pub(crate) apic_ids: &'static [u32],
    pub(crate) phases: &'static [Phase],
    pub(crate) stacks: GuardedStacks,
    pub(crate) trampoline: Option<u64>,
    pub(crate) rsdp: Option<Rsdp>,
    pub(crate) framebuffer: Option<Framebuffer>,
    pub(crate) tsc_hz: Option<u64>,
    pub(crate) vga_text: Option<VgaText>,
    pub(crate) all_started: AtomicBool,
}

impl Machine {
    /// The loader's command line, up to 1024 bytes; empty if there is none or it is not UTF-8. `qemu -kernel` puts the
    /// file's name first.
    #[must_use]
    pub const fn command_line(&self) -> &'static str {
        self.command_line
    }

    /// The value of the last `name=value` word of the command line; `Some("")` for the bare word.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&'static str> {
        command_line::option(self.command_line, name)
    }

    /// The loader's memory map, in its order: regions may overlap. At most 128.
    #[must_use]
    pub const fn memory_map(&self) -> &'static [Region] {
        self.memory_map
    }

    /// The physical memory that start-up took for page tables, stacks and descriptor tables. Together with the image
    /// ([`panic_smp::Image`]) it is all that is in use.
    #[must_use]
    pub const fn boot_memory(&self) -> &Range<u64> {
        &self.boot_memory
    }

    /// The local APIC id of each CPU; the index is its [`CpuIndex`]. CPU 0 is the one that the loader started. CPUs that
    /// firmware calls online-capable but not enabled are among them; they were not started.
    #[must_use]
    pub const fn apic_ids(&self) -> &'static [u32] {
        self.apic_ids
    }

    /// How many CPUs are ready by now.
    #[must_use]
    pub fn cpus_running(&self) -> usize {
        self.phases.iter().filter(|phase| phase.get() == Stage::Ready).count()
    }

    /// Whether `cpu` is ready.
    #[must_use]
    pub fn is_running(&self, cpu: CpuIndex) -> bool {
        self.phases.get(cpu.as_usize()).is_some_and(|phase| phase.get() == Stage::Ready)
    }

    /// Waits until every enabled CPU is ready or was given up, and returns how many are ready.
    ///
    /// Not in `prepare`, and not with a lock held that another CPU's `main` needs. It ends because the start of each CPU has a time limit; if the first CPU panics meanwhile, the caller is stopped
    /// by NMI like any other.
    pub fn wait_for_all(&self) -> usize {
        // Acquire: pairs with the Release at the end of start-up, so that all phases are final.
        while !self.all_started.load(Ordering::Acquire) {
            core::hint::spin_loop();
        }
        self.cpus_running()
    }

    /// The addresses of the stack that `main` runs on at `cpu`. The page below is not mapped.
    #[must_use]
    pub fn stack(&self, cpu: CpuIndex) -> Option<Range<u64>> {
        self.stacks.stack(cpu.as_usize())
    }

    /// The physical address of the page below 640 KiB with the start-up code of the other CPUs and the halt stub that
    /// the real-mode NMI vector points at. Read-only and executable. `None` if the memory map has no such page: then only
    /// CPU 0 runs.
    #[must_use]
    pub const fn trampoline_page(&self) -> Option<u64> {
        self.trampoline
    }

    /// Where ACPI's root tables are, if they were found.
    #[must_use]
    pub const fn rsdp(&self) -> Option<Rsdp> {
        self.rsdp
    }

    /// The screen, if the loader left one as a linear framebuffer: the EFI loader does. It is mapped uncached.
    #[must_use]
    pub const fn framebuffer(&self) -> Option<Framebuffer> {
        self.framebuffer
    }

    /// The frequency of the time-stamp counter in Hz, if CPUID or a timer gave one.
    #[must_use]
    pub const fn tsc_hz(&self) -> Option<u64> {
        self.tsc_hz
    }

    /// The text mode in which a BIOS left the display, if it says that there is one.
    #[must_use]
    pub const fn vga_text(&self) -> Option<VgaText> {
        self.vga_text
    }

    /// Idles this CPU for ever: see [`idle`].
    pub fn idle(&self) -> ! {
        idle()
    }
}

/// Idles this CPU for ever, with interrupts on and halted between them. Normal context.
pub fn idle() -> ! {
    loop {
        // SAFETY: start-up loaded gates for all vectors, so that interrupts may come; `hlt` touches no memory, and
        // without `nomem` the compiler assumes that interrupt handlers do.
        unsafe { asm!("sti", "hlt", options(nostack)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static IDS: [u32; 3] = [4, 0, 2];
    static PHASES: [Phase; 3] = [Phase::new(), Phase::new(), Phase::new()];

    #[test]
    fn cpus_count_once_they_are_ready_and_a_failed_one_stays_failed() {
        let machine = Machine {
            command_line: "image.elf nmi=all",
            memory_map: &[],
            boot_memory: 0..0,
            apic_ids: &IDS,
            phases: &PHASES,
            stacks: GuardedStacks::new(0x1000, 3),
            trampoline: None,
            rsdp: None,
            framebuffer: None,
            tsc_hz: None,
            vga_text: None,
            all_started: AtomicBool::new(true),
        };
        assert_eq!(machine.option("nmi"), Some("all"));
        assert_eq!(machine.cpus_running(), 0);
        assert!(PHASES[0].advance(Stage::Waiting, Stage::Alive));
        assert!(PHASES[0].advance(Stage::Alive, Stage::Joining));
        assert_eq!(machine.cpus_running(), 0, "it has not become ready yet");
        assert!(PHASES[0].advance(Stage::Joining, Stage::Ready));
        assert!(PHASES[1].advance(Stage::Waiting, Stage::Failed));
        assert!(!PHASES[1].advance(Stage::Waiting, Stage::Alive), "given up before it came");
        assert_eq!(machine.wait_for_all(), 1);
        assert!(machine.is_running(CpuIndex(0)));
        assert!(!machine.is_running(CpuIndex(1)) && !machine.is_running(CpuIndex(3)));
    }
}
