//! One line on stderr for each step that takes a person's patience.

use std::sync::OnceLock;
use std::time::Instant;

/// Says what is being done now, with the seconds since the first step.
pub fn step(what: &str) {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    eprintln!("[{:6.1} s] {what}", start.elapsed().as_secs_f64());
}
