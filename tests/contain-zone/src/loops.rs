//! Loops of one function's control-flow graph.

use std::collections::{BTreeMap, BTreeSet};

/// A natural loop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    /// Where every round begins.
    pub header: u64,
    /// All instructions of the loop.
    pub body: Vec<u64>,
}

/// Finds the loops that can be entered from `entry`: the edges that go back to an instruction from which the way led here.
pub(crate) fn find(entry: u64, successors: &BTreeMap<u64, Vec<u64>>) -> Vec<Loop> {
    let mut latches: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut on_path = BTreeSet::from([entry]);
    let mut seen = BTreeSet::from([entry]);
    let mut path = vec![(entry, 0)];
    while let Some((node, tried)) = path.last_mut() {
        let node = *node;
        let next = successors.get(&node).and_then(|to| to.get(*tried)).copied();
        *tried += 1;
        match next {
            None => {
                on_path.remove(&node);
                path.pop();
            }
            Some(to) if on_path.contains(&to) => latches.entry(to).or_default().push(node),
            Some(to) => {
                if seen.insert(to) {
                    on_path.insert(to);
                    path.push((to, 0));
                }
            }
        }
    }
    let mut predecessors: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (from, to) in successors.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, *to))) {
        predecessors.entry(to).or_default().push(from);
    }
    latches
        .into_iter()
        .map(|(header, latches)| {
            let mut body = BTreeSet::from([header]);
            let mut pending = latches;
            while let Some(node) = pending.pop() {
                if body.insert(node) {
                    pending.extend(predecessors.get(&node).into_iter().flatten());
                }
            }
            Loop { header, body: body.into_iter().collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Loop, find};
    use std::collections::BTreeMap;

    #[test]
    fn nested_loops_and_a_diamond() {
        // 1 -> 2 -> {3, 4} -> 5 -> 2 (outer), 4 -> 4 (inner), 5 -> 6.
        let graph = BTreeMap::from([
            (1, vec![2]),
            (2, vec![3, 4]),
            (3, vec![5]),
            (4, vec![4, 5]),
            (5, vec![2, 6]),
            (6, vec![]),
        ]);
        assert_eq!(
            find(1, &graph),
            [Loop { header: 2, body: vec![2, 3, 4, 5] }, Loop { header: 4, body: vec![4] }]
        );
    }

    #[test]
    fn a_forward_graph_has_none() {
        let graph = BTreeMap::from([(1, vec![2, 3]), (2, vec![4]), (3, vec![4]), (4, vec![])]);
        assert!(find(1, &graph).is_empty());
    }
}
