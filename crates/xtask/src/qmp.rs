//! QEMU's machine protocol: one JSON object a line over a Unix socket (docs/interop/qmp-spec.txt in QEMU).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};

const CLOSED: &str = "the emulator closed the connection";

/// A connection in command mode.
pub struct Qmp {
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket at `path`, which QEMU creates soon after its start, and leaves negotiation mode. Gives up
    /// at once when QEMU `has_ended`.
    pub fn connect(path: &Path, deadline: Instant, mut has_ended: impl FnMut() -> bool) -> Result<Qmp> {
        let socket = loop {
            match UnixStream::connect(path) {
                Ok(socket) => break socket,
                Err(source) if Instant::now() >= deadline || has_ended() => {
                    return Err(Error::Io { path: path.to_owned(), source });
                }
                // Paces the polling: nothing announces the socket but its existence.
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let mut qmp = Qmp { lines: BufReader::new(socket) };
        let greeting = qmp.read(deadline)?.unwrap_or_default();
        if greeting.get("QMP").is_none() {
            return Err(Error::Guest(format!("QMP greeting expected, got {greeting}")));
        }
        qmp.execute("qmp_capabilities", json!({}), deadline)?;
        Ok(qmp)
    }

    /// Runs one command and gives its return value. Events that arrive meanwhile are dropped.
    pub fn execute(&mut self, command: &str, arguments: Value, deadline: Instant) -> Result<Value> {
        let closed = || Error::Guest(format!("QMP {command}: {CLOSED}"));
        self.execute_until_end(command, arguments, deadline)?.ok_or_else(closed)
    }

    /// Runs one command after which the machine may end. `None` when it did before QEMU could answer: an exit of the
    /// guest's ends QEMU at once, with whatever it had not sent.
    pub fn execute_until_end(
        &mut self,
        command: &str,
        arguments: Value,
        deadline: Instant,
    ) -> Result<Option<Value>> {
        let request = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let sent = self.lines.get_mut().write_all(request.as_bytes());
        sent.map_err(|e| Error::Guest(format!("QMP {command}: {e}")))?;
        loop {
            let Some(mut answer) = self.read(deadline)? else { return Ok(None) };
            if let Some(value) = answer.get_mut("return") {
                return Ok(Some(value.take()));
            }
            if let Some(error) = answer.get("error") {
                return Err(Error::Guest(format!("QMP {command}: {}", error["desc"])));
            }
        }
    }

    /// The next object; `None` when QEMU has closed the connection.
    fn read(&mut self, deadline: Instant) -> Result<Option<Value>> {
        // A zero timeout means none at all to the socket, so an expired deadline still gets a millisecond.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut line = String::new();
        let read = self.lines.get_ref().set_read_timeout(Some(left));
        let read = read.and_then(|()| self.lines.read_line(&mut line));
        match read {
            // Also a line that was cut off by the end.
            Ok(_) if !line.ends_with('\n') => Ok(None),
            Ok(_) => serde_json::from_str(&line).map(Some).map_err(|e| Error::Guest(format!("QMP: {e}"))),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => Ok(None),
            Err(e) => Err(Error::Guest(format!("QMP: {e}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn emulator(
        answers: &'static [&'static str],
    ) -> (std::path::PathBuf, std::thread::JoinHandle<Vec<Value>>) {
        use std::sync::atomic::{AtomicU32, Ordering};
        // Relaxed: only uniqueness matters.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("qmp-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut requests = BufReader::new(socket.try_clone().unwrap());
            socket.write_all(b"{\"QMP\": {\"version\": {}}}\n").unwrap();
            let mut seen = Vec::new();
            for answer in answers {
                let mut line = String::new();
                requests.read_line(&mut line).unwrap();
                seen.push(serde_json::from_str(&line).unwrap());
                socket.write_all(answer.as_bytes()).unwrap();
            }
            seen
        });
        (path, thread)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn events_before_the_answer_are_passed_over() {
        let (path, thread) =
            emulator(&["{\"return\": {}}\n", "{\"event\": \"STOP\"}\n{\"return\": {\"running\": true}}\n"]);
        let mut qmp = Qmp::connect(&path, soon(), || false).unwrap();
        let status = qmp.execute("query-status", json!({}), soon()).unwrap();
        assert_eq!(status["running"], true);
        assert_eq!(thread.join().unwrap()[1]["execute"], "query-status");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_refused_command_is_an_error_that_names_it() {
        let (path, _thread) = emulator(&["{\"return\": {}}\n", "{\"error\": {\"desc\": \"no such\"}}\n"]);
        let mut qmp = Qmp::connect(&path, soon(), || false).unwrap();
        let error = qmp.execute("fly", json!({}), soon()).unwrap_err().to_string();
        assert!(error.contains("fly") && error.contains("no such"), "{error}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_end_before_the_answer_is_told_from_a_refusal() {
        static CUT_OFF: [[&str; 2]; 2] = [["{\"return\": {}}\n", ""], ["{\"return\": {}}\n", "{\"ret"]];
        for answers in &CUT_OFF {
            let (path, thread) = emulator(answers);
            let mut qmp = Qmp::connect(&path, soon(), || false).unwrap();
            assert_eq!(qmp.execute_until_end("inject-nmi", json!({}), soon()).unwrap(), None);
            thread.join().unwrap();
            std::fs::remove_file(path).unwrap();
        }
        let (path, _thread) = emulator(&["{\"return\": {}}\n", ""]);
        let error = Qmp::connect(&path, soon(), || false).unwrap().execute("stop", json!({}), soon());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("stop") && error.contains("closed"), "{error}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let (path, _thread) = emulator(&[]);
        let start = Instant::now();
        assert!(Qmp::connect(&path, start + Duration::from_millis(100), || false).is_err());
        assert!(start.elapsed() < Duration::from_secs(4));
        std::fs::remove_file(path).unwrap();
    }
}
