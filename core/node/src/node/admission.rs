//! Who comes in by a range, who does not, and what those are told.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tapway_bgp::State;
use tapway_bgp::config::{PeerAddress, PeerConfig, PeerRange, Reach};
use tapway_bgp_wire::{ErrorCode, Notification};
use tapway_fib::IfIndex;
use tapway_model::{IfName, Instant, PeerName};

use super::Node;
use crate::action::Level;
use crate::subnets::Subnets;
use crate::uplink::{self, Unfit};

/// What a range has to say of those it refuses, it says once in this time.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

impl Node {
    /// Somebody connected from `remote`, and the kernel says that it came in on the link `arrived` (0: it says nothing).
    /// When no peer is there and a range has the address, it becomes a peer. To be called before
    /// [`Node::handle_accepted`].
    ///
    /// Nobody becomes a peer by what came in on a guest's interface, whatever the address, nor where it is not known on
    /// which it was: guests do not reach the fabric's speaker (rule 12 of the design), and a range's listener may be
    /// one that takes packets of any interface.
    ///
    /// # Errors
    /// The bytes to say before it is closed, if any: a range has it, but does not let it in now.
    pub fn admit(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        arrived: IfIndex,
    ) -> Result<(), Vec<u8>> {
        let Some(at) = self.place(remote.ip().to_canonical(), arrived) else {
            return Ok(());
        };
        if self.is_written_at(&at) {
            return Ok(());
        }
        let Some((template, range)) = self.range_of(&at) else {
            return Ok(());
        };
        let (name, limit) = (template.name.clone(), range.limit as usize);
        let Some(peer) = member(template, at) else {
            return Ok(());
        };
        // Also where a member is: a guest is not let in by its address.
        if let Some(where_from) = self.guests_way(arrived) {
            let text = format!(
                "{} is refused: it came in {where_from}, and guests are no peers of the fabric",
                peer.name
            );
            self.tell_refused(now, name, "peer.range-guest", text);
            return Err(Vec::new());
        }
        if self.ranged.peers.contains_key(&peer.name) {
            return Ok(());
        }
        if let Some(message) = self.ranged.disabled.get(&name) {
            let message = message.as_deref().unwrap_or("");
            let farewell = Notification::with_message(ErrorCode::CEASE_ADMIN_SHUTDOWN, message);
            return Err(encoded(&farewell));
        }
        let Some(endpoint) = self.member_endpoint(&peer, arrived) else {
            return Ok(());
        };
        if self.members_of(&name) >= limit && !self.make_room(now, &name) {
            let text = format!(
                "{} is refused: the range has its {limit} peers; raise range_limit if they are all wanted",
                peer.name
            );
            self.tell_refused(now, name, "peer.range-full", text);
            return Err(encoded(&Notification::new(ErrorCode::CEASE_REJECTED)));
        }
        self.add_member(now, peer, endpoint);
        Ok(())
    }

    /// An address as one that a peer may have; `None`: a link-local one whose link is not known.
    fn place(&self, addr: IpAddr, arrived: IfIndex) -> Option<PeerAddress> {
        let interface = match addr {
            IpAddr::V6(a) if a.is_unicast_link_local() => {
                Some(self.fib.link(arrived)?.name.clone())
            }
            _ => None,
        };
        Some(PeerAddress::Ip { addr, interface })
    }

    /// Where a connection came in that may be a guest's, in words: on the interface of a NIC, on the bridge of a network
    /// or on one that a NIC is a port of, or on one that nobody knows.
    fn guests_way(&self, arrived: IfIndex) -> Option<String> {
        let Some(link) = self.fib.link(arrived) else {
            return Some("on an interface that is not known".into());
        };
        let is_bridge = |name: &IfName| {
            let mut networks = self.networks.values();
            networks.any(|network| network.bridge.as_ref() == Some(name))
        };
        if self.nic_interfaces.contains(&link.name) || is_bridge(&link.name) {
            return Some(format!("on {}, where guests are", link.name));
        }
        let mut ports = self.fib.links().filter(|port| port.master == Some(arrived));
        let guest = ports.find(|port| self.nic_interfaces.contains(&port.name))?;
        Some(format!(
            "on {}, which the guest's interface {} is a port of",
            link.name, guest.name
        ))
    }

    /// Where a member is: on the link that it came in on, or several hops away.
    fn member_endpoint(&self, peer: &PeerConfig, arrived: IfIndex) -> Option<tapway_bgp::Endpoint> {
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        let here = match peer.reach {
            Reach::Direct | Reach::TtlSecurity => Some(arrived),
            Reach::Multihop(_) => None,
        };
        let subnets = Subnets::on(here, &self.fib, &unfit);
        uplink::endpoint(peer, &self.fib, &subnets).ok()
    }

    /// Forgets the member of a full range that was refused longest ago for what it sent. False: there is none, all have
    /// sessions or wait for one.
    fn make_room(&mut self, now: Instant, range: &PeerName) -> bool {
        let rests = |name: &PeerName| {
            let of_range = self.ranged.peers.get(name);
            let of_range = of_range.is_some_and(|peer| peer.range.as_ref() == Some(range));
            of_range
                && self
                    .speaker
                    .peer(name)
                    .is_none_or(|peer| matches!(peer.state, State::Idle | State::Active))
        };
        let offenders = self.ranged.offenders.iter();
        let longest = offenders
            .filter(|(name, _)| rests(name))
            .min_by_key(|(_, until)| **until)
            .map(|(name, _)| name.clone());
        let found = longest.is_some();
        if let Some(name) = longest {
            self.dismiss(now, &name);
        }
        found
    }

    /// The range with the longest prefix that has this address, also when it is disabled.
    pub(super) fn range_of(&self, at: &PeerAddress) -> Option<(&PeerConfig, &PeerRange)> {
        let PeerAddress::Ip { addr, .. } = at else {
            return None;
        };
        range_among(&self.config.peers, addr)
    }

    /// The member of a range that has this name, wherever it is.
    pub(super) fn member_called(&self, name: &PeerName) -> Option<PeerConfig> {
        let mut parts = name.as_str().splitn(3, '@').skip(1);
        let addr = parts.next()?.parse().ok()?;
        let interface = match parts.next() {
            Some(text) => Some(IfName::new(text).ok()?),
            None => None,
        };
        let at = PeerAddress::Ip { addr, interface };
        let (template, _) = self.range_of(&at)?;
        let written = self.is_written_at(&at);
        member(template, at).filter(|peer| peer.name == *name && !written)
    }

    fn tell_refused(&mut self, now: Instant, range: PeerName, kind: &'static str, text: String) {
        let key = (range, kind);
        let told = self.ranged.told.get(&key).copied();
        if told.is_none_or(|told| now.since(told) >= TOLD_AGAIN) {
            self.event(Level::Warning, kind, key.0.as_str(), text);
            self.ranged.told.insert(key, now);
        }
    }
}

/// The range with the longest prefix that has this address.
pub(super) fn range_among<'p>(
    peers: &'p BTreeMap<PeerName, PeerConfig>,
    addr: &IpAddr,
) -> Option<(&'p PeerConfig, &'p PeerRange)> {
    let ranges = peers.values().filter_map(|peer| {
        let PeerAddress::Range(range) = &peer.address else {
            return None;
        };
        let has = range.prefixes.iter().filter(|p| p.contains_addr(addr));
        let longest = has.map(|prefix| prefix.len()).max()?;
        Some((longest, (peer, range)))
    });
    // No two ranges share a prefix.
    let best = ranges.max_by_key(|(len, _)| *len);
    best.map(|(_, found)| found)
}

fn encoded(notification: &Notification) -> Vec<u8> {
    let mut bytes = Vec::new();
    notification.encode(&mut bytes);
    bytes
}

/// The peer at `at` that a range makes; `None`: no name can be made of its interface's.
fn member(template: &PeerConfig, at: PeerAddress) -> Option<PeerConfig> {
    let PeerAddress::Ip { addr, interface } = &at else {
        return None;
    };
    let name = match interface {
        None => format!("{}@{addr}", template.name),
        Some(on) => format!("{}@{addr}@{on}", template.name),
    };
    let name = PeerName::new(&name).ok()?;
    Some(made_by(template, name, at))
}

/// The settings of a peer at `at` by those of its range. The range is disabled for all of them or for none, whatever is
/// written.
pub(super) fn made_by(template: &PeerConfig, name: PeerName, at: PeerAddress) -> PeerConfig {
    PeerConfig {
        name,
        address: at,
        range: Some(template.name.clone()),
        passive: true,
        disabled: false,
        ..template.clone()
    }
}
