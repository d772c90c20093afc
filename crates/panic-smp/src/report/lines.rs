//! Lines of text to every sink, through a small buffer.

use crate::sink::Sink;
use core::fmt;

const LINE_BYTES: usize = 160;

/// Collects a line and sends it, with CR and LF, to every sink. What is too long for one line continues on the next.
pub(super) struct Lines {
    sinks: &'static [&'static dyn Sink],
    line: [u8; LINE_BYTES],
    length: usize,
}

impl Lines {
    pub(super) fn new(sinks: &'static [&'static dyn Sink]) -> Self {
        Self { sinks, line: [0; LINE_BYTES], length: 0 }
    }

    fn push(&mut self, byte: u8) {
        if byte == b'\n' {
            self.end_line();
            return;
        }
        // A control byte in a message must not move a terminal's cursor.
        let shown = if byte.is_ascii_control() { b'.' } else { byte };
        if self.length == LINE_BYTES {
            self.end_line();
        }
        if let Some(place) = self.line.get_mut(self.length) {
            *place = shown;
            self.length += 1;
        }
    }

    fn end_line(&mut self) {
        for sink in self.sinks {
            // A sink that fails loses the line; the others, and the record, still get theirs.
            if sink.write(self.line.get(..self.length).unwrap_or(&[])).is_ok() {
                let _ = sink.write(b"\r\n");
            }
        }
        self.length = 0;
    }
}

impl fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::SinkError;
    use core::fmt::Write;
    use std::string::String;
    use std::sync::Mutex;

    struct Kept(Mutex<String>);

    impl Sink for Kept {
        fn write(&self, bytes: &[u8]) -> Result<(), SinkError> {
            self.0.lock().expect("no test panics with it").extend(bytes.iter().map(|byte| char::from(*byte)));
            Ok(())
        }
    }

    #[test]
    fn lines_end_with_both_and_long_ones_go_on() {
        static KEPT: Kept = Kept(Mutex::new(String::new()));
        static SINKS: [&dyn Sink; 1] = [&KEPT];
        let mut lines = Lines::new(&SINKS);
        let long = "x".repeat(LINE_BYTES + 3);
        assert!(writeln!(lines, "a\x1b[2Jb").and_then(|()| writeln!(lines, "{long}")).is_ok());
        let kept = KEPT.0.lock().expect("no test panics with it");
        let lines: std::vec::Vec<_> = kept.split("\r\n").collect();
        assert_eq!(lines, ["a.[2Jb", &"x".repeat(LINE_BYTES), "xxx", ""]);
    }
}
