//! What must hold at every moment: nothing foreign is touched, nothing is announced that is not wired,
//! nothing is unwired that is still announced. Looked at where the node meets kernel and wire.

use std::collections::{BTreeMap, BTreeSet};

use tapway_bgp::ConnId;
use tapway_bgp_wire::{DecodeContext, Frame, Message, PerFamily};
use tapway_fib::sim::Kernel;
use tapway_fib::{Change, KernelEvent, Key, Object};
use tapway_model::{Domain, Network, Prefix};

use super::model::{OURS, protocol};

/// Sysctls that tapway may set here.
pub(super) const FORWARDING: [&str; 2] = ["ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"];
/// Bits of a neighbour's state that make it somebody's: `NUD_PERMANENT`.
const PERMANENT: u16 = 0x80;

/// The metrics of claims' routes: of those of NICs, and of those that only end what nobody takes.
const METRICS: [u32; 2] = [10, u32::MAX];

/// The watchman.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// The tables that claims are wired in.
    tables: Vec<u32>,
    /// What each session's peer was told, from the bytes.
    told: BTreeMap<ConnId, BTreeSet<Prefix>>,
    /// Prefixes that need no route of ours: service addresses of the host.
    pub unrouted: BTreeSet<Prefix>,
    /// Messages of the kernel were lost; what is known of it may be wrong until the scan.
    blind: bool,
    /// Changes that the kernel took since it was last emptied.
    pub done: Vec<Change>,
    /// What did not hold.
    pub faults: Vec<String>,
    /// Prefixes announced in UPDATEs, again and again.
    pub announced: u64,
    /// Prefixes withdrawn in UPDATEs.
    pub withdrawn: u64,
    /// Which, from the first router, since it was last emptied.
    pub withdrawals: BTreeSet<Prefix>,
}

impl Watch {
    /// One for networks in these domains.
    pub(super) fn new(networks: &[Network]) -> Watch {
        let mut tables = vec![Domain::MAIN.0];
        tables.extend(networks.iter().map(|network| network.domain.0));
        tables.sort_unstable();
        tables.dedup();
        Watch {
            tables,
            ..Watch::default()
        }
    }

    /// The node hears this from the kernel.
    pub(super) fn heard(&mut self, event: &KernelEvent) {
        self.blind |= matches!(event, KernelEvent::Overrun);
    }

    /// The node has the kernel's whole state.
    pub(super) fn scanned(&mut self) {
        self.blind = false;
    }

    /// A session is over, or all are.
    pub(super) fn closed(&mut self, conn: Option<ConnId>) {
        self.told.retain(|c, _| conn.is_some_and(|conn| conn != *c));
    }

    /// The node is about to change the kernel so.
    pub(super) fn change(&mut self, kernel: &Kernel, change: &Change) {
        let (Change::Add(object) | Change::Replace(object) | Change::Remove(object)) = change;
        if let Object::Sysctl(sysctl) = object {
            if !FORWARDING.contains(&sysctl.path.as_str()) {
                self.faults.push(format!("{change}: not ours to set"));
            }
            return;
        }
        if protocol(object) != Some(OURS) {
            self.faults.push(format!("{change}: not marked as ours"));
        }
        let there = kernel.object(&object.key());
        let learned = matches!(there, Some(Object::Neighbour(n)) if n.state & PERMANENT == 0);
        let foreign = there.is_some_and(|there| protocol(there) != Some(OURS)) && !learned;
        // A deletion names the protocol of routes and rules, so the kernel itself refuses.
        let refused = matches!(change, Change::Remove(Object::Route(_) | Object::Rule(_)));
        if foreign && self.knows(kernel) && !matches!(change, Change::Add(_)) && !refused {
            self.faults
                .push(format!("{change}: would hit the foreign {there:?}"));
        }
    }

    /// The kernel took this change.
    pub(super) fn changed(&mut self, kernel: &Kernel, change: &Change) {
        self.done.push(change.clone());
        let Change::Remove(Object::Route(route)) = change else {
            return;
        };
        let told = self.told.values().any(|told| told.contains(&route.prefix));
        if told
            && self.knows(kernel)
            && METRICS.contains(&route.metric)
            && !self.is_wired(kernel, &route.prefix)
        {
            let fault = format!("{} was unwired before it was withdrawn", route.prefix);
            self.faults.push(fault);
        }
    }

    /// The node sends these bytes, to the first router or another one.
    pub(super) fn sent(&mut self, kernel: &Kernel, conn: ConnId, to_first: bool, mut bytes: &[u8]) {
        let session = DecodeContext {
            four_octet_asn: true,
            extended_message: true,
            internal: false,
            families: PerFamily::from_fn(|_| true),
            add_path: PerFamily::from_fn(|_| false),
            extended_next_hop: true,
            first_as: None,
        };
        while !bytes.is_empty() {
            let (len, message) = match Frame::next(bytes, session.max_len()) {
                Ok(Some((len, frame))) => (len, frame.decode(&session)),
                other => return self.faults.push(format!("no whole message: {other:?}")),
            };
            bytes = &bytes[len..];
            let update = match message {
                Ok(Message::Update(update)) => update,
                Ok(_) => continue,
                Err(error) => return self.faults.push(format!("a bad message: {error:?}")),
            };
            let told = self.told.entry(conn).or_default();
            for prefix in update.unreach().flat_map(|nlri| nlri.iter()) {
                told.remove(&prefix.prefix);
                if to_first {
                    self.withdrawals.insert(prefix.prefix);
                }
                self.withdrawn += 1;
            }
            let mut reached = Vec::new();
            for prefix in update.reach().flat_map(|reach| reach.nlri.iter()) {
                told.insert(prefix.prefix);
                reached.push(prefix.prefix);
                self.announced += 1;
            }
            for prefix in reached {
                if self.knows(kernel) && !self.is_wired(kernel, &prefix) {
                    let fault = format!("{prefix} was announced before it was wired");
                    self.faults.push(fault);
                }
            }
        }
    }

    /// Whether the node can know what the kernel holds: it has heard all of it.
    fn knows(&self, kernel: &Kernel) -> bool {
        kernel.waiting() == 0 && !self.blind
    }

    fn is_wired(&self, kernel: &Kernel, prefix: &Prefix) -> bool {
        let wired = |domain: &u32| {
            METRICS.into_iter().any(|metric| {
                let route = kernel.object(&Key::Route(*domain, *prefix, metric));
                route.is_some_and(|route| protocol(route) == Some(OURS))
            })
        };
        self.unrouted.contains(prefix) || self.tables.iter().any(wired)
    }
}
