//! Stack use over the call graph.

use std::collections::{BTreeMap, BTreeSet};

use crate::walk::{Edge, Node};

/// Greatest depths from one function on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peak {
    /// Bytes on the stack it was entered with, and the functions that make them.
    pub entered: (i64, Vec<u64>),
    /// Bytes on any other stack.
    pub switched: (i64, Vec<u64>),
}

/// Returns the peak from `entry`. A call that closes a cycle counts once; recursion is reported elsewhere.
pub(crate) fn peak(
    entry: u64,
    nodes: &BTreeMap<u64, Node>,
    known: &mut BTreeMap<u64, Peak>,
    on_path: &mut BTreeSet<u64>,
) -> Peak {
    if let Some(peak) = known.get(&entry) {
        return peak.clone();
    }
    let Some(node) = nodes.get(&entry).filter(|_| on_path.insert(entry)) else { return Peak::default() };
    let mut found = Peak::default();
    for (region, depth) in &node.body.depths {
        raise(if *region == 0 { &mut found.entered } else { &mut found.switched }, *depth, &[]);
    }
    for Edge { target, region, depth, .. } in &node.edges {
        let callee = peak(*target, nodes, known, on_path);
        let total = depth.saturating_add(callee.entered.0);
        raise(if *region == 0 { &mut found.entered } else { &mut found.switched }, total, &callee.entered.1);
        raise(&mut found.switched, callee.switched.0, &callee.switched.1);
    }
    found.entered.1.insert(0, entry);
    if found.switched.0 > 0 {
        found.switched.1.insert(0, entry);
    }
    on_path.remove(&entry);
    known.insert(entry, found.clone());
    found
}

fn raise(peak: &mut (i64, Vec<u64>), bytes: i64, path: &[u64]) {
    if bytes > peak.0 {
        *peak = (bytes, path.to_vec());
    }
}
