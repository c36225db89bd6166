//! Received routes in words: which counts, and why one does not.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp::{FARTHEST, NotPassed, ReceivedRoute};
use tapway_model::{PeerName, Prefix};

use crate::next_hops::Unresolved;
use crate::node::Node;

/// Towards so many peers it is said what becomes of a route.
const PEERS_SHOWN: usize = 32;

fn towards(peer: &PeerName, why: &NotPassed) -> String {
    let held = match why {
        NotPassed::Sent(hop) => return format!("passed on to {peer} by next hop {}", hop.addr()),
        NotPassed::Pending => return format!("about to be passed on to {peer}"),
        NotPassed::ItsOwn => "it is its own".to_string(),
        NotPassed::SessionDown(state) => format!("the session is down ({state})"),
        NotPassed::FamilyNotNegotiated(family) => format!("the session does not carry {family}"),
        NotPassed::Internal => {
            "both are internal peers, and neither is a client (client = true)".to_string()
        }
        NotPassed::Filtered {
            policy,
            rule: Some(rule),
        } => {
            format!("rule {} of policy {policy} rejects it", rule + 1)
        }
        NotPassed::Filtered { policy, rule: None } => {
            format!("no rule of policy {policy} accepts it")
        }
        NotPassed::NoNextHop(why) => format!("there is no next hop for it: {why}"),
        NotPassed::Confined => {
            "a community such as no-export, or its AS_PATH, keeps it here".to_string()
        }
        NotPassed::Role(role) => {
            format!("it is for customers only, and our role there is {role} (RFC 9234)")
        }
        NotPassed::TooLong => {
            "its attributes do not fit into a message to it (RFC 8654 lets messages be longer)"
                .to_string()
        }
        NotPassed::LongLivedStale => {
            "it is long-lived stale, which the peer does not understand (RFC 9494)".to_string()
        }
    };
    format!("not passed on to {peer}: {held}")
}

/// What is said of the received routes to one prefix.
pub(crate) struct Received {
    /// The prefix: the longest with any.
    pub prefix: Prefix,
    /// A line for each route.
    pub lines: Vec<String>,
    /// What to do, when none of them is of use.
    pub remedy: Option<String>,
}

impl Node {
    /// Why a received route that import accepted is not eligible (RFC 4271 §9.1.2.1), and what to do about it; `None`: it is.
    pub fn why_not_eligible(&self, route: &ReceivedRoute) -> Option<(String, Option<String>)> {
        let (addr, why) = self.unresolved(route)?;
        let Some(why) = why else {
            let text = format!("nothing leads to its next hop {addr}");
            return Some((text, None));
        };
        let text = format!("nothing leads to its next hop {addr}: {why}");
        Some((text, Some(why.remedy(&addr))))
    }

    /// The next hop of a route, while it is searched for and nothing is known of it.
    pub fn sought_next_hop(&self, route: &ReceivedRoute) -> Option<IpAddr> {
        let addr = route.used_next_hop.unwrap_or(route.next_hop).addr();
        let sought = self.next_hops.get(&addr)?.found.is_none();
        // A link-local part makes it another one, of which more may be known.
        (sought && route.metric == Some(FARTHEST)).then_some(addr)
    }

    fn unresolved(&self, route: &ReceivedRoute) -> Option<(IpAddr, Option<&Unresolved>)> {
        if route.refused.is_some() || route.metric.is_some() {
            return None;
        }
        let addr = route.used_next_hop.unwrap_or(route.next_hop).addr();
        let why = self.next_hop(&addr).and_then(|found| found.as_ref().err());
        Some((addr, why))
    }

    /// The received routes to the longest prefix around `asked` that has any.
    pub(crate) fn received_around(&self, asked: Prefix) -> Option<Received> {
        let around = |len| Prefix::truncated(asked.addr(), len);
        (0..=asked.len()).rev().find_map(|len| {
            let routes = self.received_to(around(len));
            (!routes.is_empty()).then(|| self.in_words(around(len), &routes))
        })
    }

    fn received_to(&self, prefix: Prefix) -> Vec<(&PeerName, ReceivedRoute)> {
        let of = |peer| {
            let all = self.speaker().received_at(peer, prefix).into_iter();
            all.map(move |route| (peer, route))
        };
        self.peer_names().flat_map(of).collect()
    }

    /// What becomes of the best route towards each peer to which such routes may go.
    fn passed_on(&self, prefix: Prefix, lines: &mut Vec<String>) {
        let answers = self.peer_names().filter_map(|peer| {
            let why = self.speaker().why_not_passed(peer, prefix)?;
            (why != NotPassed::ItsOwn).then_some((peer, why))
        });
        let mut more = 0;
        for (number, (peer, why)) in answers.enumerate() {
            if number < PEERS_SHOWN {
                lines.push(towards(peer, &why));
            } else {
                more += 1;
            }
        }
        if more > 0 {
            lines.push(format!(
                "and {more} more peers: see tapway route list --advertised PEER"
            ));
        }
    }

    fn in_words(&self, prefix: Prefix, routes: &[(&PeerName, ReceivedRoute)]) -> Received {
        let (mut lines, mut remedy) = (Vec::new(), None);
        for (peer, route) in routes {
            let hop = route.used_next_hop.unwrap_or(route.next_hop);
            let distance = || match route.metric {
                _ if self.sought_next_hop(route).is_some() => {
                    ", its next hop is still being searched for".to_string()
                }
                Some(0) | None => String::new(),
                Some(metric) => format!(", metric {metric} to the next hop"),
            };
            let state = match self.why_not_eligible(route) {
                Some((why, what)) => {
                    remedy = remedy.or(what);
                    format!("not eligible, {why}")
                }
                None if route.refused.is_some() => "not accepted by import".to_string(),
                None if route.best => "best".to_string() + &distance(),
                None => "not the best".to_string() + &distance(),
            };
            lines.push(format!("{peer} sends {prefix} by next hop {hop}: {state}"));
        }
        self.passed_on(prefix, &mut lines);
        let used = routes.iter().any(|(_, route)| route.metric.is_some());
        Received {
            prefix,
            lines,
            remedy: remedy.filter(|_| !used),
        }
    }
}
