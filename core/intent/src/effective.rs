//! What the intent answers: effective claims, NICs, conflicts, standings.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use tapway_model::{
    ClaimKind, Domain, IfName, InstanceName, Mac, NetworkName, NicState, Owner, Prefix, SourceName,
    Tag,
};

use crate::Problem;

/// The claim that counts for one prefix in one routing domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The routing domain.
    pub domain: Domain,
    /// What is claimed.
    pub prefix: Prefix,
    /// How: the first of its holders' kinds (an address before an authorisation).
    pub kind: ClaimKind,
    /// The network of all holders.
    pub network: NetworkName,
    /// Who holds it, the first comer first; several only when [`Effective::shared`]. Never empty.
    pub holders: Vec<Holder>,
    /// Whether to announce it: some holder is not arriving, and has it as address, route or anycast.
    pub announce: bool,
    /// Whether others may hold it as well, here or elsewhere (anycast, guest BGP): such an address
    /// gets no permanent neighbour.
    pub shared: bool,
}

/// One owner of an effective claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub owner: Owner,
    /// How this owner claims it; one that has it only as guest BGP or transparent is not wired for it.
    pub kinds: Kinds,
    /// The NIC's host-side interface.
    pub interface: Option<IfName>,
    /// The NIC's MAC address, when known.
    pub mac: Option<Mac>,
    /// The NIC's first effective host address of the family, through which everything but its
    /// addresses is reached; absent: on-link.
    pub via: Option<IpAddr>,
    /// Announced with this next hop instead of this router.
    pub next_hop: Option<IpAddr>,
    /// Where the NIC's migration stands; running for other owners.
    pub state: NicState,
    /// What says so: source and instance, the first first.
    pub instances: Vec<(SourceName, InstanceName)>,
    /// The NIC's tags.
    pub tags: Vec<Tag>,
    /// No source that says so has repeated it since it died or since this process started.
    pub stale: bool,
}

impl Holder {
    /// Whether this owner is to receive packets for the prefix by routing: it claims it as address,
    /// route or anycast, not merely as transparent or guest BGP.
    pub fn is_wired(&self) -> bool {
        self.kinds.is_wired()
    }
}

/// A set of claim kinds: one owner may claim one prefix in several ways.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kinds(u8);

impl Kinds {
    const ALL: [ClaimKind; 5] = [
        ClaimKind::Address,
        ClaimKind::Route,
        ClaimKind::Anycast,
        ClaimKind::Transparent,
        ClaimKind::GuestBgp,
    ];

    /// The set with this kind alone.
    pub const fn of(kind: ClaimKind) -> Kinds {
        Kinds(1 << kind as u8)
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: ClaimKind) -> bool {
        self.0 & Kinds::of(kind).0 != 0
    }

    /// Both sets together.
    pub const fn union(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// The kinds, the most binding first.
    pub fn iter(self) -> impl Iterator<Item = ClaimKind> {
        Kinds::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }

    /// The most binding kind.
    pub fn first(self) -> ClaimKind {
        self.iter().next().unwrap_or(ClaimKind::GuestBgp)
    }

    /// Whether every kind may be shared with other owners.
    pub fn may_be_shared(self) -> bool {
        self.iter().all(ClaimKind::may_be_shared)
    }

    /// Whether one of them is wired by routing: address, route or anycast.
    pub const fn is_wired(self) -> bool {
        self.contains(ClaimKind::Address)
            || self.contains(ClaimKind::Route)
            || self.contains(ClaimKind::Anycast)
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A NIC, merged from all that is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedNic {
    /// Its host-side interface: its identity.
    pub interface: IfName,
    /// The MAC address of the first that knows one.
    pub mac: Option<Mac>,
    /// The network that the first said.
    pub network: NetworkName,
    /// The network's routing domain; absent when the network is not configured.
    pub domain: Option<Domain>,
    /// Leaving when one says so, else running when one says so, else arriving.
    pub state: NicState,
    /// All tags, sorted.
    pub tags: Vec<Tag>,
    /// What speaks of it: source and instance, the first first.
    pub instances: Vec<(SourceName, InstanceName)>,
}

/// A claim as the operator is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRef {
    /// Who.
    pub owner: Owner,
    /// What.
    pub prefix: Prefix,
    /// How.
    pub kind: ClaimKind,
    /// In which network.
    pub network: NetworkName,
    /// Its place in the order; the lowest keeps.
    pub order: u64,
    /// What says so: source and instance.
    pub instances: Vec<(SourceName, InstanceName)>,
}

impl fmt::Display for ClaimRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} of {} in network {}",
            self.kind, self.prefix, self.owner, self.network
        )?;
        for (i, (source, instance)) in self.instances.iter().enumerate() {
            write!(
                f,
                "{}{instance} from {source}",
                if i == 0 { " (" } else { ", " }
            )?;
        }
        if self.instances.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

/// Claims that cannot all be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The routing domain.
    pub domain: Domain,
    /// The prefix that was kept.
    pub prefix: Prefix,
    /// The claim that was first and keeps its prefix.
    pub kept: ClaimRef,
    /// Those that want the same prefix or one that overlaps; the first takes over when `kept` goes.
    pub refused: Vec<ClaimRef>,
}

/// A claim that covers what was asked for, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covering {
    /// The routing domain.
    pub domain: Domain,
    /// The claim.
    pub claim: ClaimRef,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a claim stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Effective,
    /// Another was first.
    Refused {
        /// The one that keeps.
        by: ClaimRef,
    },
    /// The NIC is arriving and waits for the holder to let go.
    Arriving {
        /// The one that holds.
        behind: ClaimRef,
    },
}

/// All that is claimed of an address or prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Claims that contain or equal it: by domain, the longest prefix first, then by order.
    pub claims: Vec<Covering>,
    /// Claims that contain or equal it and are not used at all: outside `allow`, unknown network, …
    pub unused: Vec<Problem>,
}
