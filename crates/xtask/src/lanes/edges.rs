//! Who may depend on whom, checked from `cargo metadata` as resolved for the firmware's target.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::{Checks, Context};
use crate::error::{Error, Result};
use crate::process;
use crate::tools::FIRMWARE_TARGET;
use crate::workspace::json_line;

/// The layers: which members of the workspace each package may name. One that is not listed here, and is neither a
/// board nor firmware nor a test, is a failure: a new package gets its row with its reason.
#[rustfmt::skip]
const LAYERS: &[(&str, &[&str])] = &[
    ("panic-smp-stop-protocol", &[]),
    ("panic-smp-crash-record", &["panic-smp-stop-protocol"]),
    ("panic-smp-nmi-source", &["panic-smp-stop-protocol"]),
    ("panic-smp-boot-handoff", &[]),
    ("panic-smp-firmware-tables", &[]),
    ("panic-smp-efi-loader", &["panic-smp-boot-handoff"]),
    ("panic-smp", &["panic-smp-stop-protocol", "panic-smp-crash-record", "panic-smp-nmi-source"]),
    ("panic-smp-critical-section", &[]),
    ("panic-smp-screen", &["panic-smp"]),
    ("panic-smp-appliance-rt", &["panic-smp", "panic-smp-boot-handoff", "panic-smp-firmware-tables"]),
    ("panic-smp-linker", &[]),
    ("panic-smp-postmortem", &["panic-smp-stop-protocol", "panic-smp-crash-record"]),
    ("panic-smp-xtask", &["panic-smp-boot-handoff", "panic-smp-contain-zone", "panic-smp-crash-record", "panic-smp-postmortem", "panic-smp-screen", "panic-smp-stop-protocol"]),
];

/// What a board may name.
const BOARD: &[&str] = &["panic-smp-nmi-source", "panic-smp-firmware-tables"];

/// Crates that touch the machine: a pure crate reaches none of them.
const HARDWARE: &[&str] = &["x86", "raw-cpuid", "panic-smp", "panic-smp-appliance-rt", "critical-section"];

/// Crates that build and are tested without a machine.
const PURE: &[&str] = &[
    "panic-smp-stop-protocol",
    "panic-smp-crash-record",
    "panic-smp-nmi-source",
    "panic-smp-boot-handoff",
    "panic-smp-firmware-tables",
];

/// The example that shows that panic-smp stands without our start-up, and what it therefore does without.
const OWN_BOOT: (&str, &[&str]) =
    ("panic-smp-example-bring-your-own-boot", &["panic-smp-appliance-rt", "panic-smp-linker"]);

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut command = context.workspace.cargo();
    command.args(["metadata", "--format-version", "1", "--filter-platform", FIRMWARE_TARGET]);
    let graph = process::run(&command, Duration::from_secs(120))
        .and_then(process::Output::ok)
        .and_then(|text| Graph::read(&json_line(&text)?));
    let graph = match graph {
        Ok(graph) => graph,
        Err(error) => {
            checks.check("metadata", || Err(error));
            return;
        }
    };
    for (name, offences) in rules(&graph) {
        checks.check(name, || {
            if offences.is_empty() { Ok(()) } else { Err(Error::Invalid(offences.join("\n"))) }
        });
    }
}

/// Each rule with what breaks it.
fn rules(graph: &Graph) -> Vec<(&'static str, Vec<String>)> {
    let boards: Vec<&str> = graph.members_in("board-support/").collect();
    vec![
        ("stop-protocol-alone", graph.names_other_than("panic-smp-stop-protocol", &[])),
        ("layers", layers(graph)),
        ("boards-apart", reaching(graph, &boards, &["panic-smp", "panic-smp-appliance-rt"])),
        ("pure-crates", reaching(graph, PURE, HARDWARE)),
        ("no-critical-section-on-path", reaching(graph, &["panic-smp"], &["critical-section"])),
        ("nobody-needs-a-board", leaves(graph, &boards)),
        ("own-boot-is-its-own", reaching(graph, &[OWN_BOOT.0], OWN_BOOT.1)),
    ]
}

fn layers(graph: &Graph) -> Vec<String> {
    let mut offences = Vec::new();
    for (name, folder) in &graph.members {
        let allowed = if folder.starts_with("board-support/") {
            BOARD
        } else if let Some((_, allowed)) = LAYERS.iter().find(|(package, _)| package == name) {
            allowed
        } else if folder.starts_with("examples/") || folder.starts_with("tests/") {
            continue;
        } else {
            offences.push(format!("{name} ({folder}) has no row in the table of layers"));
            continue;
        };
        offences.extend(
            graph
                .member_edges(name)
                .filter(|to| !allowed.contains(to))
                .map(|to| format!("{name} depends on {to}; it may depend on: {}", allowed.join(", "))),
        );
    }
    offences
}

fn reaching(graph: &Graph, from: &[&str], forbidden: &[&str]) -> Vec<String> {
    let chains = |from: &&str| {
        let reached = graph.reached(from);
        let hits = forbidden.iter().filter(|to| *to != from).filter_map(move |to| reached.get(*to).cloned());
        hits.map(|chain| chain.join(" -> ")).collect::<Vec<_>>()
    };
    from.iter().flat_map(chains).collect()
}

/// Boards are leaves: only firmware names them.
fn leaves(graph: &Graph, boards: &[&str]) -> Vec<String> {
    let is_firmware = |folder: &str| folder.starts_with("examples/") || folder.starts_with("tests/");
    let mut offences = Vec::new();
    for (name, folder) in graph.members.iter().filter(|(_, folder)| !is_firmware(folder)) {
        let named = graph.member_edges(name).filter(|to| boards.contains(to));
        offences.extend(named.map(|board| format!("{name} ({folder}) depends on the board {board}")));
    }
    offences
}

/// Packages by name with what they name outside of tests. Two versions of one package count as one.
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
    /// The workspace's members with their folders.
    members: BTreeMap<String, String>,
}

impl Graph {
    fn read(metadata: &Value) -> Result<Graph> {
        let bad = || Error::Invalid("cargo metadata lacks a field".into());
        let array = |v: &'_ Value| v.as_array().cloned().ok_or_else(bad);
        let text = |v: &Value| v.as_str().map(str::to_owned).ok_or_else(bad);
        let root = text(&metadata["workspace_root"])? + "/";
        let members = array(&metadata["workspace_members"])?;
        let mut names = BTreeMap::new();
        let mut graph = Graph { edges: BTreeMap::new(), members: BTreeMap::new() };
        for package in array(&metadata["packages"])? {
            let name = text(&package["name"])?;
            if members.contains(&package["id"]) {
                let folder = text(&package["manifest_path"])?.replace("/Cargo.toml", "");
                graph.members.insert(name.clone(), folder.replacen(&root, "", 1));
            }
            names.insert(text(&package["id"])?, name);
        }
        for node in array(&metadata["resolve"]["nodes"])? {
            let from = names.get(&text(&node["id"])?).ok_or_else(bad)?;
            let edges = graph.edges.entry(from.clone()).or_default();
            for dep in array(&node["deps"])? {
                // A dependency only of tests never reaches the firmware.
                if array(&dep["dep_kinds"])?.iter().any(|k| k["kind"] != "dev") {
                    edges.insert(names.get(&text(&dep["pkg"])?).ok_or_else(bad)?.clone());
                }
            }
        }
        Ok(graph)
    }

    fn members_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.members.iter().filter(move |(_, f)| f.starts_with(folder)).map(|(name, _)| name.as_str())
    }

    fn named(&self, from: &str) -> impl Iterator<Item = &str> {
        self.edges.get(from).into_iter().flatten().map(String::as_str)
    }

    fn member_edges(&self, from: &str) -> impl Iterator<Item = &str> {
        self.named(from).filter(|to| self.members.contains_key(*to))
    }

    fn names_other_than(&self, from: &str, allowed: &[&str]) -> Vec<String> {
        if !self.edges.contains_key(from) {
            return vec![format!("{from} is not in the workspace")];
        }
        self.named(from).filter(|to| !allowed.contains(to)).map(|to| format!("{from} -> {to}")).collect()
    }

    /// What `from` reaches, each with one chain of names that leads there.
    fn reached(&self, from: &str) -> BTreeMap<String, Vec<String>> {
        let mut reached = BTreeMap::from([(from.to_owned(), vec![from.to_owned()])]);
        let mut open = vec![from.to_owned()];
        while let Some(at) = open.pop() {
            for to in self.named(&at) {
                if !reached.contains_key(to) {
                    let mut chain = reached[&at].clone();
                    chain.push(to.to_owned());
                    reached.insert(to.to_owned(), chain);
                    open.push(to.to_owned());
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let folder = |name: &str| match name {
            n if n.contains("board") => format!("board-support/{n}"),
            n if n.contains("example") => format!("examples/{n}"),
            n => format!("crates/{n}"),
        };
        Graph {
            edges: edges.iter().map(|(from, to)| ((*from).to_owned(), owned(to))).collect(),
            members: edges
                .iter()
                .filter(|(n, _)| n.starts_with("panic-smp"))
                .map(|(n, _)| ((*n).to_owned(), folder(n)))
                .collect(),
        }
    }

    fn broken(edges: &[(&str, &[&str])]) -> Vec<&'static str> {
        rules(&graph(edges)).into_iter().filter(|(_, o)| !o.is_empty()).map(|(name, _)| name).collect()
    }

    #[test]
    fn the_designed_edges_hold() {
        let edges: &[(&str, &[&str])] = &[
            ("panic-smp-stop-protocol", &[]),
            ("panic-smp-nmi-source", &["panic-smp-stop-protocol"]),
            ("panic-smp", &["panic-smp-nmi-source", "x86"]),
            ("panic-smp-board-a", &["panic-smp-nmi-source"]),
            ("panic-smp-example-a", &["panic-smp", "panic-smp-board-a", "critical-section"]),
        ];
        assert_eq!(broken(edges), [""; 0]);
    }

    #[test]
    fn each_forbidden_edge_is_seen_through_a_chain() {
        const STOP: (&str, &[&str]) = ("panic-smp-stop-protocol", &[]);
        assert_eq!(broken(&[("panic-smp-stop-protocol", &["bitflags"])]), ["stop-protocol-alone"]);
        assert_eq!(
            broken(&[STOP, ("panic-smp-board-a", &["helper"]), ("helper", &["panic-smp"])]),
            ["boards-apart"]
        );
        assert_eq!(
            broken(&[STOP, ("panic-smp-crash-record", &["helper"]), ("helper", &["x86"])]),
            ["pure-crates"]
        );
        assert_eq!(
            broken(&[STOP, ("panic-smp", &["queue"]), ("queue", &["critical-section"])]),
            ["no-critical-section-on-path"]
        );
        assert_eq!(
            broken(&[STOP, (OWN_BOOT.0, &["helper"]), ("helper", &[OWN_BOOT.1[0]])]),
            ["own-boot-is-its-own"]
        );
        assert_eq!(broken(&[STOP, ("panic-smp-firmware-tables", &["panic-smp-stop-protocol"])]), ["layers"]);
        assert_eq!(broken(&[STOP, ("panic-smp-unknown", &[])]), ["layers"]);
    }
}
