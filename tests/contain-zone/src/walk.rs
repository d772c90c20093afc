//! The walk over the call graph, and the rules applied to each function on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use iced_x86::InstructionInfoFactory;

use crate::Error;
use crate::bodies::Bodies;
use crate::body::{Body, CallSite, Callee, StackDoubt};
use crate::image::{Function, Image};
use crate::instructions::{class_of, is_padding};
use crate::loops;
use crate::pattern::Pattern;
use crate::policy::{Exception, Rules, Targets};
use crate::report::{FunctionSize, IndirectCallSite, Link, LoopSite, Offence, OffenceKind, Report, StackUse};
use crate::source::SourceLines;
use crate::stack;

/// A call that the walk follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub at: u64,
    pub target: u64,
    pub region: u64,
    pub depth: i64,
}

/// A function that the walk reached, by entry address.
pub(crate) struct Node {
    pub body: Rc<Body>,
    pub edges: Vec<Edge>,
    /// The caller and its instruction on a shortest way from a root; `None` for a root.
    parent: Option<(u64, u64)>,
}

pub(crate) struct Walk<'a> {
    image: &'a Image,
    lines: &'a SourceLines<'a>,
    rules: &'a Rules,
    bodies: Bodies<'a>,
    nodes: BTreeMap<u64, Node>,
    pending: VecDeque<(u64, Option<(u64, u64)>)>,
    /// Rules that matched something, as they are named in the report.
    used: BTreeSet<String>,
    report: Report,
    info: InstructionInfoFactory,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(image: &'a Image, lines: &'a SourceLines<'a>, rules: &'a Rules) -> Result<Self, Error> {
        Ok(Self {
            image,
            lines,
            rules,
            bodies: Bodies::new(image, &rules.landings)?,
            nodes: BTreeMap::new(),
            pending: VecDeque::new(),
            used: BTreeSet::new(),
            report: Report::default(),
            info: InstructionInfoFactory::new(),
        })
    }

    pub(crate) fn run(mut self) -> Result<Report, Error> {
        let roots = self.find_roots()?;
        for (_, function) in &roots {
            self.pending.push_back((function.address, None));
        }
        while let Some((entry, parent)) = self.pending.pop_front() {
            self.visit(entry, parent);
        }
        self.find_recursion();
        self.measure_stack(&roots);
        self.measure_code();
        self.find_unused_rules();
        Ok(self.report)
    }

    fn find_roots(&self) -> Result<Vec<(usize, Function)>, Error> {
        let mut roots = Vec::new();
        for (index, root) in self.rules.roots.iter().enumerate() {
            let before = roots.len();
            roots.extend(
                self.image.functions().iter().filter(|f| f.fits(&root.function)).map(|f| (index, f.clone())),
            );
            if roots.len() == before && !root.optional {
                return Err(Error::NoRoot(root.function.to_string()));
            }
        }
        Ok(roots)
    }

    fn visit(&mut self, entry: u64, parent: Option<(u64, u64)>) {
        if self.nodes.contains_key(&entry) {
            return;
        }
        let Some(body) = self.bodies.body(entry) else { return };
        self.nodes.insert(entry, Node { body: Rc::clone(&body), edges: Vec::new(), parent });
        self.check_code(entry, &body);
        self.check_inlined(entry, &body);
        self.check_loops(entry, &body);
        let mut edges = Vec::new();
        for call in &body.calls {
            for target in self.targets(entry, call) {
                if self.may_enter(entry, call.at, target) {
                    self.pending.push_back((target, Some((entry, call.at))));
                    edges.push(Edge { at: call.at, target, region: call.region, depth: call.depth });
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(&entry) {
            node.edges = edges;
        }
    }

    fn check_code(&mut self, entry: u64, body: &Body) {
        let rules = self.rules;
        for address in &body.broken {
            self.offend(OffenceKind::BrokenCode, entry, *address, "no code where control goes on".to_owned());
        }
        for (address, doubt) in &body.stack_doubts {
            let what = match doubt {
                StackDoubt::Switch => {
                    "the stack pointer is loaded with an unknown value: dynamic allocation or change of stack"
                }
                StackDoubt::Join => "two ways meet with different stack depths",
                StackDoubt::Return => "returns with bytes left on the stack: to a computed address",
            };
            if self.excuse("stack switch", &rules.stack_switches, entry, &[*address]).is_none() {
                self.offend(OffenceKind::Stack, entry, *address, what.to_owned());
            }
        }
        for (address, instruction) in &body.instructions {
            let Some(class) = class_of(instruction, &mut self.info) else { continue };
            let owners = self.owners(entry, &[*address]);
            let rule = self
                .rules
                .instructions
                .iter()
                .find(|rule| rule.class == class && fits(&rule.function, &owners));
            match rule {
                Some(rule) => {
                    self.used.insert(format!("{:?} in {}", rule.class, rule.function));
                }
                None => {
                    let detail = format!("{instruction} ({class:?}) in {}", owners[0]);
                    self.offend(OffenceKind::Instruction(class), entry, *address, detail);
                }
            }
        }
    }

    /// A forbidden function leaves no symbol and no call where it was inlined, only its name in the DWARF.
    fn check_inlined(&mut self, entry: u64, body: &Body) {
        let mut told = BTreeSet::new();
        for address in body.instructions.keys() {
            let frames = self.lines.frames(*address);
            let inlined = frames.len().saturating_sub(1);
            for name in frames.iter().take(inlined).filter_map(|frame| frame.function.as_ref()) {
                let rule = self.rules.forbidden.iter().find(|rule| rule.function.matches(name));
                if let Some(rule) = rule.filter(|rule| told.insert(rule.function.to_string())) {
                    let detail = format!("{name} is inlined here: {}", rule.what);
                    self.offend(OffenceKind::ForbiddenInlined, entry, *address, detail);
                }
            }
        }
    }

    fn check_loops(&mut self, entry: u64, body: &Body) {
        let rules = self.rules;
        for found in loops::find(entry, &body.successors) {
            let owner = self.owners(entry, &found.body).swap_remove(0);
            let reason = self.excuse("loop", &rules.loops, entry, &found.body);
            if reason.is_none() {
                let detail = format!("unbounded loop? In {owner}, {} instructions", found.body.len());
                self.offend(OffenceKind::Loop, entry, found.header, detail);
            }
            self.report.loops.push(LoopSite {
                function: self.name(entry),
                owner,
                address: found.header,
                source: self.lines.place(&found.body),
                reason,
            });
        }
    }

    /// The functions that a call may reach.
    fn targets(&mut self, entry: u64, call: &CallSite) -> Vec<u64> {
        let slot = match call.callee {
            Callee::Direct(target) => return vec![target],
            Callee::Indirect { slot } => slot,
        };
        let owners = self.owners(entry, &[call.at]);
        let Some(rule) = self.rules.indirect_calls.iter().find(|rule| fits(&rule.function, &owners)) else {
            let (kind, what) = match (call.is_call, slot) {
                (true, _) => (OffenceKind::IndirectCall, "indirect call"),
                (false, Some(_)) => (OffenceKind::IndirectCall, "indirect tail call"),
                (false, None) => (OffenceKind::IndirectJump, "unresolved indirect jump"),
            };
            self.offend(kind, entry, call.at, format!("{what} in {}", owners[0]));
            return Vec::new();
        };
        self.used.insert(format!("indirect call in {}", rule.function));
        let mut targets = BTreeSet::new();
        for target in &rule.targets {
            let before = targets.len();
            let named = match target {
                Targets::Functions(pattern) => {
                    targets
                        .extend(self.image.functions().iter().filter(|f| f.fits(pattern)).map(|f| f.address));
                    pattern
                }
                Targets::VtableSlot(pattern) => {
                    targets.extend(
                        self.image.vtables_with(pattern).into_iter().flat_map(|at| self.methods(at, slot)),
                    );
                    pattern
                }
            };
            if targets.len() == before && !rule.optional {
                let detail = format!("nothing in the image is {named}, which {} is said to call", owners[0]);
                self.offend(OffenceKind::NoTarget, entry, call.at, detail);
            }
        }
        self.report.indirect_calls.push(IndirectCallSite {
            owner: owners.into_iter().next().unwrap_or_default(),
            address: call.at,
            source: self.lines.place(&[call.at]),
            reason: rule.reason.clone(),
            targets: targets.iter().map(|target| self.name(*target)).collect(),
        });
        targets.into_iter().collect()
    }

    /// The method in one slot of a vtable, or all methods when the slot is not known. None for a slot in the header,
    /// which no call names: then the pointer is no vtable's, but a function pointer in memory.
    fn methods(&self, vtable: u64, slot: Option<u64>) -> Vec<u64> {
        const HEADER: u64 = 24;
        let method = |at: u64| self.image.constant_word(at).filter(|target| self.image.is_function(*target));
        match slot {
            Some(offset) if offset < HEADER => Vec::new(),
            Some(offset) => method(vtable.wrapping_add(offset)).into_iter().collect(),
            None => (0..64).map_while(|index| method(vtable.wrapping_add(HEADER + 8 * index))).collect(),
        }
    }

    /// Whether the walk goes on into a callee.
    fn may_enter(&mut self, entry: u64, at: u64, target: u64) -> bool {
        let Some(index) = self.image.containing(target) else {
            self.offend(
                OffenceKind::BrokenCode,
                entry,
                at,
                format!("goes to {target:#x}, where no function is"),
            );
            return false;
        };
        let callee = &self.image.functions()[index];
        if let Some(rule) = self.rules.boundaries.iter().find(|rule| callee.fits(&rule.function)) {
            self.used.insert(format!("boundary {}", rule.function));
            return false;
        }
        let excepted = |file: &Option<Pattern>| match (file, &callee.file) {
            (Some(pattern), Some(file)) => pattern.matches(file),
            _ => false,
        };
        let forbidden = self
            .rules
            .forbidden
            .iter()
            .find(|rule| callee.fits(&rule.function) && !excepted(&rule.except_file));
        let Some(rule) = forbidden else { return true };
        let name = callee
            .names
            .iter()
            .find(|name| rule.function.matches(name))
            .cloned()
            .unwrap_or_else(|| callee.name().to_owned());
        let mut offence =
            self.offence(OffenceKind::ForbiddenCall, entry, at, format!("calls {name}: {}", rule.what));
        offence.chain.push(Link { function: name, address: target, source: self.lines.place(&[target]) });
        self.report.offences.push(offence);
        false
    }

    /// Reports each call that closes a cycle, once.
    fn find_recursion(&mut self) {
        let mut done = BTreeSet::new();
        let mut cycles: Vec<(Vec<u64>, u64)> = Vec::new();
        let entries: Vec<u64> = self.nodes.keys().copied().collect();
        for start in entries {
            let mut path: Vec<(u64, usize)> = vec![(start, 0)];
            if !done.insert(start) {
                continue;
            }
            while let Some((entry, tried)) = path.last_mut() {
                let entry = *entry;
                let edge = self.nodes.get(&entry).and_then(|node| node.edges.get(*tried)).copied();
                *tried += 1;
                let Some(edge) = edge else {
                    path.pop();
                    continue;
                };
                if let Some(from) = path.iter().position(|(on_path, _)| *on_path == edge.target) {
                    cycles.push((path[from..].iter().map(|(entry, _)| *entry).collect(), edge.at));
                } else if done.insert(edge.target) {
                    path.push((edge.target, 0));
                }
            }
        }
        for (cycle, at) in cycles {
            let names: Vec<String> =
                cycle.iter().chain(cycle.first()).map(|entry| self.name(*entry)).collect();
            let Some(last) = cycle.last() else { continue };
            self.offend(OffenceKind::Recursion, *last, at, format!("recursion: {}", names.join(" -> ")));
        }
    }

    fn measure_stack(&mut self, roots: &[(usize, Function)]) {
        let mut known = BTreeMap::new();
        for (index, function) in roots {
            let root = &self.rules.roots[*index];
            let peak = stack::peak(function.address, &self.nodes, &mut known, &mut BTreeSet::new());
            let names = |path: &[u64]| path.iter().map(|entry| self.name(*entry)).collect();
            self.report.stack.push(StackUse {
                label: root.label.clone(),
                root: function.name().to_owned(),
                bytes: root.entry_bytes.saturating_add_signed(peak.entered.0),
                switched_bytes: peak.switched.0.max(0).unsigned_abs(),
                path: names(&peak.entered.1),
                switched_path: names(&peak.switched.1),
            });
        }
    }

    fn measure_code(&mut self) {
        let mut functions: BTreeMap<usize, (BTreeMap<u64, u64>, i64)> = BTreeMap::new();
        for (entry, node) in &self.nodes {
            let Some(index) = self.image.containing(*entry) else { continue };
            let (code, frame) = functions.entry(index).or_default();
            let real = node.body.instructions.iter().filter(|(_, instruction)| !is_padding(instruction));
            code.extend(real.map(|(address, instruction)| (*address, instruction.len() as u64)));
            *frame = node.body.depths.values().copied().fold(*frame, i64::max);
        }
        self.report.functions = functions
            .into_iter()
            .map(|(index, (code, frame))| FunctionSize {
                symbol: self.image.functions()[index].name().to_owned(),
                address: self.image.functions()[index].address,
                bytes: code.values().sum(),
                instructions: code.len() as u64,
                frame_bytes: frame.unsigned_abs(),
            })
            .collect();
    }

    fn find_unused_rules(&mut self) {
        let rules = self.rules;
        let all = (rules.boundaries.iter().map(|rule| format!("boundary {}", rule.function)))
            .chain(rules.indirect_calls.iter().map(|rule| format!("indirect call in {}", rule.function)))
            .chain(rules.loops.iter().map(|rule| format!("loop in {}", rule.function)))
            .chain(rules.stack_switches.iter().map(|rule| format!("stack switch in {}", rule.function)))
            .chain(rules.instructions.iter().map(|rule| format!("{:?} in {}", rule.class, rule.function)));
        self.report.unused_rules = all.filter(|rule| !self.used.contains(rule)).collect();
    }

    /// Returns the reason of the rule that excuses the code at `addresses`.
    fn excuse(&mut self, what: &str, rules: &[Exception], entry: u64, addresses: &[u64]) -> Option<String> {
        let owners = self.owners(entry, addresses);
        let rule = rules.iter().find(|rule| fits(&rule.function, &owners))?;
        self.used.insert(format!("{what} in {}", rule.function));
        Some(rule.reason.clone())
    }

    /// The names by which a rule can mean the code at `addresses`: never empty, the best one first.
    fn owners(&self, entry: u64, addresses: &[u64]) -> Vec<String> {
        match self.lines.inlined_owner(addresses) {
            Some(owner) => vec![owner],
            None => match self.image.containing(entry) {
                Some(index) => self.image.functions()[index].names.clone(),
                None => vec![format!("{entry:#x}")],
            },
        }
    }

    /// The function's name, with the offset when it is entered in the middle.
    fn name(&self, entry: u64) -> String {
        match self.image.containing(entry).map(|index| &self.image.functions()[index]) {
            Some(function) if function.address == entry => function.name().to_owned(),
            Some(function) => format!("{}+{:#x}", function.name(), entry - function.address),
            None => format!("{entry:#x}"),
        }
    }

    fn offend(&mut self, kind: OffenceKind, entry: u64, address: u64, detail: String) {
        let offence = self.offence(kind, entry, address, detail);
        self.report.offences.push(offence);
    }

    fn offence(&self, kind: OffenceKind, entry: u64, address: u64, detail: String) -> Offence {
        let mut chain = Vec::new();
        let (mut function, mut at) = (entry, address);
        loop {
            chain.push(Link { function: self.name(function), address: at, source: self.lines.place(&[at]) });
            match self.nodes.get(&function).and_then(|node| node.parent) {
                Some((caller, call)) => (function, at) = (caller, call),
                None => break,
            }
        }
        chain.reverse();
        Offence { kind, detail, address, source: self.lines.place(&[address]), chain }
    }
}

fn fits(pattern: &Pattern, owners: &[String]) -> bool {
    owners.iter().any(|owner| pattern.matches(owner))
}
