//! An EFI application that carries a firmware image and enters it as a Multiboot 1 loader would.
//!
//! `README.md` has the order of its steps, and why.
#![no_std]
#![no_main]

mod carried;
mod error;
mod handover;
mod machine;
mod memory;

use core::time::Duration;

use boot_handoff::{
    Handoff, efi_memory,
    multiboot::{INFO_COMMAND_LINE, INFO_LOADER_NAME, INFO_MEMORY_MAP, Information, MemoryEntry},
};
use uefi::{Status, boot, mem::memory_map::MemoryMap, println};

use error::Error;
use memory::LowMemory;

/// Bytes of the longest command line, with its terminating zero.
const COMMAND_LINE: usize = 1024;
/// The loader's name, as Multiboot passes it on.
const NAME: &[u8] = b"panic-smp-efi-loader\0";
/// How long an error stays on the screen: a boot manager clears it and goes on.
const TO_READ: Duration = Duration::from_secs(5);
/// Entries by which the memory map may grow until boot services have ended.
const MORE_ENTRIES: usize = 64;

#[uefi::entry]
fn main() -> Status {
    match load() {
        Ok(never) => match never {},
        Err(error) => {
            println!("panic-smp: {error}");
            boot::stall(TO_READ);
            error.status()
        }
    }
}

fn load() -> Result<core::convert::Infallible, Error> {
    // SAFETY: the image of this application stays as it is while it runs.
    let file = unsafe { carried::firmware()? };
    let header = carried::header(file)?;
    let image = file.get(header.file.clone()).unwrap_or_default();

    let map = memory::map()?;
    if let Some(obstacle) = efi_memory::obstacle(memory::descriptors(&map), &header.memory()) {
        return Err(Error::Occupied { image: header.memory(), obstacle });
    }
    let entries = map.len() + MORE_ENTRIES;
    drop(map);

    let mut low = LowMemory::outside(header.memory());
    let staged = low.copy(image)?;
    let mut line = [0; COMMAND_LINE];
    let length = machine::command_line(&mut line[..COMMAND_LINE - 1]);
    let command_line = low.copy(&line[..=length])?;
    let loader_name = low.copy(NAME)?;
    let memory_map = low.array::<MemoryEntry>(entries)?;
    let information = low.array::<Information>(1)?;
    let handoff = Handoff {
        information: information.address,
        rsdp: machine::rsdp(),
        framebuffer: machine::framebuffer(),
    };
    let handoff = low.copy(&handoff.write())?;
    let code = low.code(handover::code())?;

    // Cannot fail in a way that matters: ExitBootServices turns it off, too (UEFI 2.10, 7.5.1).
    let _ = boot::set_watchdog_timer(0, 0x1_0000, None);
    // SAFETY: nothing of boot services is used any more: `map` was dropped, and what is read below lies in memory of the
    // loader's own.
    let mut map = unsafe { boot::exit_boot_services(None) };
    handover::interrupts_off();
    uefi::mem::memory_map::MemoryMapMut::sort(&mut map);
    // SAFETY: both arrays were allocated above for this, and nobody else knows them.
    let (entries, information) = unsafe { (memory_map.as_slice(), information.as_slice()) };
    let count = efi_memory::to_multiboot(memory::descriptors(&map), entries);
    if let [information] = information {
        *information = Information {
            flags: INFO_COMMAND_LINE | INFO_MEMORY_MAP | INFO_LOADER_NAME,
            command_line,
            memory_map_bytes: (count * size_of::<MemoryEntry>()) as u32,
            memory_map: memory_map.address,
            loader_name,
            ..Information::default()
        };
    }
    if efi_memory::obstacle(memory::descriptors(&map), &header.memory()).is_some() {
        // Boot services took the place for good at their very end. There is no console any more.
        uefi::runtime::reset(uefi::runtime::ResetType::COLD, Status::LOAD_ERROR, None);
    }
    // SAFETY: `code` is a copy of the hand-over code in memory of its own; everything it reads lies below 4 GiB and outside
    // of the image's place, which is free now.
    unsafe { handover::enter(code, &handover::Parameters::new(staged, image.len(), &header, handoff)) }
}
