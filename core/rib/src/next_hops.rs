//! Next hops: which there are, whether and how far away they can be reached (RFC 4271 §9.1.2.1).
//!
//! Validity and metric are inputs. A next hop that nobody has spoken of yet cannot be reached, unless
//! [`Rib::begin_next_hops`](crate::Rib::begin_next_hops) says otherwise. One that is being looked for
//! ([`Rib::seek_next_hop`](crate::Rib::seek_next_hop)) counts, but is the farthest of all, and of a prefix that groups know
//! nothing of they are told nothing because of it.

use alloc::collections::{BTreeMap, VecDeque};

use tapway_bgp_wire::NextHop;

use crate::slab::Slab;

/// What is to be told to whoever knows where next hops are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHopEvent {
    /// Routes have it now: say where it is.
    Track(NextHop),
    /// No route has it any more.
    Forget(NextHop),
}

#[derive(Clone, Debug)]
pub(crate) struct NextHops {
    /// What holds of one that nobody has spoken of yet.
    begin: Option<u32>,
    /// Of which it is told that there are routes by them.
    told: fn(NextHop) -> bool,
    by_addr: BTreeMap<NextHop, u32>,
    hops: Slab<Hop>,
    /// How many are being looked for.
    sought: usize,
    events: VecDeque<NextHopEvent>,
}

/// The metric of a next hop that is being looked for: farther than any that is known.
pub const FARTHEST: u32 = u32::MAX;

/// A next hop whose routes are to be decided again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) number: u32,
    /// Groups have to look at all of its prefixes: it is no longer looked for.
    pub(crate) force: bool,
}

#[derive(Clone, Debug)]
struct Hop {
    next_hop: NextHop,
    /// Blocks of attributes with it.
    refs: u32,
    /// The IGP's metric; `None`: it cannot be reached.
    metric: Option<u32>,
    /// It is being looked for.
    sought: bool,
}

impl Default for NextHops {
    fn default() -> NextHops {
        NextHops {
            begin: None,
            told: |_| true,
            by_addr: BTreeMap::new(),
            hops: Slab::default(),
            sought: 0,
            events: VecDeque::new(),
        }
    }
}

impl NextHops {
    /// How next hops begin that come from now on.
    pub(crate) fn begin(&mut self, metric: Option<u32>, told: fn(NextHop) -> bool) {
        (self.begin, self.told) = (metric, told);
    }

    /// The number of a next hop, with one reference more.
    pub(crate) fn hold(&mut self, next_hop: NextHop) -> u32 {
        if let Some(id) = self.by_addr.get(&next_hop) {
            if let Some(hop) = self.hops.get_mut(*id) {
                hop.refs += 1;
            }
            return *id;
        }
        let id = self.hops.insert(Hop {
            next_hop,
            refs: 1,
            metric: self.begin,
            sought: false,
        });
        self.by_addr.insert(next_hop, id);
        if (self.told)(next_hop) {
            self.events.push_back(NextHopEvent::Track(next_hop));
        }
        id
    }

    /// One reference less.
    pub(crate) fn release(&mut self, id: u32) {
        let Some(hop) = self.hops.get_mut(id) else {
            return;
        };
        hop.refs -= 1;
        if hop.refs == 0 {
            let next_hop = hop.next_hop;
            self.sought -= usize::from(hop.sought);
            self.hops.remove(id);
            self.by_addr.remove(&next_hop);
            if !(self.told)(next_hop) {
                return;
            }
            // One that nobody has asked for yet needs no word.
            match self.events.back() {
                Some(NextHopEvent::Track(last)) if *last == next_hop => {
                    self.events.pop_back();
                }
                _ => self.events.push_back(NextHopEvent::Forget(next_hop)),
            }
        }
    }

    /// The metric; `None`: it cannot be reached.
    #[inline]
    pub(crate) fn metric(&self, id: u32) -> Option<u32> {
        self.hops.get(id)?.metric
    }

    /// Sets the metric. The next hop when that changed something.
    pub(crate) fn set(&mut self, next_hop: NextHop, metric: Option<u32>) -> Option<Changed> {
        self.change(next_hop, metric, false)
    }

    /// It is being looked for. The next hop when that is new.
    pub(crate) fn seek(&mut self, next_hop: NextHop) -> Option<Changed> {
        self.change(next_hop, Some(FARTHEST), true)
    }

    fn change(&mut self, next_hop: NextHop, metric: Option<u32>, sought: bool) -> Option<Changed> {
        let number = *self.by_addr.get(&next_hop)?;
        let hop = self.hops.get_mut(number)?;
        let was_sought = core::mem::replace(&mut hop.sought, sought);
        let moved = core::mem::replace(&mut hop.metric, metric) != metric;
        self.sought += usize::from(sought);
        self.sought -= usize::from(was_sought);
        (moved || was_sought != sought).then_some(Changed {
            number,
            force: was_sought && !sought,
        })
    }

    /// Whether it is being looked for.
    #[inline]
    pub(crate) fn is_sought(&self, id: u32) -> bool {
        self.sought > 0 && self.hops.get(id).is_some_and(|hop| hop.sought)
    }

    /// Whether any is being looked for.
    pub(crate) const fn seeks(&self) -> bool {
        self.sought > 0
    }

    /// The number of a next hop.
    pub(crate) fn number(&self, next_hop: NextHop) -> Option<u32> {
        self.by_addr.get(&next_hop).copied()
    }

    pub(crate) fn poll(&mut self) -> Option<NextHopEvent> {
        self.events.pop_front()
    }
}
