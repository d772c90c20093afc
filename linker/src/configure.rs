//! What a firmware package's build script calls.

use std::{env, fmt, fs, io, path::PathBuf};

/// Why the linker could not be configured.
#[derive(Debug)]
pub enum Error {
    /// `OUT_DIR` is not set: this is not a build script.
    NotABuildScript,
    /// The script could not be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABuildScript => f.write_str("OUT_DIR is not set: call this from a build script"),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

/// Has the binaries of the calling package linked by `appliance.ld`.
///
/// To be called in a build script. It writes the linker script to the build script's `OUT_DIR` and prints the search
/// path and the linker argument for Cargo. Only binaries built for bare metal (`target_os = "none"`) are affected,
/// so that a package may also be built for the host.
///
/// # Panics
///
/// Outside a build script, or if the file cannot be written. [`try_configure`] returns the error.
pub fn configure() {
    if let Err(error) = try_configure() {
        panic!("panic-smp-linker: {error}");
    }
}

/// As [`configure`], with the error returned.
///
/// # Errors
///
/// Outside a build script, or if the file cannot be written.
pub fn try_configure() -> Result<(), Error> {
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(Error::NotABuildScript)?;
    // Nothing outside this package decides: Cargo runs the caller's build script again when this package changes.
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_CFG_TARGET_OS").is_none_or(|os| os != "none") {
        return Ok(());
    }
    let script = out.join("appliance.ld");
    fs::write(&script, super::APPLIANCE).map_err(|error| Error::Write(script, error))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tappliance.ld");
    Ok(())
}
