//! Emits the search path of the linker scripts, for packages that have `panic-smp-linker` among their normal
//! dependencies. Cargo does not hand on the search path of a build-dependency: build scripts call
//! `panic_smp_linker::configure` instead.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=appliance.ld");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    fs::copy("appliance.ld", out.join("appliance.ld"))?;
    println!("cargo::rustc-link-search={}", out.display());
    Ok(())
}
