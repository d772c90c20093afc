//! `cargo xtask mutants`: breaks a copy of the workspace on purpose and requires that a lane sees it.
//!
//! A mutant is `tests/mutants/NAME.patch`; tests/mutants/README.md has the format. One that no longer applies, or
//! does not build, fails: it proves nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::lanes::{self, BUILD, Checks, Context, Outcome, Selection};
use crate::process;
use crate::progress::step;
use crate::tools::GIT;
use crate::workspace::Workspace;

/// Which mutants.
#[derive(clap::Args)]
pub struct Args {
    /// Only the mutant of this name
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// A mutant as its file describes it.
struct Mutant {
    name: String,
    what: String,
    caught_by: Vec<Selection>,
    patch: PathBuf,
}

/// What came of a mutant.
pub struct Tried {
    /// The file's name without its ending.
    pub name: String,
    /// What the mutant breaks.
    pub what: String,
    /// The lanes that have to see it.
    pub lanes: String,
    /// Whether each of them did.
    pub verdict: Result<()>,
}

/// Tries the mutants and prints the table; false when one was not seen.
pub fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    GIT.require()?;
    let results = all(workspace, &|name| args.only.as_deref().is_none_or(|only| only == name))?;
    print!("{}", table(&results));
    for result in &results {
        if let Err(error) = &result.verdict {
            println!("{}: {error}\n  replay: cargo xtask mutants --only {}", result.name, result.name);
        }
    }
    Ok(results.iter().all(|r| r.verdict.is_ok()))
}

/// Tries each mutant that `wanted` accepts by name.
pub fn all(workspace: &Workspace, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Tried>> {
    let mutants = read_all(&workspace.root.join("tests/mutants"))?;
    let mutants: Vec<Mutant> = mutants.into_iter().filter(|m| wanted(&m.name)).collect();
    if mutants.is_empty() {
        return Err(Error::Invalid("no mutant of that name in tests/mutants".into()));
    }
    let copy = Copy::create(workspace)?;
    // A lane that fails anyway sees nothing, so each must pass on the unchanged copy first.
    let mut baseline: Vec<Selection> = Vec::new();
    for selection in mutants.iter().flat_map(|m| &m.caught_by) {
        if !baseline.contains(selection) {
            step(&format!("{} on the unchanged copy", shown(selection)));
            if let Some(seen) = failures(&copy.workspace, selection)?.first() {
                return Err(Error::Invalid(format!("{} fails without any mutant: {seen}", shown(selection))));
            }
            baseline.push(selection.clone());
        }
    }
    mutants.into_iter().map(|mutant| try_one(workspace, &copy, mutant)).collect()
}

/// One line for each mutant.
pub fn table(results: &[Tried]) -> String {
    let mut text = format!("{:<28} {:<20} {:<9} {}\n", "mutant", "lane", "verdict", "what it breaks");
    for result in results {
        let verdict = match &result.verdict {
            Ok(()) => "seen",
            Err(Error::Unseen(_)) => "NOT SEEN",
            Err(_) => "INVALID",
        };
        text += &format!("{:<28} {:<20} {verdict:<9} {}\n", result.name, result.lanes, result.what);
    }
    text
}

fn try_one(workspace: &Workspace, copy: &Copy, mutant: Mutant) -> Result<Tried> {
    step(&format!("mutant {}", mutant.name));
    copy.refresh(workspace)?;
    let verdict = apply(&copy.workspace.root, &mutant.patch).and_then(|()| {
        mutant.caught_by.iter().try_for_each(|selection| {
            match failures(&copy.workspace, selection)?.as_slice() {
                [] => Err(Error::Unseen(shown(selection))),
                seen => {
                    step(&format!("seen by {}", seen[0].lines().next().unwrap_or_default()));
                    Ok(())
                }
            }
        })
    });
    let lanes = mutant.caught_by.iter().map(shown).collect::<Vec<_>>().join(" ");
    Ok(Tried { name: mutant.name, what: mutant.what, lanes, verdict })
}

fn shown(selection: &Selection) -> String {
    match &selection.check {
        Some(check) => format!("{}/{check}", selection.lane),
        None => selection.lane.to_owned(),
    }
}

/// The checks of the lane that fail on `workspace`. A lane that cannot run there, or a tree that does not build, is
/// an error: it says nothing about what the lane can see.
fn failures(workspace: &Workspace, selection: &Selection) -> Result<Vec<String>> {
    let checks =
        Checks::of(lanes::find(selection.lane)?, selection.check.as_deref(), &Context::of_few(workspace));
    let mut seen = Vec::new();
    for check in checks.list() {
        match &check.outcome {
            Outcome::Passed => {}
            Outcome::Failed { why, .. } if check.name == BUILD => {
                return Err(Error::Invalid(format!("it does not build\n{why}")));
            }
            Outcome::Failed { why, .. } => seen.push(format!("{}: {why}", check.name)),
            Outcome::Skipped { why } if check.name == "all" => {
                return Err(Error::Invalid(format!("{} cannot run: {why}", shown(selection))));
            }
            Outcome::Skipped { .. } => {}
        }
    }
    Ok(seen)
}

/// A copy of the workspace's sources, kept between mutants so that only what changed is built again.
struct Copy {
    workspace: Workspace,
}

impl Copy {
    fn create(of: &Workspace) -> Result<Copy> {
        let root = of.folder("mutants/tree")?;
        synchronise(&of.root, &root)?;
        Ok(Copy { workspace: Workspace::at(&root, &of.folder("mutants/target")?)? })
    }

    fn refresh(&self, of: &Workspace) -> Result<()> {
        synchronise(&of.root, &self.workspace.root)
    }
}

/// Makes `to` hold exactly the files of `from` that git tracks or would track. Files that are equal are left alone:
/// their times tell cargo that nothing changed.
fn synchronise(from: &Path, to: &Path) -> Result<()> {
    let mut command = std::process::Command::new("git");
    command.current_dir(from).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = process::run(&command, Duration::from_secs(60))?.ok()?;
    let mut wanted: BTreeSet<PathBuf> = BTreeSet::new();
    for name in listed.split('\0').filter(|n| !n.is_empty()) {
        let (source, copy) = (from.join(name), to.join(name));
        if !source.is_file() {
            continue; // tracked, but deleted in the working tree
        }
        let bytes = std::fs::read(&source).map_err(Error::io(&source))?;
        wanted.insert(copy.clone());
        if std::fs::read(&copy).is_ok_and(|old| old == bytes) {
            continue;
        }
        if let Some(folder) = copy.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        std::fs::write(&copy, bytes).map_err(Error::io(&copy))?;
    }
    remove_others(to, &wanted)
}

/// Removes the files below `folder` that are not `wanted`, such as those a mutant added.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) {
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

fn apply(tree: &Path, patch: &Path) -> Result<()> {
    let mut command = std::process::Command::new("git");
    command.current_dir(tree).args(["apply", "--whitespace=nowarn"]).arg(patch);
    // The copy lies inside the repository's folder; without this git would take its paths from there.
    if let Some(parent) = tree.parent() {
        command.env("GIT_CEILING_DIRECTORIES", parent);
    }
    let output = process::run(&command, Duration::from_secs(60))?;
    if output.success {
        return Ok(());
    }
    Err(Error::Invalid(format!("it no longer applies\n{}", output.text.trim_end())))
}

fn read_all(folder: &Path) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let patch = entry.map_err(Error::io(folder))?.path();
        if patch.extension().is_some_and(|e| e == "patch") {
            let text = std::fs::read_to_string(&patch).map_err(Error::io(&patch))?;
            mutants.push(read(&text, &patch)?);
        }
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}

/// Reads the header lines, which come before the diff: `# what: TEXT` and `# caught-by: LANE[/CHECK]...`.
fn read(text: &str, patch: &Path) -> Result<Mutant> {
    let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let header = |key: &str| {
        let mut lines = text.lines().take_while(|l| l.starts_with('#'));
        let value = lines.find_map(|l| l.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(':'));
        value
            .map(|v| v.trim().to_owned())
            .ok_or_else(|| Error::Invalid(format!("{name}: no line `# {key}:`")))
    };
    let what = header("what")?;
    let caught_by = header("caught-by")?;
    let caught_by: Vec<Selection> =
        caught_by.split_whitespace().map(Selection::parse).collect::<Result<_>>()?;
    if caught_by.is_empty() || caught_by.iter().any(|s| s.lane == "mutants") {
        return Err(Error::Invalid(format!("{name}: `# caught-by:` must name lanes other than mutants")));
    }
    Ok(Mutant { what, caught_by, patch: patch.to_owned(), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_and_required() {
        let path = Path::new("no-poll.patch");
        let mutant =
            read("# what: no polling\n# caught-by: model boot/4-cpus\n--- a/x\n+++ b/x\n", path).unwrap();
        assert_eq!((mutant.name.as_str(), mutant.what.as_str()), ("no-poll", "no polling"));
        assert_eq!(mutant.caught_by.iter().map(shown).collect::<Vec<_>>(), ["model", "boot/4-cpus"]);
        assert!(read("# what: x\n--- a/x\n# caught-by: boot\n", path).is_err());
        assert!(read("# what: x\n# caught-by: mutants\n", path).is_err());
        assert!(read("# what: x\n# caught-by: nothing\n", path).is_err());
    }

    #[test]
    fn a_copy_follows_its_source_and_a_patch_applies_once() {
        let base = std::env::temp_dir().join(format!("mutants-test-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("copy/tree"));
        std::fs::create_dir_all(&from).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        let mut git = std::process::Command::new("git");
        git.args(["init", "--quiet"]).arg(&base);
        process::run(&git, Duration::from_secs(10)).unwrap().ok().unwrap();
        std::fs::write(from.join("a"), "one\n").unwrap();
        std::fs::write(to.join("stray"), "").unwrap();
        let patch = base.join("p.patch");
        std::fs::write(&patch, "# what: x\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-one\n+two\n").unwrap();

        synchronise(&from, &to).unwrap();
        assert!(!to.join("stray").exists());
        apply(&to, &patch).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), "two\n");
        assert!(apply(&to, &patch).is_err(), "a patch that does not apply is an error");
        synchronise(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), "one\n");
        std::fs::remove_dir_all(base).unwrap();
    }
}
