//! The words of the boot command line.

/// The value of the last `name=value` word of `line`, or `Some("")` for the bare word `name`.
///
/// Words are separated by ASCII white space; there is no quoting. The last one counts, so that a line can be corrected
/// by appending to it.
#[must_use]
pub fn option<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_ascii_whitespace().rev().find_map(|word| match word.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (word == name).then_some(""),
    })
}

/// A number, in decimal or with `0x` in hexadecimal.
#[must_use]
pub fn number(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{number, option};

    #[test]
    fn numbers_have_two_bases() {
        assert_eq!(
            [number("0x7fe0"), number("115200"), number("0x"), number("7fe0")],
            [Some(0x7fe0), Some(115_200), None, None]
        );
    }

    #[test]
    fn words_are_found_whole_and_the_last_one_counts() {
        let line = "  image.elf nmi=all final=reset\tquiet nmi=bsp x=a=b empty= nmix=1";
        assert_eq!(option(line, "nmi"), Some("bsp"));
        assert_eq!(option(line, "final"), Some("reset"));
        assert_eq!(option(line, "quiet"), Some(""));
        assert_eq!(option(line, "empty"), Some(""));
        assert_eq!(option(line, "x"), Some("a=b"));
        assert_eq!(option(line, "nm"), None);
        assert_eq!(option(line, "reset"), None);
        assert_eq!(option("", "nmi"), None);
    }
}
