//! Reads what `cargo test` prints: one check for each test.

use super::{Checks, Outcome};
use crate::process::Output;

/// A test that has run.
#[derive(Debug, PartialEq, Eq)]
pub struct Test {
    /// The package's library or binary, or file of documentation tests, as cargo announces it.
    pub binary: String,
    /// The test's path.
    pub name: String,
    /// How it ended.
    pub end: End,
}

/// How a test ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// `ok`
    Passed,
    /// `FAILED`
    Failed,
    /// `ignored`, with its reason.
    Ignored(String),
}

/// The tests that `text` reports. cargo announces each binary, then the test harness names each test.
pub fn parse(text: &str) -> Vec<Test> {
    let mut binary = String::new();
    let mut tests = Vec::new();
    // What a test itself printed comes after the list of its binary and could look like it.
    let mut listing = false;
    for line in text.lines() {
        if let Some(name) = announced(line) {
            binary = name;
        } else if line.starts_with("running ") {
            listing = true;
        } else if line == "failures:" || line == "successes:" || line.starts_with("test result:") {
            listing = false;
        } else if listing && let Some((name, end)) = test(line) {
            tests.push(Test { binary: binary.clone(), name, end });
        }
    }
    tests
}

/// Adds a check for each test of `output`, and one for a run that failed otherwise.
pub fn push_all(checks: &mut Checks, output: &Output) {
    let tests = parse(&output.text);
    let mut failed = false;
    for test in &tests {
        let name = format!("{}:{}", test.binary, test.name);
        let outcome = match &test.end {
            End::Passed => Outcome::Passed,
            End::Ignored(why) => Outcome::Skipped { why: format!("ignored by its author: {why}") },
            End::Failed => {
                failed = true;
                let why = section(&output.text, &test.name);
                Outcome::Failed { why, replay: format!("{} {}", output.command, test.name) }
            }
        };
        checks.push(&name, outcome);
    }
    let why = if tests.is_empty() {
        "no test ran"
    } else if !output.success && !failed {
        "cargo test failed beside its tests"
    } else {
        return;
    };
    let why = format!("{why}\n{}", crate::process::tail(&output.text, 40));
    checks.push("run", Outcome::Failed { why, replay: output.command.clone() });
}

/// What the failed test `name` printed.
fn section(text: &str, name: &str) -> String {
    let heading = format!("---- {name} stdout ----");
    let lines = text.lines().skip_while(|l| *l != heading).skip(1);
    lines.take_while(|l| !l.starts_with("---- ") && *l != "failures:").take(20).collect::<Vec<_>>().join("\n")
}

/// `     Running unittests src/lib.rs (target/debug/deps/NAME-HASH)` or `   Doc-tests NAME`.
fn announced(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} docs"));
    }
    let path = line.strip_prefix("Running ")?.rsplit_once('(')?.1.strip_suffix(')')?;
    let file = path.rsplit('/').next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

/// `test NAME ... ok`, also with ` - should panic` before the dots.
fn test(line: &str) -> Option<(String, End)> {
    let (name, end) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let end = match end.split_once(", ").unwrap_or((end, "")) {
        ("ok", _) => End::Passed,
        ("FAILED", _) => End::Failed,
        ("ignored", why) => End::Ignored(why.to_owned()),
        _ => return None,
    };
    Some((name.trim_end_matches(" - should panic").to_owned(), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "   Compiling a v0.1.0
     Running unittests src/lib.rs (target/debug/deps/first_lib-0123456789abcdef)

running 3 tests
test one ... ok
test sub::two ... FAILED
test three ... ignored, needs hardware

failures:

---- sub::two stdout ----
test fake ... ok
because
failures:
    sub::two

test result: FAILED. 1 passed; 1 failed; 1 ignored
   Doc-tests first_lib

running 1 test
test src/lib.rs - x (line 3) ... ok
";

    #[test]
    fn each_test_is_found_with_its_binary() {
        let tests = parse(TEXT);
        let seen: Vec<(&str, &str)> = tests.iter().map(|t| (t.binary.as_str(), t.name.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("first_lib", "one"),
                ("first_lib", "sub::two"),
                ("first_lib", "three"),
                ("first_lib docs", "src/lib.rs - x (line 3)")
            ]
        );
        assert_eq!(tests[1].end, End::Failed);
        assert_eq!(tests[2].end, End::Ignored("needs hardware".into()));
        assert_eq!(section(TEXT, "sub::two"), "test fake ... ok\nbecause");
    }
}
