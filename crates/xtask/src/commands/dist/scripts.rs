//! The iPXE scripts beside the images. Addresses in them are relative to the script's own, so that the folder can be
//! served under any name.

/// The script to boot.
pub const MENU: &str = "menu.ipxe";
/// How to serve the folder.
pub const README: &str = include_str!("README.md");

/// The image of the example `name`. EFI's own HTTP boot tells what a file is by its media type or, from servers that know
/// none for it, by this ending.
pub fn file(name: &str) -> String {
    format!("{name}.efi")
}

/// What each example does, for the menu, and the words that suit a server best.
const KNOWN: &[(&str, &str, &str)] = &[
    ("minimal", "all CPUs idle; a panic resets the machine", ""),
    ("nmi-button", "CPUs in every role; press the NMI button", "nmi=all then=halt"),
    ("shootdown-only", "stops CPUs without a panic", ""),
];

fn known(name: &str) -> (&'static str, &'static str) {
    KNOWN.iter().find(|(known, ..)| *known == name).map_or(("", ""), |(_, about, words)| (about, words))
}

/// The script that boots one example.
pub fn script(name: &str) -> String {
    let (about, words) = known(name);
    let file = file(name);
    let usual = [file.as_str(), words].join(" ");
    let usual = usual.trim_end();
    format!(
        "#!ipxe
# {name}: {about}
isset ${{words}} && kernel {file} ${{words}} || kernel {usual} || goto failed
boot ||
:failed
echo {name} could not be loaded or started.
prompt Press any key for the iPXE shell
shell
"
    )
}

/// The script that asks which example to boot, and with which words.
pub fn menu(names: &[String]) -> String {
    let items: String =
        names.iter().map(|name| format!("item {name} {name:<16} {}\n", known(name).0)).collect();
    let first = names.iter().find(|name| *name == "nmi-button").or(names.first());
    let first = first.map_or("shell", String::as_str);
    format!(
        "#!ipxe
:start
menu panic-smp
{items}item words Words of the command line: ${{words}}
item shell iPXE shell
choose --default {first} --timeout 30000 selected || goto shell
goto ${{selected}}
:words
echo -n Words: && read words
goto start
:shell
shell
goto start
{}",
        names.iter().map(|name| format!(":{name}\nchain {name}.ipxe || goto start\n")).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_example_has_an_item_and_a_place_to_go_to() {
        let names = ["minimal".to_owned(), "nmi-button".to_owned(), "new-one".to_owned()];
        let menu = menu(&names);
        for name in &names {
            assert!(menu.contains(&format!("\nitem {name} ")), "{menu}");
            assert!(menu.contains(&format!("\n:{name}\nchain {name}.ipxe")), "{menu}");
        }
        assert!(menu.contains("--default nmi-button "));
        assert!(menu.starts_with("#!ipxe\n") && script("minimal").starts_with("#!ipxe\n"));
        assert!(
            script("nmi-button").contains("kernel nmi-button.efi ${words} || kernel nmi-button.efi nmi=all")
        );
        assert!(script("minimal").contains("|| kernel minimal.efi ||"));
    }
}
