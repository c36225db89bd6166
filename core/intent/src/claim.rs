//! One owner's claim on one prefix, who says so, and with which other claims it contends.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{InstanceName, NetworkName, NicState, Owner, Prefix, SourceName};

use crate::{ClaimRef, Holder, Kinds, MergedNic};

/// What one instance of one source says of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The instance's order number.
    pub(crate) seq: u64,
    pub(crate) source: SourceName,
    pub(crate) instance: InstanceName,
    pub(crate) kinds: Kinds,
    pub(crate) network: NetworkName,
    pub(crate) next_hop: Option<IpAddr>,
}

/// The claim of one owner on one prefix in one domain. It lives as long as someone says so.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) owner: Owner,
    /// Its order number.
    pub(crate) order: u64,
    /// Who says so, by order number; never empty.
    pub(crate) told: Vec<Told>,
    /// All kinds that are said.
    pub(crate) kinds: Kinds,
    /// The owner, when it is a NIC.
    pub(crate) nic: Option<Arc<MergedNic>>,
    /// Through which address of the NIC.
    pub(crate) via: Option<IpAddr>,
    /// How many better-ranked claims that contend with it are kept.
    pub(crate) blockers: u32,
    /// Whether it counts. Equals `blockers == 0` once the table is settled.
    pub(crate) kept: bool,
}

/// Who goes first: what is here before what is arriving, then by order number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    arriving: bool,
    pub(crate) order: u64,
}

/// What decides with whom a claim contends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) prefix: Prefix,
    pub(crate) rank: Rank,
    owner: Owner,
    network: NetworkName,
    kinds: Kinds,
}

impl Claim {
    pub(crate) fn new(
        owner: Owner,
        order: u64,
        told: Vec<Told>,
        nic: Option<Arc<MergedNic>>,
    ) -> Self {
        let kinds = union(&told);
        Claim {
            owner,
            order,
            told,
            kinds,
            nic,
            via: None,
            blockers: 0,
            kept: false,
        }
    }

    /// Takes over what is said now.
    pub(crate) fn set(&mut self, told: Vec<Told>, nic: Option<Arc<MergedNic>>) {
        self.kinds = union(&told);
        self.told = told;
        self.nic = nic;
        if self.kinds.contains(tapway_model::ClaimKind::Address) {
            self.via = None;
        }
    }

    pub(crate) fn network(&self) -> Option<&NetworkName> {
        self.told.first().map(|told| &told.network)
    }

    pub(crate) fn state(&self) -> NicState {
        self.nic.as_ref().map_or(NicState::Running, |nic| nic.state)
    }

    pub(crate) fn rank(&self) -> Rank {
        Rank {
            arriving: self.state() == NicState::Arriving,
            order: self.order,
        }
    }

    pub(crate) fn is_arriving(&self) -> bool {
        self.state() == NicState::Arriving
    }

    /// Whether saying this instead would change with whom it contends.
    pub(crate) fn contends_alike(&self, told: &[Told], nic: Option<&Arc<MergedNic>>) -> bool {
        self.is_arriving() == nic.is_some_and(|nic| nic.state == NicState::Arriving)
            && self.kinds == union(told)
            && self.network() == told.first().map(|told| &told.network)
    }

    /// Absent only for a claim that nobody says, which is in no table.
    pub(crate) fn contender(&self, prefix: Prefix) -> Option<Contender> {
        Some(Contender {
            prefix,
            rank: self.rank(),
            owner: self.owner.clone(),
            network: self.network()?.clone(),
            kinds: self.kinds,
        })
    }

    fn instances(&self) -> Vec<(SourceName, InstanceName)> {
        self.told
            .iter()
            .map(|t| (t.source.clone(), t.instance.clone()))
            .collect()
    }

    pub(crate) fn holder(&self) -> Holder {
        let nic = self.nic.as_ref();
        Holder {
            owner: self.owner.clone(),
            kinds: self.kinds,
            interface: nic.map(|nic| nic.interface.clone()),
            mac: nic.and_then(|nic| nic.mac),
            via: self.via,
            next_hop: self.told.iter().find_map(|told| told.next_hop),
            state: self.state(),
            instances: self.instances(),
            tags: nic.map(|nic| nic.tags.clone()).unwrap_or_default(),
            stale: false,
        }
    }

    /// Absent only for a claim that nobody says, which is in no table.
    pub(crate) fn reference(&self, prefix: Prefix) -> Option<ClaimRef> {
        Some(ClaimRef {
            owner: self.owner.clone(),
            prefix,
            kind: self.kinds.first(),
            network: self.network()?.clone(),
            order: self.order,
            instances: self.instances(),
        })
    }
}

impl Contender {
    /// Whether the two cannot both count. Both are in the same domain.
    pub(crate) fn contends(&self, prefix: &Prefix, other: &Claim) -> bool {
        if self.owner == other.owner || !self.prefix.overlaps(prefix) {
            return false;
        }
        let same_network = other.network() == Some(&self.network);
        if self.prefix == *prefix {
            let shared = self.kinds.may_be_shared() && other.kinds.may_be_shared();
            return !(shared && same_network);
        }
        // A default route is where everything else goes, not a part of the address space to own.
        if self.prefix.len() == 0 || prefix.len() == 0 {
            return false;
        }
        // A network's subnet contains its NICs' prefixes.
        let inside = match (&self.owner, &other.owner) {
            (Owner::Network(_), Owner::Nic(_)) => self.prefix.contains(prefix),
            (Owner::Nic(_), Owner::Network(_)) => prefix.contains(&self.prefix),
            _ => false,
        };
        !(inside && same_network)
    }
}

fn union(told: &[Told]) -> Kinds {
    told.iter()
        .fold(Kinds::default(), |kinds, told| kinds.union(told.kinds))
}
