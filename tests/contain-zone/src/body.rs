//! One function, from one entry address: its reachable instructions, where they go, and how deep its stack is.
//!
//! Instructions are found by following control flow, so that padding and data in the text are never decoded.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind,
    Register,
};

use crate::image::Image;
use crate::value::{self, RSP, Registers, Value};

/// The callee of a call or of a jump that leaves the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Callee {
    Direct(u64),
    /// Through a pointer; with the displacement it was loaded from, where one is known.
    Indirect {
        slot: Option<u64>,
    },
}

/// One way out of the function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSite {
    pub at: u64,
    pub callee: Callee,
    /// False for a tail jump and for falling through into the next function.
    pub is_call: bool,
    /// Stack region, and the callee's depth in it when its first instruction runs.
    pub region: u64,
    pub depth: i64,
}

/// Something that the stack bound cannot stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StackDoubt {
    /// The stack pointer gets a value that is not a sum on itself: a dynamic allocation, or another stack.
    Switch,
    /// Two ways meet here with different depths.
    Join,
    /// A return with something still on the stack: it goes to a computed address.
    Return,
}

/// What was found out about a function.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub instructions: BTreeMap<u64, Instruction>,
    pub successors: BTreeMap<u64, Vec<u64>>,
    pub calls: Vec<CallSite>,
    /// Bytes that do not decode, or control flow that leaves every function.
    pub broken: BTreeSet<u64>,
    pub stack_doubts: BTreeSet<(u64, StackDoubt)>,
    /// Greatest depth by stack region, without callees.
    pub depths: BTreeMap<u64, i64>,
    pub returns: bool,
}

/// What the analysis of one body needs to know of the rest.
pub(crate) trait Surroundings {
    /// Whether a call of `address` can return.
    fn returns(&mut self, address: u64) -> bool;
    /// Where a fault of this instruction may resume.
    fn landings(&self, address: u64) -> &[u64];
}

struct Analysis<'a> {
    image: &'a Image,
    function: usize,
    /// Instruction boundaries by a linear sweep: a jump-table entry elsewhere is no entry.
    boundaries: BTreeSet<u64>,
    body: Body,
    states: BTreeMap<u64, Registers>,
    pending: Vec<u64>,
    /// Instructions that may fault, and where they then go on, in another function.
    landings: Vec<(u64, u64)>,
    info: InstructionInfoFactory,
}

/// Analyses the function that holds `entry`, entered there. `None` when there is no function.
pub(crate) fn analyse(image: &Image, entry: u64, around: &mut dyn Surroundings) -> Option<Body> {
    let function = image.containing(entry)?;
    let start = image.functions()[function].address;
    let sweep = Decoder::with_ip(64, image.code(start)?, start, DecoderOptions::NONE);
    let mut analysis = Analysis {
        image,
        function,
        boundaries: sweep.into_iter().map(|instruction| instruction.ip()).collect(),
        body: Body::default(),
        states: BTreeMap::from([(entry, value::on_entry())]),
        pending: vec![entry],
        landings: Vec::new(),
        info: InstructionInfoFactory::new(),
    };
    while let Some(address) = analysis.pending.pop() {
        analysis.visit(address, around);
    }
    analysis.finish();
    Some(analysis.body)
}

impl Analysis<'_> {
    fn is_inside(&self, address: u64) -> bool {
        self.image.containing(address) == Some(self.function)
    }

    fn visit(&mut self, address: u64, around: &mut dyn Surroundings) {
        let Some(code) = self.image.code(address) else {
            self.body.broken.insert(address);
            return;
        };
        let instruction = Decoder::with_ip(64, code, address, DecoderOptions::NONE).decode();
        if instruction.is_invalid() {
            self.body.broken.insert(address);
            return;
        }
        let Some(state) = self.states.get(&address).copied() else { return };
        self.body.instructions.insert(address, instruction);
        let mut successors = Vec::new();
        if let Some((after, next)) = self.probe_loop(&instruction, &state) {
            self.flow(next, after, &mut successors);
            self.body.successors.insert(address, successors);
            return;
        }
        let next = instruction.next_ip();
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::Interrupt | FlowControl::XbeginXabortXend => {
                let after = self.step(&state, &instruction);
                self.flow(next, after, &mut successors);
            }
            FlowControl::ConditionalBranch => {
                self.flow(next, state, &mut successors);
                self.flow(instruction.near_branch_target(), state, &mut successors);
            }
            FlowControl::UnconditionalBranch => {
                if is_near(&instruction) {
                    self.flow(instruction.near_branch_target(), state, &mut successors);
                }
            }
            FlowControl::IndirectBranch => {
                for target in self.table_targets(&state, &instruction) {
                    self.flow(target, state, &mut successors);
                }
            }
            FlowControl::Call if is_near(&instruction) => {
                if around.returns(instruction.near_branch_target()) {
                    if !self.is_inside(next) {
                        self.body.broken.insert(next);
                    }
                    self.flow(next, value::after_call(state), &mut successors);
                }
            }
            // VMRUN, VMCALL, SYSCALL and their like.
            FlowControl::Call => {
                let after = self.step(&state, &instruction);
                self.flow(next, after, &mut successors);
            }
            FlowControl::IndirectCall => {
                let returns = match target_of(&state, &instruction, self.image) {
                    Value::Constant(target) => around.returns(target),
                    _ => true,
                };
                if returns {
                    self.flow(next, value::after_call(state), &mut successors);
                }
            }
            FlowControl::Return => self.body.returns = true,
            FlowControl::Exception => {}
        }
        for landing in around.landings(address).to_vec() {
            self.flow(landing, state, &mut successors);
            if !self.is_inside(landing) && !self.landings.contains(&(address, landing)) {
                self.landings.push((address, landing));
            }
        }
        self.body.successors.insert(address, successors);
    }

    /// Applies an instruction, and keeps the stack pointer known: an unknown one begins a new region.
    fn step(&mut self, state: &Registers, instruction: &Instruction) -> Registers {
        let mut after = value::step(state, instruction, self.image, &mut self.info);
        if !matches!(after[RSP], Value::Stack { .. }) {
            self.body.stack_doubts.insert((instruction.ip(), StackDoubt::Switch));
            after[RSP] = Value::Stack { region: instruction.ip(), depth: 0 };
        }
        after
    }

    /// Control goes to `to` with these registers.
    fn flow(&mut self, to: u64, state: Registers, successors: &mut Vec<u64>) {
        if !self.is_inside(to) {
            // Another function: noted in `finish`, when the states are final.
            return;
        }
        if !successors.contains(&to) {
            successors.push(to);
        }
        let Some(before) = self.states.get(&to).copied() else {
            self.states.insert(to, state);
            self.pending.push(to);
            return;
        };
        let mut joined = before;
        for (register, value) in joined.iter_mut().enumerate() {
            if *value == state[register] {
                continue;
            }
            *value = if register == RSP { self.join_stacks(to, *value, state[RSP]) } else { Value::Unknown };
        }
        if joined != before {
            self.states.insert(to, joined);
            self.pending.push(to);
        }
    }

    /// Depths differ where two ways meet: the greater one goes on as a region of its own, which replaces what was known
    /// further on, so that one difference is told once.
    fn join_stacks(&mut self, to: u64, old: Value, new: Value) -> Value {
        let (
            Value::Stack { region: old_region, depth: old_depth },
            Value::Stack { region: new_region, depth: new_depth },
        ) = (old, new)
        else {
            return old;
        };
        let is_join = |region: u64| self.body.stack_doubts.contains(&(region, StackDoubt::Join));
        match (is_join(old_region), is_join(new_region)) {
            (true, _) => old,
            (false, true) => new,
            (false, false) => {
                self.body.stack_doubts.insert((to, StackDoubt::Join));
                Value::Stack { region: to, depth: old_depth.max(new_depth) }
            }
        }
    }

    /// Recognises the loop by which the compiler touches each page of a large frame, a constant number of times, and
    /// steps over it: `lea r, [rsp-N]; L: sub rsp, 4096; mov [rsp], 0; cmp rsp, r; jne L`.
    fn probe_loop(&mut self, head: &Instruction, state: &Registers) -> Option<(Registers, u64)> {
        if head.mnemonic() != Mnemonic::Sub
            || head.op0_register() != Register::RSP
            || head.op1_kind() == OpKind::Register
        {
            return None;
        }
        let code = self.image.code(head.next_ip())?;
        let mut rest = Decoder::with_ip(64, code, head.next_ip(), DecoderOptions::NONE);
        let (touch, compare, branch) = (rest.decode(), rest.decode(), rest.decode());
        let matches = touch.mnemonic() == Mnemonic::Mov
            && touch.memory_base() == Register::RSP
            && matches!(compare.code(), Code::Cmp_r64_rm64 | Code::Cmp_rm64_r64)
            && compare.op0_register() == Register::RSP
            && branch.mnemonic() == Mnemonic::Jne
            && branch.near_branch_target() == head.ip();
        let end = value::read(state, compare.op1_register());
        if !matches || !matches!(end, Value::Stack { .. }) {
            return None;
        }
        for instruction in [touch, compare, branch] {
            self.body.instructions.insert(instruction.ip(), instruction);
        }
        let mut after = *state;
        after[RSP] = end;
        Some((after, branch.next_ip()))
    }

    /// The targets of a jump through a table in constant data; empty when it is not one.
    fn table_targets(&self, state: &Registers, instruction: &Instruction) -> Vec<u64> {
        let (table, size) = match target_of(state, instruction, self.image) {
            Value::RelativeTarget(table) => (table, 4),
            Value::AbsoluteTarget(table) => (table, 8),
            _ => return Vec::new(),
        };
        let mut targets = Vec::new();
        for index in 0..4096_u64 {
            let at = table.wrapping_add(index * size);
            let entry = if size == 4 {
                self.image
                    .constant(at)
                    .map(|bytes| table.wrapping_add_signed(i64::from(i32::from_le_bytes(bytes))))
            } else {
                self.image.constant_word(at)
            };
            // A table has no length: it ends where something else begins, or where an entry is no instruction of ours.
            let ends = index > 0 && self.image.is_referenced(at);
            match entry.filter(|target| !ends && self.is_inside(*target) && self.boundaries.contains(target))
            {
                Some(target) => targets.push(target),
                None => break,
            }
        }
        targets
    }

    /// Notes, with the final states, what depends on them.
    fn finish(&mut self) {
        let instructions: Vec<Instruction> = self.body.instructions.values().copied().collect();
        for instruction in instructions {
            let at = instruction.ip();
            let Some(state) = self.states.get(&at).copied() else { continue };
            let Value::Stack { region, depth } = state[RSP] else { continue };
            self.note_depth(region, depth);
            let next = instruction.next_ip();
            let mut leave = |callee, is_call, depth| {
                self.body.calls.push(CallSite { at, callee, is_call, region, depth });
            };
            let outside = |to: u64| self.image.containing(to) != Some(self.function);
            let mut falls_through = self.body.successors.get(&at).is_some_and(|to| to.is_empty());
            match instruction.flow_control() {
                FlowControl::ConditionalBranch => {
                    let target = instruction.near_branch_target();
                    if outside(target) {
                        leave(Callee::Direct(target), false, depth);
                    }
                    falls_through = true;
                }
                FlowControl::UnconditionalBranch => {
                    falls_through = false;
                    if is_near(&instruction) {
                        let target = instruction.near_branch_target();
                        if outside(target) {
                            leave(Callee::Direct(target), false, depth);
                        }
                    } else {
                        leave(Callee::Indirect { slot: None }, false, depth);
                    }
                }
                FlowControl::IndirectBranch => {
                    falls_through = false;
                    match target_of(&state, &instruction, self.image) {
                        Value::Constant(target) => leave(Callee::Direct(target), false, depth),
                        Value::RelativeTarget(_) | Value::AbsoluteTarget(_)
                            if self.body.successors.get(&at).is_some_and(|to| !to.is_empty()) => {}
                        Value::Loaded(slot) => leave(Callee::Indirect { slot: Some(slot) }, false, depth),
                        _ => leave(Callee::Indirect { slot: None }, false, depth),
                    }
                }
                FlowControl::Call if is_near(&instruction) => {
                    // A call that does not return has no successor, which is not falling through.
                    falls_through = false;
                    leave(Callee::Direct(instruction.near_branch_target()), true, depth + 8);
                }
                FlowControl::IndirectCall => {
                    falls_through = false;
                    match target_of(&state, &instruction, self.image) {
                        Value::Constant(target) => leave(Callee::Direct(target), true, depth + 8),
                        Value::Loaded(slot) => leave(Callee::Indirect { slot: Some(slot) }, true, depth + 8),
                        _ => leave(Callee::Indirect { slot: None }, true, depth + 8),
                    }
                }
                FlowControl::Return => {
                    falls_through = false;
                    // IRET takes its target from a frame that the stub built on purpose.
                    let is_ret = matches!(instruction.mnemonic(), Mnemonic::Ret | Mnemonic::Retf);
                    if is_ret && region == 0 && depth != 0 {
                        self.body.stack_doubts.insert((at, StackDoubt::Return));
                    }
                }
                FlowControl::Exception => falls_through = false,
                _ => {}
            }
            if falls_through && outside(next) {
                let after = value::step(&state, &instruction, self.image, &mut self.info);
                let depth = match after[RSP] {
                    Value::Stack { depth, .. } => depth,
                    _ => depth,
                };
                self.body.calls.push(CallSite {
                    at,
                    callee: Callee::Direct(next),
                    is_call: false,
                    region,
                    depth,
                });
            }
        }
        for (at, target) in std::mem::take(&mut self.landings) {
            if let Some(Value::Stack { region, depth }) = self.states.get(&at).map(|state| state[RSP]) {
                self.body.calls.push(CallSite {
                    at,
                    callee: Callee::Direct(target),
                    is_call: false,
                    region,
                    depth,
                });
            }
        }
        for call in &self.body.calls {
            let deepest = self.body.depths.entry(call.region).or_insert(call.depth);
            *deepest = (*deepest).max(call.depth);
        }
    }

    fn note_depth(&mut self, region: u64, depth: i64) {
        let deepest = self.body.depths.entry(region).or_insert(depth);
        *deepest = (*deepest).max(depth);
    }
}

fn is_near(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::NearBranch64
}

/// What an indirect jump or call goes to.
fn target_of(state: &Registers, instruction: &Instruction, image: &Image) -> Value {
    match instruction.op0_kind() {
        OpKind::Register => value::read(state, instruction.op0_register()),
        OpKind::Memory => value::load(state, instruction, image),
        _ => Value::Unknown,
    }
}
