//! A web server for one folder, on loopback, as a boot server would hand out the image: HTTP/1.1 (RFC 9112), GET and
//! HEAD, one request a connection. It ends when its handle is dropped.
//!
//! It keeps what was asked for, so that a lane can require that the file really came this way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};

/// A client that says nothing for so long is left.
const SILENCE: Duration = Duration::from_secs(5);

/// The longest request that is read, in bytes.
const LONGEST_REQUEST: u64 = 16 * 1024;

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET` or what else was asked.
    pub method: String,
    /// The file's name, without the slash.
    pub name: String,
    /// What the client calls itself; empty if it does not say.
    pub agent: String,
    /// The status of the answer.
    pub status: u16,
    /// How many bytes of the file were sent.
    pub sent: u64,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    folder: PathBuf,
    cut: Option<(String, usize)>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
}

impl Server {
    /// Serves the files of `folder`. Of the one that `cut` names only so many bytes are there, as after an upload that
    /// broke off.
    pub fn start(folder: &Path, cut: Option<(&str, usize)>) -> Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io(folder))?;
        let address = listener.local_addr().map_err(Error::io(folder))?;
        let cut = cut.map(|(name, bytes)| (name.to_owned(), bytes));
        let (requests, ended) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { folder: folder.to_owned(), cut, requests, ended });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                // Relaxed: the connection that `drop` makes comes after its store by the socket.
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                // A client that went away is the client's affair: a request is kept only with its answer.
                let _ = client.and_then(|client| serving.answer(client));
            }
        });
        Ok(Server { address, shared, thread: Some(thread) })
    }

    /// The URL of `name` as a guest on QEMU's user network sees it: the host is 10.0.2.2.
    pub fn url(&self, name: &str) -> String {
        format!("http://10.0.2.2:{}/{name}", self.address.port())
    }

    /// What was asked for until now.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, which waits for a client. Without a connection it is left to the end of the process.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn answer(&self, client: TcpStream) -> std::io::Result<()> {
        client.set_read_timeout(Some(SILENCE))?;
        client.set_write_timeout(Some(SILENCE))?;
        let mut reader = BufReader::new(client.take(LONGEST_REQUEST));
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut agent = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
                break;
            }
            if let Some((key, value)) = line.split_once(':')
                && key.eq_ignore_ascii_case("user-agent")
            {
                value.trim().clone_into(&mut agent);
            }
        }
        let mut words = first.split_ascii_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let name = words.next().unwrap_or_default().trim_start_matches('/').to_owned();
        let (status, body) = match method.as_str() {
            "GET" | "HEAD" => self.file(&name).map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body)),
            _ => ("501 Not Implemented", Vec::new()),
        };
        let mut client = reader.into_inner().into_inner();
        write!(
            client,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: application/octet-stream\r\n\
             Connection: close\r\n\r\n",
            body.len()
        )?;
        let body = if method == "HEAD" { &[] } else { body.as_slice() };
        client.write_all(body)?;
        let status = status[..3].parse().unwrap_or_default();
        let request = Request { method, name, agent, status, sent: body.len() as u64 };
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        Ok(())
    }

    /// The file called `name`, which lies in the folder itself.
    fn file(&self, name: &str) -> Option<Vec<u8>> {
        let mut components = Path::new(name).components();
        let (Some(Component::Normal(_)), None) = (components.next(), components.next()) else { return None };
        let mut bytes = std::fs::read(self.folder.join(name)).ok()?;
        if let Some((cut, length)) = &self.cut
            && cut == name
        {
            bytes.truncate(*length);
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a server of this crate's own folder.
    fn ask(cut: Option<(&str, usize)>, request: &str) -> (String, Vec<Request>) {
        let server = Server::start(Path::new(env!("CARGO_MANIFEST_DIR")), cut).unwrap();
        let mut client = TcpStream::connect(server.address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        // The answer's end may arrive before the request is kept.
        let shared = Arc::clone(&server.shared);
        drop(server);
        // Its thread has ended, and with it its half of what is shared. The port says nothing: another test may have it.
        assert_eq!(Arc::strong_count(&shared), 1, "it serves on");
        (String::from_utf8(answer).unwrap(), shared.requests.lock().unwrap().clone())
    }

    #[test]
    fn a_file_is_served_and_the_request_kept() {
        let file = std::fs::read_to_string("Cargo.toml").unwrap();
        let (answer, requests) = ask(None, "GET /Cargo.toml HTTP/1.1\r\nUser-Agent: iPXE/1.0.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains(&format!("Content-Length: {}\r\n", file.len())), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{file}")), "{answer}");
        let [request] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!((request.name.as_str(), request.agent.as_str()), ("Cargo.toml", "iPXE/1.0.0"));
        assert_eq!((request.status, request.sent), (200, file.len() as u64));
    }

    #[test]
    fn a_head_has_the_length_and_no_body() {
        let (answer, requests) = ask(None, "HEAD /Cargo.toml HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(!answer.contains("Content-Length: 0") && requests[0].sent == 0, "{answer}");
    }

    #[test]
    fn nothing_outside_the_folder_is_served() {
        for name in ["/../Cargo.toml", "/src/http.rs", "//etc/passwd", "/", "/none", ""] {
            let (answer, _) = ask(None, &format!("GET {name} HTTP/1.1\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.1 404"), "{name}: {answer}");
        }
        assert!(ask(None, "PUT /Cargo.toml HTTP/1.1\r\n\r\n").0.starts_with("HTTP/1.1 501"));
    }

    #[test]
    fn a_cut_file_is_short_and_says_so() {
        let (answer, requests) = ask(Some(("Cargo.toml", 9)), "GET /Cargo.toml HTTP/1.1\r\n\r\n");
        assert!(
            answer.contains("Content-Length: 9\r\n") && answer.ends_with("\r\n\r\n[package]"),
            "{answer}"
        );
        assert_eq!(requests[0].sent, 9);
    }
}
