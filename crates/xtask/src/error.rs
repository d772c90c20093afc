//! What can go wrong in a task, said for the person who typed the command.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of every step of a task.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a task stopped.
#[derive(Debug)]
pub enum Error {
    /// A file or socket operation failed.
    Io {
        /// The file or socket.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A program could not be started.
    Start {
        /// The command line.
        command: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A program ran and reported failure.
    Status {
        /// The command line.
        command: String,
        /// What it printed.
        output: String,
    },
    /// Something did not happen in time.
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The guest or the emulator did not do what it had to.
    Guest(String),
    /// A mutant got past the lane of this name.
    Unseen(String),
    /// A program that is needed is not installed.
    Missing {
        /// The program.
        tool: &'static str,
        /// The command that gets it.
        get: String,
    },
    /// A document (JSON, ELF, mutant, option) is not as it must be.
    Invalid(String),
}

impl Error {
    /// Attaches `path` to an I/O error, for `map_err`.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| Error::Io { path: path.to_owned(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Error::Start { command, source } => write!(f, "cannot start `{command}`: {source}"),
            Error::Status { command, output } => write!(f, "`{command}` failed\n{}", output.trim_end()),
            Error::Deadline { what, limit } => write!(f, "{what}: not within {:.1} s", limit.as_secs_f64()),
            Error::Guest(why) | Error::Invalid(why) => f.write_str(why),
            Error::Unseen(lane) => write!(f, "{lane} passes with it"),
            Error::Missing { tool, get } => write!(f, "{tool} is not installed; get it by: {get}"),
        }
    }
}

impl std::error::Error for Error {}
