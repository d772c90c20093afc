//! The program in the README is the program in `examples/minimal`, and short.

use super::{Checks, Context};
use crate::error::{Error, Result};
use crate::workspace::Workspace;

const MOST_LINES: usize = 25;
const EXAMPLE: &str = "examples/minimal/src/main.rs";

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let example = read(context.workspace, EXAMPLE);
    checks.check("length", || {
        let lines = example.as_deref().map_err(|e| Error::Invalid(e.clone()))?.lines().count();
        if lines <= MOST_LINES {
            return Ok(());
        }
        Err(Error::Invalid(format!("{EXAMPLE} has {lines} lines, at most {MOST_LINES} are allowed")))
    });
    checks.check("snippet", || {
        let readme = read(context.workspace, "README.md").map_err(Error::Invalid)?;
        shows(&readme, example.as_deref().map_err(|e| Error::Invalid(e.clone()))?)
    });
}

fn read(workspace: &Workspace, path: &str) -> std::result::Result<String, String> {
    std::fs::read_to_string(workspace.root.join(path)).map_err(|e| format!("{path}: {e}"))
}

/// Whether a Rust code block of `readme` is `example`, byte for byte.
fn shows(readme: &str, example: &str) -> Result<()> {
    let blocks: Vec<&str> = readme.split("\n```rust").skip(1).filter_map(block).collect();
    if blocks.contains(&example) {
        return Ok(());
    }
    Err(Error::Invalid(format!("none of the {} Rust blocks in README.md is {EXAMPLE}", blocks.len())))
}

/// The body of a code block, given the text after its opening fence and language.
fn block(after: &str) -> Option<&str> {
    let body = after.split_once('\n')?.1;
    body.find("\n```").map(|end| &body[..=end])
}

#[cfg(test)]
mod tests {
    use super::shows;

    #[test]
    fn one_byte_of_difference_is_seen() {
        let readme = "# x\n\n```rust\nfn a() {}\n```\ntext\n```rust,no_run\nfn b() {}\n```\n";
        assert!(shows(readme, "fn a() {}\n").is_ok());
        assert!(shows(readme, "fn b() {}\n").is_ok());
        assert!(shows(readme, "fn a() { }\n").is_err());
        assert!(shows("", "fn a() {}\n").is_err());
    }
}
