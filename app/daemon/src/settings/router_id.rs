//! The router id of a host that is told none: the first global IPv4 address of `lo`, else of a fabric
//! interface, else a number made of the machine id.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use tapway_bgp::config::{PeerAddress, PeerConfig};
use tapway_fib::{Address, IfIndex, KernelEvent, Link, Object};
use tapway_model::{Network, PeerName, Prefix};

/// Chooses one.
///
/// # Errors
/// When there is neither an address nor a machine id.
pub(super) fn choose(
    scan: &[KernelEvent],
    peers: &BTreeMap<PeerName, PeerConfig>,
    networks: &[Network],
    protocol: u8,
) -> anyhow::Result<Ipv4Addr> {
    let links: BTreeMap<IfIndex, &Link> = scan
        .iter()
        .filter_map(|event| match event {
            KernelEvent::Link(link) => Some((link.index, link)),
            _ => None,
        })
        .collect();
    let gateways: BTreeSet<IpAddr> = networks
        .iter()
        .flat_map(|n| n.gateway.iter().copied())
        .collect();
    let addresses = || {
        scan.iter().filter_map(|event| match event {
            KernelEvent::Present(Object::Address(address)) => Some(address),
            _ => None,
        })
    };
    let usable = |address: &Address| match address.addr {
        // What we put there is a service or anycast address: other hosts may have it as well.
        IpAddr::V4(_) if address.protocol == protocol => None,
        IpAddr::V4(a) => {
            let global = !a.is_loopback() && !a.is_link_local() && !a.is_unspecified();
            (global && !gateways.contains(&address.addr)).then_some(a)
        }
        IpAddr::V6(_) => None,
    };
    let loopback = |index: IfIndex| links.get(&index).is_some_and(|l| l.loopback);
    let fabric = |address: &Address| {
        let subnet = Prefix::truncated(address.addr, address.len);
        peers.values().any(|peer| match &peer.address {
            PeerAddress::Ip {
                addr,
                interface: None,
            } => subnet.contains_addr(addr),
            PeerAddress::Range(range) => range.prefixes.iter().any(|p| p.overlaps(&subnet)),
            PeerAddress::Ip {
                interface: Some(name),
                ..
            }
            | PeerAddress::Interface(name) => {
                links.get(&address.index).is_some_and(|l| l.name == *name)
            }
        })
    };
    let on_loopback = addresses().filter(|a| loopback(a.index)).find_map(usable);
    let on_fabric = || {
        addresses()
            .filter(|a| !loopback(a.index) && fabric(a))
            .find_map(usable)
    };
    if let Some(id) = on_loopback.or_else(on_fabric) {
        return Ok(id);
    }
    let machine_id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    from_machine_id(machine_id.trim()).ok_or_else(|| {
        anyhow::anyhow!("no router id: no global IPv4 address on lo or towards a peer, and no /etc/machine-id; set router_id under [router]")
    })
}

fn from_machine_id(text: &str) -> Option<Ipv4Addr> {
    (text.len() >= 16).then(|| Ipv4Addr::from_bits(crc32fast::hash(text.as_bytes()).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(index: IfIndex, text: &str, len: u8) -> KernelEvent {
        let addr = text.parse().unwrap();
        KernelEvent::Present(Object::Address(Address {
            index,
            addr,
            len,
            scope: 0,
            flags: 0,
            protocol: 0,
        }))
    }

    #[test]
    fn loopback_first_never_a_gateway() {
        let link = |index, name: &str, loopback| {
            KernelEvent::Link(Link {
                index,
                name: name.parse().unwrap(),
                mac: None,
                up: true,
                carrier: true,
                loopback,
                master: None,
                kind: None,
                mtu: 1500,
            })
        };
        let networks = [Network::with_defaults("default".parse().unwrap())];
        let peers = BTreeMap::new();
        let mut scan = vec![
            link(1, "lo", true),
            address(1, "127.0.0.1", 8),
            address(1, "169.254.0.1", 32),
        ];
        let by_machine = choose(&scan, &peers, &networks, 112).map(|id| id.to_string());
        scan.push(address(1, "192.0.2.11", 32));
        assert_eq!(
            choose(&scan, &peers, &networks, 112).unwrap().to_string(),
            "192.0.2.11"
        );
        assert_ne!(by_machine.unwrap_or_default(), "192.0.2.11");
    }

    #[test]
    fn a_machine_id_gives_always_the_same_number() {
        let id = from_machine_id("4c4c4544003258108051b4c04f4e3232").unwrap();
        assert_eq!(
            from_machine_id("4c4c4544003258108051b4c04f4e3232"),
            Some(id)
        );
        assert_eq!(from_machine_id(""), None);
    }
}
