//! What QEMU's monitor says of the registers, as `info registers -a` prints them.

use std::collections::BTreeMap;

/// The registers of each CPU, by the names of the record.
pub fn parse(text: &str) -> Vec<BTreeMap<String, u64>> {
    let mut cpus: Vec<BTreeMap<String, u64>> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if line.starts_with("CPU#") {
            cpus.push(BTreeMap::new());
        } else if let Some(cpu) = cpus.last_mut() {
            read_line(line, cpu);
        }
    }
    cpus
}

fn read_line(line: &str, cpu: &mut BTreeMap<String, u64>) {
    let Some((name, rest)) = line.split_once('=') else { return };
    let name = name.trim_end();
    let mut number = {
        let mut words = rest.split_whitespace();
        move || u64::from_str_radix(words.next()?, 16).ok()
    };
    let mut put = |name: String, value: Option<u64>| value.map(|value| cpu.insert(name, value));
    match name {
        // `FS =0010 ffffe450c305af0e ffffffff 00cf9300 ...`: selector, base, limit, attributes.
        "ES" | "CS" | "SS" | "DS" | "FS" | "GS" | "LDT" | "TR" => {
            let record = if name == "LDT" { "ldtr".to_owned() } else { name.to_lowercase() };
            put(record.clone(), number());
            if matches!(name, "FS" | "GS") {
                put(format!("{record}_base"), number());
            }
        }
        "GDT" | "IDT" => {
            let record = name.to_lowercase();
            put(format!("{record}r_base"), number());
            put(format!("{record}r_limit"), number());
        }
        // `R8 =2e2ac13ef8e8d8d2 R9 =...`, `RIP=... RFL=... [-O-ZA--] CPL=0 ...`.
        _ => {
            for pair in line.replace(" =", "=").split_whitespace() {
                if let Some((name, value)) = pair.split_once('=') {
                    let record = if name == "RFL" { "rflags".to_owned() } else { name.to_lowercase() };
                    put(record, u64::from_str_radix(value, 16).ok());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_line_is_read() {
        let text = "\r\nCPU#0\r\nRAX=cc RBX=0b\r\nR8 =2e R9 =8f\r\nRIP=0af RFL=00240852 [-O-ZA--] CPL=0\r\n\
                    FS =0010 fffffc37711c2db9 00000000 00000000\r\nLDT=0000 0000 0000ffff 00008200 DPL=0 LDT\r\n\
                    GDT=     0000000002573180 00000027\r\nCR0=80010033 CR2=ec\r\nEFER=0000000000000d00\r\n\r\nCPU#1\r\nRAX=1\r\n";
        let cpus = parse(text);
        assert_eq!(cpus.len(), 2);
        let get = |name: &str| cpus[0].get(name).copied();
        assert_eq!((get("rax"), get("rbx"), get("r9")), (Some(0xCC), Some(0xB), Some(0x8F)));
        assert_eq!((get("rip"), get("rflags")), (Some(0xAF), Some(0x24_0852)));
        assert_eq!((get("fs"), get("fs_base")), (Some(0x10), Some(0xFFFF_FC37_711C_2DB9)));
        assert_eq!(
            (get("ldtr"), get("gdtr_base"), get("gdtr_limit")),
            (Some(0), Some(0x257_3180), Some(0x27))
        );
        assert_eq!((get("cr0"), get("cr2"), get("efer")), (Some(0x8001_0033), Some(0xEC), Some(0xD00)));
        assert_eq!(cpus[1].get("rax"), Some(&1));
    }
}
