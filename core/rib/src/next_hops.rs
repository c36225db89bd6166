//! Next hops: which there are, whether and how far away they can be reached (RFC 4271 §9.1.2.1).
//!
//! Validity and metric are inputs. A next hop that nobody has spoken of yet cannot be reached.

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

#[derive(Clone, Debug, Default)]
pub(crate) struct NextHops {
    by_addr: BTreeMap<NextHop, u32>,
    hops: Slab<Hop>,
    events: VecDeque<NextHopEvent>,
}

#[derive(Clone, Debug)]
struct Hop {
    next_hop: NextHop,
    /// Blocks of attributes with it.
    refs: u32,
    /// The IGP's metric; `None`: it cannot be reached.
    metric: Option<u32>,
}

impl NextHops {
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
            metric: None,
        });
        self.by_addr.insert(next_hop, id);
        self.events.push_back(NextHopEvent::Track(next_hop));
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
            self.hops.remove(id);
            self.by_addr.remove(&next_hop);
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

    /// Sets the metric. The number of the next hop when that changed something.
    pub(crate) fn set(&mut self, next_hop: NextHop, metric: Option<u32>) -> Option<u32> {
        let id = *self.by_addr.get(&next_hop)?;
        let hop = self.hops.get_mut(id)?;
        (core::mem::replace(&mut hop.metric, metric) != metric).then_some(id)
    }

    pub(crate) fn poll(&mut self) -> Option<NextHopEvent> {
        self.events.pop_front()
    }
}
