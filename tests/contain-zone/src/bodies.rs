//! Every function's analysis, made once and on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::Error;
use crate::body::{self, Body, Callee, Surroundings};
use crate::image::Image;
use crate::policy::{AddressEncoding, Landing};

pub(crate) struct Bodies<'a> {
    image: &'a Image,
    known: BTreeMap<u64, Option<Rc<Body>>>,
    returns: BTreeMap<u64, bool>,
    in_progress: BTreeSet<u64>,
    landings: BTreeMap<u64, Vec<u64>>,
}

impl<'a> Bodies<'a> {
    pub(crate) fn new(image: &'a Image, rules: &[Landing]) -> Result<Self, Error> {
        let mut landings: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for rule in rules {
            for (fault, landing) in read_landing(image, rule)? {
                landings.entry(fault).or_default().push(landing);
            }
        }
        Ok(Self {
            image,
            known: BTreeMap::new(),
            returns: BTreeMap::new(),
            in_progress: BTreeSet::new(),
            landings,
        })
    }

    /// Returns the function entered at `address`. `None` when there is none.
    pub(crate) fn body(&mut self, address: u64) -> Option<Rc<Body>> {
        if let Some(known) = self.known.get(&address) {
            return known.clone();
        }
        let image = self.image;
        self.in_progress.insert(address);
        let body = body::analyse(image, address, self).map(Rc::new);
        let returns = match &body {
            None => true,
            Some(body) => {
                body.returns
                    || !body.broken.is_empty()
                    || body.calls.iter().filter(|call| !call.is_call).any(|jump| match jump.callee {
                        Callee::Direct(target) => self.returns(target),
                        Callee::Indirect { .. } => true,
                    })
            }
        };
        self.in_progress.remove(&address);
        self.returns.insert(address, returns);
        self.known.insert(address, body.clone());
        body
    }
}

impl Surroundings for Bodies<'_> {
    fn returns(&mut self, address: u64) -> bool {
        if self.in_progress.contains(&address) {
            // Recursion, which is an offence by itself; walk on, so that nothing behind it is missed.
            return true;
        }
        self.body(address);
        self.returns.get(&address).copied().unwrap_or(true)
    }

    fn landings(&self, address: u64) -> &[u64] {
        self.landings.get(&address).map_or(&[], Vec::as_slice)
    }
}

/// Returns the pairs of addresses that a rule names.
fn read_landing(image: &Image, rule: &Landing) -> Result<Vec<(u64, u64)>, Error> {
    match rule {
        Landing::Labels { fault, resume } => match (image.symbol(fault), image.symbol(resume)) {
            (Some(fault), Some(resume)) => Ok(vec![(fault, resume)]),
            (None, None) => Ok(Vec::new()),
            (Some(_), None) => Err(Error::Landing(resume.clone())),
            // Two faults may share a landing, so that one of them alone may be left.
            (None, Some(_)) => Ok(Vec::new()),
        },
        Landing::Table { start, end, encoding } => {
            read_table(image, start, end, *encoding).ok_or_else(|| Error::Landing(start.clone()))
        }
    }
}

fn read_table(image: &Image, start: &str, end: &str, encoding: AddressEncoding) -> Option<Vec<(u64, u64)>> {
    let (mut at, end) = (image.symbol(start)?, image.symbol(end)?);
    let field = |at: u64| match encoding {
        AddressEncoding::Absolute64 => image.constant_word(at),
        AddressEncoding::Relative32 => {
            image.constant(at).map(|bytes| at.wrapping_add_signed(i64::from(i32::from_le_bytes(bytes))))
        }
    };
    let size = match encoding {
        AddressEncoding::Absolute64 => 8,
        AddressEncoding::Relative32 => 4,
    };
    let mut entries = Vec::new();
    while at < end {
        entries.push((field(at)?, field(at.wrapping_add(size))?));
        at = at.wrapping_add(2 * size);
    }
    Some(entries)
}
