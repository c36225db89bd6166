//! Instances and their NICs, as one source tells them.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::{ClaimKind, IfName, InstanceName, Mac, NetworkName, Prefix, Tag};

/// A VM, container or service on this host, as one source tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Unique within its source.
    pub name: InstanceName,
    /// Its NICs, in the order given.
    pub nics: Vec<Nic>,
    /// Claims that no NIC owns: service addresses of the host, prefixes of a network.
    pub claims: Vec<OwnClaim>,
}

/// One interface of an instance and what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The host-side interface (tap, veth, or the bridge when the network has one).
    pub interface: IfName,
    /// The guest's address on it, when known.
    pub mac: Option<Mac>,
    /// The routing domain its claims are in.
    pub network: NetworkName,
    /// Host addresses, or whole prefixes that are on-link (a /64).
    pub addresses: Vec<Prefix>,
    /// Subnets behind the NIC, reached through its first address of the family.
    pub routes: Vec<Prefix>,
    /// Addresses that other NICs, here or elsewhere, may claim as well.
    pub anycast: Vec<Prefix>,
    /// Addresses delivered by address translation.
    pub transparent: Vec<Transparent>,
    /// What the guest may announce by BGP.
    pub guest_bgp: Option<GuestBgp>,
    /// Words for policies to match on.
    pub tags: Vec<Tag>,
    /// Where a migration stands.
    pub state: NicState,
}

/// An address delivered to a guest that does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transparent {
    /// The address that the network sees; a host prefix.
    pub address: IpAddr,
    /// The guest's own address; the NIC's first of the family when absent.
    pub to: Option<IpAddr>,
}

/// What a guest may announce by BGP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestBgp {
    /// The guest's AS; the network's rule when absent.
    pub asn: Option<u32>,
    /// The prefixes it may announce.
    pub prefixes: Vec<Prefix>,
}

/// Where the migration of a NIC stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NicState {
    /// The guest runs here: wired and announced.
    #[default]
    Running,
    /// The guest is about to run here: wired, not announced, in conflict with nobody.
    Arriving,
    /// The guest is about to run elsewhere: wired and announced until it is gone.
    Leaving,
}

/// A claim that belongs to the host or to a network instead of a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnClaim {
    /// True: the network owns it (its subnet, a NAT address). False: the host (a service address).
    pub by_network: bool,
    /// The routing domain it is in, and its owner when `by_network`.
    pub network: NetworkName,
    /// What is claimed.
    pub prefix: Prefix,
    /// `Address`, `Route` or `Anycast`.
    pub kind: ClaimKind,
    /// Announced with this next hop instead of this router.
    pub next_hop: Option<IpAddr>,
}
