//! Where one next hop is, or why nothing leads there.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use tapway_fib::{Fib, IfIndex, NextHop, Route, RouteKind};
use tapway_model::Prefix;

use crate::subnets::Subnets;

/// Ways of one route that are taken; the kernel's own bound for received routes is [`MAX_LEGS`](crate::imports::MAX_LEGS).
const WAYS: usize = 64;

/// Where a next hop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// How far away: the metric of the kernel's route, 0 on a link of ours.
    pub metric: u32,
    /// The kernel's route; `None`: it is on a link of ours.
    pub by: Option<Prefix>,
    /// The ways to it.
    pub ways: Vec<NextHop>,
}

/// Why nothing leads to a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// It is an address of this host.
    Ours,
    /// The kernel has no route to it.
    NoRoute,
    /// The kernel has only its default route.
    OnlyDefault,
    /// The kernel's route says that nothing is there: `unreachable`, `blackhole`, `prohibit`.
    Refused,
    /// The kernel's route is of a kind that cannot be followed, such as a broadcast.
    Unfit,
    /// The kernel's route has no interface that carries packets.
    NoLink(Prefix),
    /// It is in a claim of this host, and received routes do not lead to guests.
    Claimed(Prefix),
    /// Only a received route leads to it.
    Received(Prefix),
    /// A received route leads to it, and what lies behind cannot be searched for. It is tried again.
    Unsearched,
    /// The kernel did not answer: a positive `errno`. It is asked again.
    NoAnswer(i32),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unresolved::Ours => f.write_str("it is an address of this host"),
            Unresolved::NoRoute => f.write_str("the kernel has no route to it"),
            Unresolved::OnlyDefault => {
                f.write_str("only the default route leads to it, which does not count")
            }
            Unresolved::Refused => f.write_str("the kernel's route to it lets nothing through"),
            Unresolved::Unfit => f.write_str("the kernel's route to it cannot be followed"),
            Unresolved::NoLink(by) => {
                write!(f, "no interface of the kernel's route {by} carries packets")
            }
            Unresolved::Claimed(by) => write!(
                f,
                "it is in the claim {by} of this host, and received routes do not lead to guests"
            ),
            Unresolved::Received(by) => {
                write!(
                    f,
                    "only the received route {by} leads to it, which does not count"
                )
            }
            Unresolved::Unsearched => f.write_str(
                "a received route hides it, and the kernel's routes cannot be searched; it is tried again",
            ),
            Unresolved::NoAnswer(errno) => {
                write!(
                    f,
                    "the kernel did not answer (errno {errno}); it is asked again"
                )
            }
        }
    }
}

impl Unresolved {
    /// What to do about it.
    pub fn remedy(&self, next_hop: &IpAddr) -> String {
        match self {
            Unresolved::Ours => "let the peer send another next hop".to_string(),
            Unresolved::NoRoute | Unresolved::OnlyDefault | Unresolved::Received(_) => format!(
                "give the host a route to it, by an IGP or with `ip route add {} via GATEWAY`, or let the peer send itself as next hop",
                Prefix::host(*next_hop)
            ),
            Unresolved::Refused | Unresolved::Unfit => {
                format!("see `ip route get fibmatch {next_hop}`")
            }
            Unresolved::NoLink(_) => {
                format!("bring the link up; `ip route get fibmatch {next_hop}` shows which")
            }
            Unresolved::Claimed(_) => {
                "let the guest announce its prefixes by a claim of its own".to_string()
            }
            Unresolved::Unsearched => "see `tapway problem list`".to_string(),
            Unresolved::NoAnswer(_) => "see the log if it stays".to_string(),
        }
    }
}

/// What our addresses and peers tell, made once for many questions.
#[derive(Debug)]
pub(crate) struct Near {
    pub(crate) subnets: Subnets,
    /// Addresses of this host.
    pub(crate) own: BTreeSet<IpAddr>,
    /// Direct peers, and the interface that each is on.
    pub(crate) peers: BTreeMap<IpAddr, IfIndex>,
    /// Interfaces that any of this depends on.
    pub(crate) interfaces: BTreeSet<IfIndex>,
}

impl Near {
    /// Where a next hop is, if this tells.
    pub(crate) fn find(&self, addr: &IpAddr, fib: &Fib) -> Option<Result<Reached, Unresolved>> {
        if self.own.contains(addr) {
            return Some(Err(Unresolved::Ours));
        }
        let usable = |index: &IfIndex| fib.link(*index).is_some_and(|link| link.usable());
        let peer = self.peers.get(addr).copied();
        let index = peer.or_else(|| self.subnets.interface_of(addr));
        index.filter(usable).map(|index| {
            Ok(Reached {
                metric: 0,
                by: None,
                ways: [on_link(index, *addr)].into(),
            })
        })
    }

    /// Whether it is on this link.
    pub(crate) fn is_on(&self, addr: &IpAddr, index: IfIndex) -> bool {
        self.peers.get(addr) == Some(&index) || self.subnets.has(addr, index)
    }
}

/// A way by the next hop itself.
pub(crate) fn on_link(index: IfIndex, addr: IpAddr) -> NextHop {
    NextHop {
        index,
        via: Some(addr),
        onlink: false,
        weight: 1,
    }
}

/// Where a next hop is, by the route that the kernel takes.
pub(crate) fn reached(addr: &IpAddr, route: &Route, fib: &Fib) -> Result<Reached, Unresolved> {
    if route.kind != RouteKind::Unicast {
        return Err(Unresolved::Refused);
    }
    let usable = |way: &&NextHop| fib.link(way.index).is_some_and(|link| link.usable());
    let ways: Vec<NextHop> = route
        .next_hops
        .iter()
        .filter(usable)
        .take(WAYS)
        .map(|way| NextHop {
            via: Some(way.via.unwrap_or(*addr)),
            ..way.clone()
        })
        .collect();
    match ways.is_empty() {
        true => Err(Unresolved::NoLink(route.prefix)),
        false => Ok(Reached {
            metric: route.metric,
            by: Some(route.prefix),
            ways,
        }),
    }
}
