//! Where peers are, over which link, with which of our addresses, and where to listen for them.
//!
//! Everything is worked out from the kernel's links and addresses and from the neighbours that said they
//! are routers (RFC 4861, the R flag), which is how an unnumbered peer's link-local address is learned.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};

use tapway_bgp::config::{PeerAddress, PeerConfig, PeerRange, Reach};
use tapway_bgp::{Endpoint, LocalAddresses};
use tapway_fib::{Address, Fib, IfIndex, address_flags, is_link_local};
use tapway_model::{Family, IfName, Prefix};

use crate::config::{Listen, Listener, PeerKey};
use crate::subnets::Subnets;

/// `IFA_F_SECONDARY` shares its bit with `IFA_F_TEMPORARY`: for IPv4 it is no reason to avoid an address.
const UNFIT_V6: u32 = address_flags::TENTATIVE
    | address_flags::DADFAILED
    | address_flags::DEPRECATED
    | address_flags::TEMPORARY;

/// The BGP port (RFC 4271, section 8.2.1).
const BGP_PORT: u16 = 179;

/// Addresses that are never a next hop nor a session's address: gateways, and what claims put on `lo`.
pub(crate) struct Unfit<'a> {
    /// Gateway addresses of every network, whoever put them there.
    pub gateways: &'a BTreeSet<IpAddr>,
}

impl Unfit<'_> {
    pub(crate) fn allows(&self, (a, ours): &(&Address, bool)) -> bool {
        let flags_ok = match a.addr {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => a.flags & UNFIT_V6 == 0 && v6.to_ipv4_mapped().is_none(),
        };
        flags_ok && !ours && !self.gateways.contains(&a.addr) && !a.addr.is_unspecified()
    }
}

/// Where a peer is and how to reach it now.
///
/// # Errors
/// Why it cannot be reached now, as a sentence.
pub(crate) fn endpoint(
    peer: &PeerConfig,
    fib: &Fib,
    subnets: &Subnets,
) -> Result<Endpoint, String> {
    match &peer.address {
        PeerAddress::Interface(name) => unnumbered(peer, name, fib),
        PeerAddress::Range(_) => Err("a range of peers is in no one place".into()),
        PeerAddress::Ip {
            addr,
            interface: Some(name),
        } => {
            let index = usable_link(name, fib)?;
            Ok(Endpoint {
                remote: socket(*addr, peer.port, index),
                local: peer.local_address,
                ifindex: index,
            })
        }
        PeerAddress::Ip {
            addr,
            interface: None,
        } => {
            let remote = socket(*addr, peer.port, 0);
            if let Reach::Multihop(_) = peer.reach {
                return Ok(Endpoint {
                    remote,
                    local: peer.local_address,
                    ifindex: 0,
                });
            }
            let index = subnets.interface_of(addr).ok_or_else(|| {
                format!("{addr} is in no subnet of an interface here; add one, or say how far away it is with multihop")
            })?;
            let name = fib.link(index).map(|l| l.name.clone());
            if let Some(name) = name {
                usable_link(&name, fib)?;
            }
            Ok(Endpoint {
                remote,
                local: peer.local_address,
                ifindex: index,
            })
        }
    }
}

fn unnumbered(peer: &PeerConfig, name: &IfName, fib: &Fib) -> Result<Endpoint, String> {
    let index = usable_link(name, fib)?;
    let own: BTreeSet<IpAddr> = fib.addresses(index).map(|(a, _)| a.addr).collect();
    let router = fib
        .routers(index)
        .find(|addr| is_link_local(addr) && !own.contains(addr))
        .ok_or_else(|| {
            format!(
                "no router has been heard on {name} yet; its peer must send router advertisements"
            )
        })?;
    Ok(Endpoint {
        remote: socket(router, peer.port, index),
        local: peer.local_address,
        ifindex: index,
    })
}

fn usable_link(name: &IfName, fib: &Fib) -> Result<IfIndex, String> {
    match fib.link_named(name) {
        None => Err(format!("interface {name} does not exist")),
        Some(link) if !link.up => Err(format!("interface {name} is down")),
        Some(link) if !link.carrier => Err(format!("interface {name} has no carrier")),
        Some(link) => Ok(link.index),
    }
}

fn socket(addr: IpAddr, port: u16, scope: IfIndex) -> SocketAddr {
    match addr {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, scope).into()
        }
        _ => SocketAddr::new(addr, port),
    }
}

/// Our addresses for next hops on a session (rule 7 of the design): the session's own local address
/// first, else an address of the right family on the session's interface.
pub(crate) fn local_addresses(
    local: IpAddr,
    ifindex: IfIndex,
    fib: &Fib,
    unfit: &Unfit<'_>,
) -> LocalAddresses {
    let index = if ifindex != 0 {
        Some(ifindex)
    } else {
        owner_of(&local, fib)
    };
    let mut out = LocalAddresses::default();
    match local {
        IpAddr::V4(a) => out.v4 = Some(a),
        IpAddr::V6(a) if a.is_unicast_link_local() => out.v6_link_local = Some(a),
        IpAddr::V6(a) => out.v6_global = Some(a),
    }
    let Some(index) = index else { return out };
    let mut fit: Vec<IpAddr> = fib
        .addresses(index)
        .filter(|a| unfit.allows(a) && !a.0.addr.is_loopback())
        .map(|(a, _)| a)
        // A secondary IPv4 address comes after every primary one.
        .map(|a| (a.flags & address_flags::TEMPORARY != 0, a.addr))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|(_, addr)| addr)
        .collect();
    for addr in fit.drain(..) {
        match addr {
            IpAddr::V4(a) => {
                if !a.is_link_local() {
                    out.v4.get_or_insert(a);
                }
            }
            IpAddr::V6(a) if a.is_unicast_link_local() => {
                out.v6_link_local.get_or_insert(a);
            }
            IpAddr::V6(a) => {
                out.v6_global.get_or_insert(a);
            }
        }
    }
    out
}

fn owner_of(addr: &IpAddr, fib: &Fib) -> Option<IfIndex> {
    fib.links()
        .map(|l| l.index)
        .find(|index| fib.addresses(*index).any(|(a, _)| a.addr == *addr))
}

/// What to listen on for `peers`: our addresses on the fabric interfaces, never one of a guest's interface.
pub(crate) fn listeners<'a>(
    listen: &Listen,
    peers: impl Iterator<Item = (&'a PeerConfig, Option<&'a Endpoint>)> + Clone,
    guest_interfaces: &BTreeSet<IfName>,
    fib: &Fib,
    unfit: &Unfit<'_>,
) -> Vec<Listener> {
    let mut found: BTreeMap<SocketAddr, Expected> = BTreeMap::new();
    match listen {
        Listen::Never => {}
        Listen::On(list) => {
            for addr in list {
                let expected = found.entry(*addr).or_default();
                peers.clone().for_each(|(peer, _)| expected.add(peer));
            }
        }
        Listen::Auto => {
            for (peer, endpoint) in peers.clone() {
                let own = match &peer.address {
                    PeerAddress::Range(range) => {
                        auto_range(peer, range, guest_interfaces, fib, unfit)
                    }
                    PeerAddress::Ip { .. } | PeerAddress::Interface(_) => {
                        let on = endpoint.map_or(0, |e| e.ifindex);
                        let own = auto(peer, endpoint, guest_interfaces, fib, unfit);
                        own.into_iter().map(|addr| (addr, on)).collect()
                    }
                };
                for (addr, on) in own {
                    let expected = found.entry(addr).or_default();
                    expected.add(peer);
                    expected.on.insert(on);
                }
            }
        }
    }
    let listener = |(addr, expected): (SocketAddr, Expected)| Listener {
        addr,
        min_ttl: if expected.near && !expected.far {
            u8::MAX
        } else {
            0
        },
        device: only(&expected.on)
            .and_then(|index| fib.link(index))
            .map(|link| link.name.clone()),
        keys: keys_for(addr, peers.clone()),
    };
    found.into_iter().map(listener).collect()
}

/// Who may come in on a listener.
#[derive(Default)]
struct Expected {
    /// The interfaces that its peers are on; 0 stands for any.
    on: BTreeSet<IfIndex>,
    /// A peer with TTL security.
    near: bool,
    /// A peer without.
    far: bool,
}

impl Expected {
    fn add(&mut self, peer: &PeerConfig) {
        match peer.reach {
            Reach::TtlSecurity => self.near = true,
            Reach::Direct | Reach::Multihop(_) => self.far = true,
        }
    }
}

/// The one interface that packets for a listener come in on. A host takes packets for any of its
/// addresses on any interface: without this, a guest could reach the fabric's speaker.
fn only(on: &BTreeSet<IfIndex>) -> Option<IfIndex> {
    match on.iter().collect::<Vec<_>>().as_slice() {
        [index] if **index != 0 => Some(**index),
        _ => None,
    }
}

fn auto(
    peer: &PeerConfig,
    endpoint: Option<&Endpoint>,
    guest_interfaces: &BTreeSet<IfName>,
    fib: &Fib,
    unfit: &Unfit<'_>,
) -> Vec<SocketAddr> {
    // While nothing leads to the peer, it is not known where it could come from.
    let Some(endpoint) = endpoint else {
        return Vec::new();
    };
    if let Some(local) = peer.local_address {
        return [socket(local, BGP_PORT, endpoint.ifindex)].into();
    }
    let family = Family::of(&endpoint.remote.ip());
    let link_local = is_link_local(&endpoint.remote.ip());
    fib.links()
        .filter(|link| match endpoint.ifindex {
            0 => !guest_interfaces.contains(&link.name),
            index => link.index == index,
        })
        .flat_map(|link| fib.addresses(link.index))
        .filter(|a| unfit.allows(a))
        .map(|(a, _)| a)
        .filter(|a| Family::of(&a.addr) == family && is_link_local(&a.addr) == link_local)
        .filter(|a| endpoint.ifindex != 0 || !a.addr.is_loopback())
        .map(|a| socket(a.addr, BGP_PORT, a.index))
        .collect()
}

/// Where peers of a range may come in, and on which interface: on those with a subnet that the range is in, or, over
/// several hops, on any that is no guest's.
fn auto_range(
    peer: &PeerConfig,
    range: &PeerRange,
    guest_interfaces: &BTreeSet<IfName>,
    fib: &Fib,
    unfit: &Unfit<'_>,
) -> Vec<(SocketAddr, IfIndex)> {
    let far = matches!(peer.reach, Reach::Multihop(_));
    let is_for = |a: &Address| {
        let subnet = Prefix::truncated(a.addr, a.len);
        range.prefixes.iter().any(|prefix| {
            prefix.family() == Family::of(&a.addr)
                && is_link_local(&prefix.addr()) == is_link_local(&a.addr)
                && (far || prefix.overlaps(&subnet))
        })
    };
    fib.links()
        .filter(|link| !guest_interfaces.contains(&link.name))
        .flat_map(|link| fib.addresses(link.index))
        .filter(|a| unfit.allows(a))
        .map(|(a, _)| a)
        .filter(|a| is_for(a) && peer.local_address.is_none_or(|local| local == a.addr))
        .filter(|a| far || !a.addr.is_loopback())
        .map(|a| {
            let on = if far { 0 } else { a.index };
            (socket(a.addr, BGP_PORT, a.index), on)
        })
        .collect()
}

fn keys_for<'a>(
    addr: SocketAddr,
    peers: impl Iterator<Item = (&'a PeerConfig, Option<&'a Endpoint>)>,
) -> Vec<PeerKey> {
    let mut keys = Vec::new();
    for (peer, endpoint) in peers {
        let Some(password) = &peer.password else {
            continue;
        };
        let from: Vec<Prefix> = match (&peer.address, endpoint) {
            (PeerAddress::Ip { addr, .. }, _) => [Prefix::host(*addr)].into(),
            (PeerAddress::Interface(_), Some(endpoint)) => {
                [Prefix::host(endpoint.remote.ip())].into()
            }
            (PeerAddress::Interface(_), None) => continue,
            (PeerAddress::Range(range), _) => range.prefixes.clone(),
        };
        let family = Family::of(&addr.ip());
        for from in from.into_iter().filter(|from| from.family() == family) {
            keys.push(PeerKey {
                from,
                password: password.clone(),
            });
        }
    }
    keys
}

/// Interfaces with unnumbered peers, on which we advertise ourselves.
pub(crate) fn advertised_on<'a>(
    peers: impl Iterator<Item = &'a PeerConfig>,
    fib: &Fib,
) -> Vec<IfIndex> {
    let set: BTreeSet<IfIndex> = peers
        .filter_map(|peer| match &peer.address {
            PeerAddress::Interface(name) => {
                fib.link_named(name).filter(|l| l.usable()).map(|l| l.index)
            }
            PeerAddress::Ip { .. } | PeerAddress::Range(_) => None,
        })
        .collect();
    set.into_iter().collect()
}
