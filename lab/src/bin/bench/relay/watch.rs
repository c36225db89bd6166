//! When exactly a receiver had all: worked out from its log, after the fact.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tapway_bgp_wire::Update;
use tapway_model::Prefix;

use super::log::Log;

/// What every prefix is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Announced.
    There,
    /// Announced, with the path of the sender of this AS.
    Via(u32),
    /// Withdrawn.
    Gone,
}

impl Goal {
    fn holds(self, via: u32) -> bool {
        match self {
            Goal::There => via != GONE,
            Goal::Via(asn) => via == asn,
            Goal::Gone => via == GONE,
        }
    }
}

/// In the place of a sender's AS.
const GONE: u32 = 0;

/// What the routes of a daemon have to look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// Its AS, which every path begins with, and its address, which every next hop is.
    pub(crate) asn: u32,
    pub(crate) next_hop: IpAddr,
}

/// The prefixes of a scenario, by number.
pub(crate) type Index = HashMap<Prefix, u32>;

/// Numbers the prefixes.
pub(crate) fn index(prefixes: &[Prefix]) -> Arc<Index> {
    Arc::new(prefixes.iter().copied().zip(0..).collect())
}

/// One receiver's routes.
pub(crate) struct Watch {
    index: Arc<Index>,
    /// What a route has to look like; nothing of those that a mere relay passes on.
    marks: Option<Marks>,
    /// By the prefix's number: the AS of the sender whose path it has.
    via: Vec<u32>,
    /// How much of the log is worked in.
    offset: usize,
    goal: Goal,
    /// How many prefixes are as the goal says.
    reached: usize,
    done: Option<Instant>,
}

impl Watch {
    /// Nothing was received yet.
    pub(crate) fn new(index: Arc<Index>, marks: Option<Marks>) -> Watch {
        Watch {
            via: vec![GONE; index.len()],
            index,
            marks,
            offset: 0,
            goal: Goal::There,
            reached: 0,
            done: None,
        }
    }

    /// From now on looks for another goal.
    pub(crate) fn pursue(&mut self, goal: Goal) {
        self.goal = goal;
        self.reached = self.via.iter().filter(|via| goal.holds(**via)).count();
        self.done = None;
    }

    /// How much of the log is worked in.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// How many prefixes are as the goal says.
    pub(crate) fn reached(&self) -> usize {
        self.reached
    }

    /// When the last of them became so; `None` while some are not.
    pub(crate) fn done(&self) -> Option<Instant> {
        self.done.filter(|_| self.reached == self.via.len())
    }

    /// Works in what is new in the log.
    ///
    /// # Errors
    /// The first thing in it that is wrong.
    pub(crate) fn advance(&mut self, log: &Log) -> Result<(), String> {
        self.offset = log.updates(self.offset, |at, update| self.take(at, update))?;
        Ok(())
    }

    fn take(&mut self, at: Instant, update: &Update) -> Result<(), String> {
        if let Some(fault) = update.faults().first() {
            return Err(format!("an UPDATE with {fault:?}"));
        }
        for run in update.unreach() {
            for entry in run.iter() {
                self.set(entry.prefix, GONE, at)?;
            }
        }
        for reach in update.reach() {
            let via = self.sender(update, reach.next_hop.addr())?;
            for entry in reach.nlri.iter() {
                self.set(entry.prefix, via, at)?;
            }
        }
        Ok(())
    }

    /// The AS of the sender whose path an UPDATE has.
    fn sender(&self, update: &Update, next_hop: IpAddr) -> Result<u32, String> {
        let path = update.attributes().as_path();
        let mut asns = path.segments().flat_map(|(_, asns)| asns);
        if let Some(marks) = self.marks {
            if next_hop != marks.next_hop {
                return Err(format!("the next hop {next_hop}"));
            }
            match asns.next() {
                Some(first) if first == marks.asn => {}
                other => return Err(format!("a path that begins with {other:?}")),
            }
        }
        match asns.next() {
            Some(GONE) | None => Err("a path without its sender".into()),
            Some(sender) => Ok(sender),
        }
    }

    fn set(&mut self, prefix: Prefix, via: u32, at: Instant) -> Result<(), String> {
        let Some(number) = self.index.get(&prefix) else {
            return Err(format!("{prefix}, which nobody announced"));
        };
        let before = std::mem::replace(&mut self.via[*number as usize], via);
        match (self.goal.holds(before), self.goal.holds(via)) {
            (false, true) => {
                self.reached += 1;
                if self.reached == self.via.len() {
                    self.done = Some(at);
                }
            }
            (true, false) => self.reached -= 1,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
