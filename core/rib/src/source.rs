//! Where routes come from: peers' sessions, and ourselves.

use core::net::{IpAddr, Ipv4Addr};

use tapway_bgp_wire::PerFamily;

use crate::route::Put;
use crate::slab::Slab;

/// The number of a source. One session of a peer, with all that stays of it, is one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(crate) u32);

impl SourceId {
    /// Ourselves: routes that this router originates.
    pub const LOCAL: SourceId = SourceId(0);
}

/// What is known of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// The peer's BGP identifier.
    pub router_id: Ipv4Addr,
    /// The peer's address.
    pub addr: IpAddr,
    /// The peer is in another AS.
    pub external: bool,
    /// Sources that every export treats alike have equal classes; see [`Export`](crate::Export).
    pub class: u32,
}

/// Routes of a source in one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub routes: usize,
    /// Those that import has not refused.
    pub accepted: usize,
    /// Those not heard of again since the last mark.
    pub stale: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) info: SourceInfo,
    pub(crate) state: PerFamily<State>,
    /// Its routes count no more and are being removed.
    pub(crate) closing: bool,
}

/// The state of a source's routes in one family.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub(crate) counts: Counts,
    /// Routes with another number than this are stale.
    pub(crate) epoch: u8,
    /// Marks since there were no stale ones.
    pub(crate) marks: u8,
    /// Those that were stale at this epoch are kept beyond the restart time, behind all others (RFC 9494).
    pub(crate) long_lived: Option<u8>,
}

impl State {
    /// Whether routes heard of in `epoch` are kept beyond the restart time.
    pub(crate) fn is_long_lived(&self, epoch: u8) -> bool {
        let age = |of: u8| self.epoch.wrapping_sub(of);
        self.long_lived.is_some_and(|since| age(epoch) > age(since))
    }

    /// Counts a route that was heard of; `used`: import has not refused it. True: it was stale.
    pub(crate) fn count(&mut self, put: &Put, used: bool) -> bool {
        let counts = &mut self.counts;
        let (epoch, old) = match put {
            Put::New => {
                counts.routes += 1;
                counts.accepted += usize::from(used);
                return false;
            }
            Put::Same { epoch } => (*epoch, used),
            Put::Other {
                epoch, used: old, ..
            } => (*epoch, old.is_some()),
        };
        counts.accepted += usize::from(used);
        counts.accepted -= usize::from(old);
        let stale = epoch != self.epoch;
        counts.stale -= usize::from(stale);
        stale
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sources(Slab<Source>);

impl Sources {
    pub(crate) fn new() -> Sources {
        let mut all = Sources(Slab::default());
        all.add(SourceInfo {
            router_id: Ipv4Addr::UNSPECIFIED,
            addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            external: false,
            class: 0,
        });
        all
    }

    pub(crate) fn add(&mut self, info: SourceInfo) -> SourceId {
        SourceId(self.0.insert(Source {
            info,
            state: PerFamily::default(),
            closing: false,
        }))
    }

    pub(crate) fn remove(&mut self, id: SourceId) {
        self.0.remove(id.0);
    }

    /// Whether its routes count no more.
    pub(crate) fn is_closing(&self, id: SourceId) -> bool {
        self.get(id).is_none_or(|source| source.closing)
    }

    #[inline]
    pub(crate) fn get(&self, id: SourceId) -> Option<&Source> {
        self.0.get(id.0)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        self.0.get_mut(id.0)
    }
}
