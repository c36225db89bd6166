//! An [`Instance`] back to its spec. Values at their defaults are left out.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{ClaimSpec, GuestBgpSpec, InstanceSpec, NicSpec, TransparentSpec};
use crate::{
    ClaimKind, GuestBgp, Instance, NetworkName, Nic, NicState, OwnClaim, Prefix, Transparent,
};

impl From<&Instance> for InstanceSpec {
    fn from(instance: &Instance) -> InstanceSpec {
        InstanceSpec {
            name: instance.name.to_string(),
            nic: instance.nics.iter().map(NicSpec::from).collect(),
            claim: instance.claims.iter().map(ClaimSpec::from).collect(),
        }
    }
}

impl From<&Nic> for NicSpec {
    fn from(nic: &Nic) -> NicSpec {
        NicSpec {
            interface: nic.interface.to_string(),
            mac: nic.mac.map(|mac| mac.to_string()),
            network: network(&nic.network),
            addresses: texts(&nic.addresses),
            routes: texts(&nic.routes),
            anycast: texts(&nic.anycast),
            transparent: nic.transparent.iter().map(TransparentSpec::from).collect(),
            guest_bgp: nic.guest_bgp.as_ref().map(GuestBgpSpec::from),
            tags: nic.tags.iter().map(ToString::to_string).collect(),
            state: match nic.state {
                NicState::Running => None,
                NicState::Arriving => Some("arriving".to_string()),
                NicState::Leaving => Some("leaving".to_string()),
            },
        }
    }
}

impl From<&Transparent> for TransparentSpec {
    fn from(transparent: &Transparent) -> TransparentSpec {
        let address = transparent.address.to_string();
        match transparent.to {
            None => TransparentSpec::Address(address),
            Some(to) => TransparentSpec::To {
                address,
                to: to.to_string(),
            },
        }
    }
}

impl From<&GuestBgp> for GuestBgpSpec {
    fn from(guest: &GuestBgp) -> GuestBgpSpec {
        GuestBgpSpec {
            asn: guest.asn,
            prefixes: texts(&guest.prefixes),
        }
    }
}

impl From<&OwnClaim> for ClaimSpec {
    fn from(claim: &OwnClaim) -> ClaimSpec {
        let owner = if claim.by_network { "network" } else { "host" };
        ClaimSpec {
            owner: owner.to_string(),
            prefix: short(&claim.prefix),
            kind: (claim.kind != ClaimKind::Address).then(|| claim.kind.to_string()),
            network: network(&claim.network),
            next_hop: claim.next_hop.map(|addr| addr.to_string()),
        }
    }
}

fn network(name: &NetworkName) -> Option<String> {
    (name.as_str() != "default").then(|| name.to_string())
}

fn texts(prefixes: &[Prefix]) -> Vec<String> {
    prefixes.iter().map(short).collect()
}

/// A host prefix without its length.
fn short(prefix: &Prefix) -> String {
    if prefix.is_host() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}
