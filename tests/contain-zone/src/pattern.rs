//! Names of functions as the rules write them.

use std::fmt;

/// A glob over a demangled path without its hash: `*` stands for any run of characters, also an empty one.
///
/// Legacy and v0 symbols are both compared in the form that `rustc-demangle` gives with `{:#}`, for example
/// `core::panicking::panic_fmt` or `<board_qemu::Qemu as nmi_source::Board>::identify`. Symbols that are not mangled
/// are compared as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Returns whether the whole of `name` fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        fits(self.0.as_bytes(), name.as_bytes())
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Greedy match that on a mismatch lets the latest `*` take one more character.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    p = star + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("core::fmt::*", "core::fmt::write", true),
            ("core::fmt::*", "mycore::fmt::write", false),
            ("*as nmi_source::Board>::identify", "<a::B as nmi_source::Board>::identify", true),
            ("*as nmi_source::Board>::identify", "<a::B as nmi_source::Board>::identify_all", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("memcpy", "memcpy", true),
            ("memcpy", "memcpy2", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Pattern::from(pattern).matches(name), expected, "{pattern} on {name}");
        }
    }
}
