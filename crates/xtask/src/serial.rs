//! What a machine says on its serial line, kept as it arrives and read by whole lines.

use std::io::{Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process;

/// What the guest said, filled by a thread that reads the pipe.
#[derive(Default)]
pub struct Serial {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// End of each whole line in `bytes`, with the time at which it was read.
    ends: Vec<(usize, Instant)>,
    closed: bool,
}

impl Serial {
    /// Reads `pipe` to its end, and copies it to `log`.
    pub fn follow(&self, mut pipe: impl Read, mut log: impl Write) {
        let mut buffer = [0; 4096];
        loop {
            // An error on the pipe means the same as its end: nothing more will be heard.
            let count = pipe.read(&mut buffer).unwrap_or(0);
            // The log is for people; the bytes kept here decide, so a full disk does not change a verdict.
            let _ = log.write_all(&buffer[..count]);
            let mut heard = self.lock();
            if count == 0 {
                heard.closed = true;
                self.changed.notify_all();
                return;
            }
            let from = heard.bytes.len();
            heard.bytes.extend_from_slice(&buffer[..count]);
            let now = Instant::now();
            let ends = buffer[..count].iter().enumerate().filter(|(_, b)| **b == b'\n');
            heard.ends.extend(ends.map(|(i, _)| (from + i + 1, now)));
            self.changed.notify_all();
        }
    }

    /// Waits for a whole line that `is_wanted` accepts, and gives the time at which it was read. `what` names it in
    /// the error.
    pub fn wait_for(&self, what: &str, until: Instant, is_wanted: impl Fn(&str) -> bool) -> Result<Instant> {
        let began = Instant::now();
        let mut heard = self.lock();
        let mut seen = 0;
        loop {
            while let Some(&(end, at)) = heard.ends.get(seen) {
                let start = if seen == 0 { 0 } else { heard.ends[seen - 1].0 };
                let line = String::from_utf8_lossy(&heard.bytes[start..end]);
                if is_wanted(&shown(&line)) {
                    return Ok(at);
                }
                seen += 1;
            }
            if heard.closed {
                return Err(Error::Guest(format!(
                    "{what} was never said; the machine ended\n{}",
                    heard.tail()
                )));
            }
            let now = Instant::now();
            if now >= until {
                let what = format!("{what}\n{}\nwaited for", heard.tail());
                return Err(Error::Deadline { what, limit: now - began });
            }
            let waited = self.changed.wait_timeout(heard, until - now);
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything, once the emulator has ended and the pipe is drained.
    pub fn after_end(&self) -> Vec<u8> {
        let open = |heard: &mut Heard| !heard.closed;
        let drained = self.changed.wait_timeout_while(self.lock(), Duration::from_secs(5), open);
        std::mem::take(&mut drained.unwrap_or_else(PoisonError::into_inner).0.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // Each update leaves the value whole, so a thread that panicked while it held the lock changes nothing.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let quoted = process::tail(&text, 8).lines().map(|l| format!("    | {l}\n")).collect::<String>();
        if quoted.is_empty() { "    | (silence)\n".into() } else { quoted }
    }
}

/// The lines of a serial log as a terminal shows them.
pub fn lines(serial: &[u8]) -> impl Iterator<Item = String> {
    serial.split(|b| *b == b'\n').map(|line| shown(&String::from_utf8_lossy(line)))
}

/// A line as a terminal shows it. The boot firmware speaks to a terminal: its control sequences stand before the guest's
/// first words on the same line. Colours are left out; what precedes a return to the margin, a move or an erasure stands
/// elsewhere on the screen, or nowhere.
fn shown(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => text.clear(),
            // A control sequence (ECMA-48, 5.4): ESC [, parameters and intermediates below 0x40, one final character.
            '\x1b' if characters.next_if_eq(&'[').is_some() => {
                let last = characters.find(|c| !matches!(c, ' '..='?'));
                if last != Some('m') {
                    text.clear();
                }
            }
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::COMPLETE;

    fn said(text: &str) -> Serial {
        let serial = Serial::default();
        serial.follow(text.as_bytes(), std::io::sink());
        serial
    }

    fn find(serial: &Serial, wanted: &str) -> bool {
        serial.wait_for(wanted, Instant::now() + Duration::from_secs(5), |l| l == wanted).is_ok()
    }

    #[test]
    fn only_a_whole_line_counts() {
        let serial = said("noise\r\nsaid panic-smp: record complete\r\narmed: 4 CPUs\r\npanic-smp: rec");
        assert!(find(&serial, "armed: 4 CPUs"));
        assert!(!find(&serial, COMPLETE));
        assert!(!find(&serial, "panic-smp: rec"), "a line without its end is not a line");
    }

    #[test]
    fn a_machine_that_ended_is_not_waited_for() {
        let start = Instant::now();
        let error =
            said("last words\n").wait_for("x", start + Duration::from_secs(60), |_| false).unwrap_err();
        assert!(error.to_string().contains("last words"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_deadline_says_what_was_heard() {
        let serial = Serial::default();
        let error =
            serial.wait_for("the end", Instant::now() + Duration::from_millis(20), |_| true).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }));
        assert!(error.to_string().contains("(silence)"), "{error}");
    }

    #[test]
    fn a_line_counts_as_a_terminal_shows_it() {
        // As OVMF, its shell and GRUB leave it.
        for before in
            ["\x1b[2J\x1b[01;01H\x1b[=3h", "Press ESC \x1b[0m\x1b[37m\x1b[40m in 1 s\x1b[11;01H", "\r"]
        {
            assert!(find(&said(&format!("{before}armed: 4 CPUs\r\n")), "armed: 4 CPUs"), "{before:?}");
        }
        assert!(find(&said("\x1b[0m\x1b[1marmed\x1b[0m: 4 CPUs\r\n"), "armed: 4 CPUs"));
        assert!(!find(&said("not \x1b[0marmed: 4 CPUs\r\n"), "armed: 4 CPUs"));
        assert!(!find(&said("armed: 4 CPUs\x1b["), "armed: 4 CPUs"), "cut off");
    }
}
