//! Where next hops of received routes are (RFC 4271 §9.1.2.1): asked of the user, who knows the kernel's routes.
//!
//! A next hop is one address, asked for once however many routes have it. Link-local ones are on the link of the session that
//! sent them and are not asked for; over a session of several hops their global part counts alone. Until the answer is there a next
//! hop counts as near: the user is to answer before it takes actions or bytes, so that nothing is withdrawn and announced again only
//! because an answer is to come. If the answer takes longer, that is an answer, too ([`Speaker::seek_next_hops`]).

use core::net::IpAddr;

use tapway_bgp_wire::NextHop;
use tapway_model::Instant;
use tapway_rib::{NextHopEvent, Rib};

use super::{Speaker, work};

/// What the user has to know of next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHopNews {
    /// Routes have it: say where it is, and say so again when that changes.
    Track(IpAddr),
    /// No route has it any more.
    Forget(IpAddr),
}

/// Where a next hop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHopAnswer {
    /// Which.
    pub next_hop: IpAddr,
    /// How far away it is, less is nearer (RFC 4271 §9.1.2.2 e); `None`: nothing leads to it, and routes by it are not
    /// eligible.
    pub metric: Option<u32>,
    /// Packets to it go another way than before: what is in the kernel has to be looked at again.
    pub moved: bool,
}

/// Nobody is asked, and all are taken for near.
pub(crate) fn take_for_near(rib: &mut Rib) {
    rib.begin_next_hops(Some(0), |_| false);
}

const fn is_asked_for(next_hop: NextHop) -> bool {
    match next_hop {
        NextHop::V4(_) | NextHop::V6(_) => true,
        NextHop::LinkLocal(_) | NextHop::V6WithLinkLocal { .. } => false,
    }
}

fn asked(addr: IpAddr) -> NextHop {
    match addr {
        IpAddr::V4(addr) => NextHop::V4(addr),
        IpAddr::V6(addr) => NextHop::V6(addr),
    }
}

impl Speaker {
    /// From now on [`Speaker::poll_next_hop`] asks where next hops are. Before there is a peer. Without this all next hops
    /// are taken for near.
    pub fn follow_next_hops(&mut self) {
        self.shared.rib.begin_next_hops(Some(0), is_asked_for);
    }

    /// How many routes that import accepted are by a next hop that is asked for.
    pub fn routes_by(&mut self, next_hop: IpAddr) -> u64 {
        self.shared.rib.routes_by(asked(next_hop))
    }

    /// What the user has to know of next hops. To be drained, and answered, after every input.
    pub fn poll_next_hop(&mut self) -> Option<NextHopNews> {
        Some(match self.shared.rib.poll_next_hop()? {
            NextHopEvent::Track(next_hop) => NextHopNews::Track(next_hop.addr()),
            NextHopEvent::Forget(next_hop) => NextHopNews::Forget(next_hop.addr()),
        })
    }

    /// These are looked for, which takes a while, and nothing was known of them: until [`Speaker::set_next_hops`] says where they are,
    /// they count as the farthest of all, and nobody is told of prefixes because of them who was told nothing before. What is
    /// no longer asked for is passed over.
    pub fn seek_next_hops(&mut self, now: Instant, next_hops: impl IntoIterator<Item = IpAddr>) {
        for next_hop in next_hops {
            self.shared.rib.seek_next_hop(asked(next_hop));
        }
        self.defer_again();
        self.work(now, work::SLICE);
    }

    /// Where next hops are now. What is no longer asked for is passed over.
    pub fn set_next_hops(
        &mut self,
        now: Instant,
        answers: impl IntoIterator<Item = NextHopAnswer>,
    ) {
        for answer in answers {
            let next_hop = asked(answer.next_hop);
            self.shared.rib.set_next_hop(next_hop, answer.metric);
            if answer.moved {
                self.shared.rib.next_hop_moved(next_hop);
            }
        }
        self.work(now, work::SLICE);
    }
}
