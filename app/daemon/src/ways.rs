//! What the kernel does with packets for an address: asked for `explain`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_fib::IfIndex;
use tapway_model::{Family, IfName, Prefix};
use tapway_node::Way;
use tapway_sys::sysctl;

use crate::daemon::Daemon;

/// Interfaces that are asked for at most; each costs a question to the kernel and some files.
const MOST: usize = 8;

impl Daemon {
    /// The ways of packets to an address of `asked` that come in where peers are; without peers, of the
    /// host's own.
    pub(crate) fn ways(&mut self, asked: Prefix) -> Vec<Way> {
        let (to, family) = (an_address_of(asked), asked.family());
        let mut uplinks: BTreeMap<IfIndex, Option<IpAddr>> = BTreeMap::new();
        for peer in self.node.speaker().peers() {
            if let Some((_, ends)) = peer.connection.filter(|(_, ends)| ends.ifindex != 0) {
                let remote = ends.remote.ip();
                let source = uplinks.entry(ends.ifindex).or_default();
                *source = source.or((Family::of(&remote) == family).then_some(remote));
            }
        }
        let name = |index: IfIndex| self.node.fib().link(index).map(|link| link.name.clone());
        let named: Vec<_> = uplinks
            .into_iter()
            .take(MOST)
            .filter_map(|(index, source)| Some((index, name(index)?, source)))
            .collect();
        let mut ways: Vec<Way> = Vec::new();
        for (index, uplink, source) in &named {
            if let Some(source) = source {
                ways.push(self.way(to, Some((*source, *index, uplink))));
            }
        }
        if ways.is_empty() {
            ways.push(self.way(to, None));
        }
        if let (Some(first), Family::Ipv4) = (ways.first_mut(), family) {
            let uplinks = named.into_iter().map(|(_, name, _)| name);
            let hops = first.found.iter().flatten().flat_map(|r| &r.next_hops);
            let guests = hops
                .filter_map(|hop| self.node.fib().link(hop.index))
                .map(|link| link.name.clone());
            first.not_forwarding = uplinks.chain(guests).filter(is_off).collect();
        }
        ways
    }

    fn way(&mut self, to: IpAddr, from: Option<(IpAddr, IfIndex, &IfName)>) -> Way {
        let by = from.map(|(source, index, _)| (source, index));
        Way {
            to,
            from: from.map(|(source, _, name)| (source, name.clone())),
            found: self
                .writer
                .lookup(to, by)
                .map_err(|error| error.to_string()),
            not_forwarding: Vec::new(),
        }
    }
}

/// IPv6 has one switch for all; IPv4 looks at that of the interface that a packet comes in by.
fn is_off(name: &IfName) -> bool {
    sysctl::read(&format!("ipv4/conf/{name}/forwarding")).is_ok_and(|value| value == "0")
}

/// The first may be the subnet's own.
fn an_address_of(prefix: Prefix) -> IpAddr {
    let second = u32::from(!prefix.is_host());
    match prefix.addr() {
        IpAddr::V4(addr) => Ipv4Addr::from_bits(addr.to_bits() | second).into(),
        IpAddr::V6(addr) => Ipv6Addr::from_bits(addr.to_bits() | u128::from(second)).into(),
    }
}
