//! Links by this package's own script.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rustc-link-arg-bins=-T{folder}/link.ld");
    // Where a C compiler links, it must leave out its start-up files and be asked for the build-id.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "none") {
        for argument in ["-nostartfiles", "-static", "-no-pie", "-Wl,--build-id=sha1"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
