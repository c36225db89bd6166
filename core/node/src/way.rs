//! What the kernel does with packets for a claim, beside the claim's own route: another route or rule may
//! win, or an interface may not forward.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::net::IpAddr;

use tapway_fib::{Key, Route};
use tapway_model::IfName;

use crate::describe::{describe, route_text};
use crate::explain::{Stage, Step, is_last_resort};
use crate::node::Node;

/// The kernel's answer for packets to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where they go to.
    pub to: IpAddr,
    /// Where they come from, and by which interface; absent: from the host itself.
    pub from: Option<(IpAddr, IfName)>,
    /// The route that they take; none, when there is none or it is none of a [`Route`]'s; or why they are
    /// refused.
    pub found: Result<Option<Route>, String>,
    /// Interfaces on the way, there or back, whose own sysctl turns IPv4 forwarding off.
    pub not_forwarding: vec::Vec<IfName>,
}

impl Node {
    /// What is wrong with the ways that packets take when the route `key` is in the kernel.
    pub(crate) fn way_step(&self, key: &Key, ways: &[Way]) -> Option<Step> {
        ways.iter().find_map(|way| self.wrong_way(key, way))
    }

    fn wrong_way(&self, key: &Key, way: &Way) -> Option<Step> {
        let Key::Route(table, prefix, metric) = key else {
            return None;
        };
        let broken = |text: String, remedy: String| {
            Some(Step {
                detail: vec![describe(key, self.fib()), shown_by(way)],
                ..Step::broken(Stage::KernelRoute, text, remedy)
            })
        };
        if let Some(name) = way.not_forwarding.first() {
            let sysctl = format!("net.ipv4.conf.{name}.forwarding");
            return broken(
                format!(
                    "the route is there, but {sysctl} is 0: what comes in by {name} is not forwarded"
                ),
                format!("sysctl -w {sysctl}=1, and find what sets it back"),
            );
        }
        let by = match &way.from {
            Some((_, name)) => format!("packets that come in by {name}"),
            None => "packets".into(),
        };
        match &way.found {
            // Beside what only ends what nobody takes, any way to a part of it is one of the host's own.
            Ok(Some(found)) if is_last_resort(key) && prefix.contains(&found.prefix) => None,
            Ok(None) | Err(_) if is_last_resort(key) => None,
            Ok(Some(found))
                if (found.table, &found.prefix, found.metric) == (*table, prefix, *metric)
                    && found.protocol == self.config().protocol =>
            {
                None
            }
            Ok(Some(found)) => {
                let other = route_text(found, self.fib());
                let more = if found.prefix == *prefix && found.table == *table {
                    format!("remove it, or give it a larger metric than {metric}")
                } else if found.table == *table {
                    "remove it, or move it away from the claim".into()
                } else {
                    format!("see `ip rule`: a rule sends them to table {}", found.table)
                };
                broken(
                    format!(
                        "{by} do not take our route but {other} in table {} (protocol {}), which is not tapway's",
                        found.table, found.protocol
                    ),
                    more,
                )
            }
            Ok(None) => broken(
                format!(
                    "{by} do not take our route: the kernel finds no other, or takes them for its own"
                ),
                "see `ip rule` and `ip route show table all`".into(),
            ),
            Err(why) => broken(
                format!("{by} do not take our route: the kernel refuses them: {why}"),
                "see `ip rule` and `ip route show table all`".into(),
            ),
        }
    }
}

fn shown_by(way: &Way) -> String {
    match &way.from {
        Some((source, name)) => {
            format!(
                "`ip route get fibmatch {} from {source} iif {name}` shows it",
                way.to
            )
        }
        None => format!("`ip route get fibmatch {}` shows it", way.to),
    }
}
