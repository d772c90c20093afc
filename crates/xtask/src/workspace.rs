//! Where the workspace is, what is in it, and how cargo is called for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::process;

/// One checkout: the real one, or the copy that a mutant is applied to.
pub struct Workspace {
    /// The folder of the root manifest.
    pub root: PathBuf,
    /// Where cargo puts what it builds; `CARGO_TARGET_DIR` is respected.
    pub target: PathBuf,
    /// The member packages.
    pub packages: Vec<Package>,
}

/// A member package.
pub struct Package {
    /// Its name in the manifest.
    pub name: String,
    /// Its folder relative to the root.
    pub folder: PathBuf,
    /// Its binaries.
    pub binaries: Vec<String>,
}

impl Workspace {
    /// The workspace that this program was started from.
    pub fn find() -> Result<Workspace> {
        // Set by `cargo run`; a binary started by hand looks from where it stands.
        let from = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        Workspace::load(&from, None)
    }

    /// The workspace at `root`, built into `target`.
    pub fn at(root: &Path, target: &Path) -> Result<Workspace> {
        Workspace::load(root, Some(target))
    }

    fn load(from: &Path, target: Option<&Path>) -> Result<Workspace> {
        let mut command = cargo_program();
        command.current_dir(from).args(["metadata", "--no-deps", "--format-version", "1"]);
        if let Some(target) = target {
            command.env("CARGO_TARGET_DIR", target);
        }
        let metadata = json_line(&process::run(&command, Duration::from_secs(120))?.ok()?)?;
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from).ok_or_else(|| missing(key));
        let root = path("workspace_root")?;
        let packages = packages(&metadata, &root);
        Ok(Workspace { root, target: path("target_directory")?, packages })
    }

    /// A cargo command that runs at the root and builds into this workspace's target folder.
    pub fn cargo(&self) -> Command {
        let mut command = cargo_program();
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// A folder for the files of a task, created.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join(name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    }

    /// `path` relative to the root where it lies in it, for lines that are printed.
    pub fn shown(&self, path: &Path) -> String {
        let here = std::env::current_dir().unwrap_or_else(|_| self.root.clone());
        path.strip_prefix(here).unwrap_or(path).display().to_string()
    }
}

/// `cargo`, named without a path so that printed command lines can be typed.
fn cargo_program() -> Command {
    let mut command = Command::new("cargo");
    // Colour codes would end up in the text that lanes parse; this task's own package variables mean nothing there.
    command.env("CARGO_TERM_COLOR", "never").env_remove("CARGO_MANIFEST_DIR");
    command
}

/// The last line of `text` that is a JSON object: cargo may print warnings before it.
pub fn json_line(text: &str) -> Result<Value> {
    let line = text.lines().rev().find(|l| l.starts_with('{')).unwrap_or("");
    serde_json::from_str(line).map_err(|e| Error::Invalid(format!("cargo metadata is not JSON: {e}")))
}

fn missing(key: &str) -> Error {
    Error::Invalid(format!("cargo metadata has no `{key}`"))
}

fn packages(metadata: &Value, root: &Path) -> Vec<Package> {
    let array = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let package = |p: &Value| {
        let folder = Path::new(p["manifest_path"].as_str()?).parent()?.strip_prefix(root).ok()?.to_owned();
        let is_binary = |t: &&Value| array(&t["kind"]).iter().any(|k| k == "bin");
        let targets = array(&p["targets"]);
        let binaries = targets.iter().filter(is_binary).filter_map(|t| Some(t["name"].as_str()?.to_owned()));
        Some(Package { name: p["name"].as_str()?.to_owned(), folder, binaries: binaries.collect() })
    };
    array(&metadata["packages"]).iter().filter_map(package).collect()
}
