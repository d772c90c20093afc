//! `cargo xtask` alone: what can be typed, what is tested, what is missing here.

use crate::error::Result;
use crate::firmware;
use crate::lanes;
use crate::tools;
use crate::workspace::Workspace;

/// Prints the overview.
pub fn run(workspace: &Workspace) -> Result<bool> {
    println!("Commands (cargo xtask COMMAND --help):");
    for (name, about) in super::described() {
        println!("  {name:<12} {about}");
    }
    println!("\nExamples (cargo xtask run NAME):");
    println!("  {}", firmware::names(workspace).join(", "));
    println!("\nLanes (cargo xtask test --lane NAME):");
    for lane in lanes::ALL {
        println!("  {:<12} {}", lane.name, lane.about);
    }
    let missing: Vec<_> = tools::ALL.iter().filter(|t| !t.is_here()).collect();
    if missing.is_empty() {
        println!("\nTools: all there.");
    } else {
        println!("\nMissing tools:");
        for tool in missing {
            println!("  {:<20} {:<48} {}", tool.name, tool.get(), tool.purpose);
        }
    }
    Ok(true)
}
