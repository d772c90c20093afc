//! Small pieces of text that the report and the details share.

use crash_record::Header;

/// Widest line of the report, in characters.
pub(crate) const WIDTH: usize = 100;

/// The text on one line, without characters that a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in text.trim_end().chars() {
        match character {
            '\n' => out.push_str(" | "),
            '\r' => {}
            character if character.is_control() => out.push('\u{FFFD}'),
            character => out.push(character),
        }
    }
    out
}

/// At most this many characters, the rest as one sign.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// At most this many characters of the end of the text.
pub(crate) fn cut_front(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let tail: String = text.chars().skip(count - width.saturating_sub(1)).collect();
    format!("…{tail}")
}

/// The last parts of a path and the line.
pub(crate) fn place(file: &str, line: Option<u32>, parts: usize) -> String {
    let all: Vec<&str> = file.split('/').collect();
    let tail = all.get(all.len().saturating_sub(parts)..).unwrap_or(&all).join("/");
    match line {
        Some(line) => format!("{tail}:{line}"),
        None => tail,
    }
}

/// Microseconds from the decision to panic until this stamp; `None` without a clock or a stamp.
pub(crate) fn since_decision_us(header: &Header, stamp: u64) -> Option<f64> {
    if header.tsc_hz == 0 || stamp == 0 || header.tsc_decision == 0 {
        return None;
    }
    // A CPU may have entered before the decision: by its own NMI. Stamps of two CPUs may also differ a little.
    let ticks = stamp.wrapping_sub(header.tsc_decision).cast_signed();
    Some(ticks as f64 * 1e6 / header.tsc_hz as f64)
}

/// A time for a person.
pub(crate) fn microseconds(us: Option<f64>) -> String {
    us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1}"))
}
