//! Puts a section into an EFI application.
//!
//! PE/COFF specification (Microsoft, revision 11), sections "Optional Header" and "Section Table".

use std::mem::offset_of;

use boot_handoff::bytes::{half, word};
use boot_handoff::carrier::SECTION;
use object::pe;

use crate::error::{Error, Result};

/// The name of the specification's structures.
type Nt = pe::ImageNtHeaders64;
type Entry = pe::ImageSectionHeader;

/// The section is data that may be read.
const CHARACTERISTICS: u32 = pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0 | pe::IMAGE_SCN_MEM_READ.0;

/// The application `loader` with `contents` in the section [`SECTION`], which comes before all others in the file and
/// behind all others in memory.
pub fn carry(loader: &[u8], contents: &[u8]) -> Result<Vec<u8>> {
    splice(loader, contents).ok_or_else(|| Error::Invalid("the EFI loader's PE file has another form".into()))
}

fn splice(loader: &[u8], contents: &[u8]) -> Option<Vec<u8>> {
    let at = usize::try_from(word(loader, offset_of!(pe::ImageDosHeader, e_lfanew))?).ok()?;
    if loader.get(at..at + 4)? != b"PE\0\0" {
        return None;
    }
    let nt = |field| word(loader, at + field);
    let optional = |field| nt(offset_of!(Nt, optional_header) + field);
    let file_alignment = optional(offset_of!(pe::ImageOptionalHeader64, file_alignment))?;
    let memory_alignment = optional(offset_of!(pe::ImageOptionalHeader64, section_alignment))?;
    let headers = optional(offset_of!(pe::ImageOptionalHeader64, size_of_headers))?;
    let image = optional(offset_of!(pe::ImageOptionalHeader64, size_of_image))?;
    let count = half(loader, at + offset_of!(Nt, file_header.number_of_sections))?;
    let optional_bytes = half(loader, at + offset_of!(Nt, file_header.size_of_optional_header))?;
    let table = at + offset_of!(Nt, optional_header) + usize::from(optional_bytes);
    let new_entry = table + usize::from(count) * size_of::<Entry>();
    let first = usize::try_from(headers).ok()?;

    let bytes = u32::try_from(contents.len()).ok()?;
    let padded = bytes.checked_next_multiple_of(file_alignment)?;
    let mut file = loader.get(..first)?.to_vec();
    // The headers' padding must have room for one more entry.
    if file.get(new_entry..new_entry + size_of::<Entry>())?.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut put =
        |at: usize, value: &[u8]| file.get_mut(at..at + value.len()).map(|to| to.copy_from_slice(value));

    for index in 0..usize::from(count) {
        let entry = table + index * size_of::<Entry>();
        let pointer = entry + offset_of!(Entry, pointer_to_raw_data);
        match word(loader, pointer)? {
            0 => {}
            old => put(pointer, &old.checked_add(padded)?.to_le_bytes())?,
        }
    }
    put(new_entry, &SECTION)?;
    for (field, value) in [
        (offset_of!(Entry, virtual_size), bytes),
        (offset_of!(Entry, virtual_address), image),
        (offset_of!(Entry, size_of_raw_data), padded),
        (offset_of!(Entry, pointer_to_raw_data), headers),
        (offset_of!(Entry, characteristics), CHARACTERISTICS),
    ] {
        put(new_entry + field, &value.to_le_bytes())?;
    }
    put(at + offset_of!(Nt, file_header.number_of_sections), &count.checked_add(1)?.to_le_bytes())?;
    // The same sources give the same file.
    put(at + offset_of!(Nt, file_header.time_date_stamp), &[0; 4])?;
    let field = |field| at + offset_of!(Nt, optional_header) + field;
    let initialised = offset_of!(pe::ImageOptionalHeader64, size_of_initialized_data);
    put(field(initialised), &optional(initialised)?.checked_add(padded)?.to_le_bytes())?;
    let new_image = image.checked_add(bytes)?.checked_next_multiple_of(memory_alignment)?;
    put(field(offset_of!(pe::ImageOptionalHeader64, size_of_image)), &new_image.to_le_bytes())?;
    // The debug directory names a file on the machine that built the loader, by offsets that have moved.
    let directories = field(size_of::<pe::ImageOptionalHeader64>());
    put(directories + pe::IMAGE_DIRECTORY_ENTRY_DEBUG * size_of::<pe::ImageDataDirectory>(), &[0; 8])?;

    file.extend_from_slice(contents);
    file.resize(first + usize::try_from(padded).ok()?, 0);
    file.extend_from_slice(loader.get(first..)?);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::read::pe::PeFile64;
    use object::{LittleEndian, Object, ObjectSection};

    /// A PE file with one section of code, made by the library that also reads it back.
    fn loader() -> Vec<u8> {
        let mut file = Vec::new();
        let mut writer = object::write::pe::Writer::new(true, 0x1000, 0x200, &mut file);
        writer.reserve_dos_header_and_stub();
        writer.reserve_nt_headers(16);
        writer.reserve_section_headers(2);
        let code = writer.reserve_text_section(0x123);
        writer.reserve_reloc_section();
        writer.write_dos_header_and_stub().unwrap();
        writer.write_nt_headers(object::write::pe::NtHeaders {
            machine: pe::IMAGE_FILE_MACHINE_AMD64,
            time_date_stamp: 77,
            characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE,
            major_linker_version: 0,
            minor_linker_version: 0,
            address_of_entry_point: code.virtual_address,
            image_base: 0x1_4000_0000,
            major_operating_system_version: 0,
            minor_operating_system_version: 0,
            major_image_version: 0,
            minor_image_version: 0,
            major_subsystem_version: 0,
            minor_subsystem_version: 0,
            subsystem: pe::IMAGE_SUBSYSTEM_EFI_APPLICATION,
            dll_characteristics: pe::DllFlags(0),
            size_of_stack_reserve: 0,
            size_of_stack_commit: 0,
            size_of_heap_reserve: 0,
            size_of_heap_commit: 0,
        });
        writer.write_section_headers();
        writer.write_section(code.file_offset, &[0x90; 0x123]);
        writer.write_reloc_section();
        file
    }

    #[test]
    fn a_reader_of_pe_finds_every_section_as_it_was_and_the_new_one() {
        let contents: Vec<u8> = (0..5000_u32).map(|i| i as u8).collect();
        let before = loader();
        let after = carry(&before, &contents).unwrap();
        assert!(after.windows(contents.len()).position(|w| w == contents).unwrap() <= 0x600);
        let (before, after) = (PeFile64::parse(&*before).unwrap(), PeFile64::parse(&*after).unwrap());
        assert_eq!(after.entry(), before.entry());
        for old in before.sections() {
            let new = after.section_by_name(old.name().unwrap()).unwrap();
            assert_eq!((new.address(), new.data().unwrap()), (old.address(), old.data().unwrap()));
        }
        let new = after.section_by_name(".fw").unwrap();
        assert_eq!((new.size(), &new.data().unwrap()[..5000]), (5000, &contents[..]));
        let image = |file: &PeFile64| file.nt_headers().optional_header.size_of_image.get(LittleEndian);
        let base = before.relative_address_base();
        assert_eq!(new.address() - base, u64::from(image(&before)));
        assert_eq!(u64::from(image(&after)), (u64::from(image(&before)) + 5000).next_multiple_of(0x1000));
        assert_eq!(after.nt_headers().file_header.time_date_stamp.get(LittleEndian), 0);
    }

    #[test]
    fn what_is_no_pe_file_is_refused() {
        for bad in [&b""[..], b"MZ", &[0; 0x400]] {
            assert!(carry(bad, b"x").is_err());
        }
        let mut full = loader();
        let headers = full.iter().rposition(|byte| *byte == 0x90).unwrap() - 0x122;
        full[..headers].iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 1);
        assert!(carry(&full, b"x").is_err(), "no room for one more entry");
    }
}
