//! What comes out of [`Intent`](crate::Intent): what to look at again, and what to persist.

use alloc::sync::Arc;

use tapway_model::{Domain, IfName, Instance, InstanceName, Owner, Prefix, SourceName};

/// Something that whoever acts on the intent must look at again. It says where, not what: the
/// answer is what the intent says when asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// The networks changed. What is in a changed network follows, NIC by NIC and prefix by prefix.
    Networks,
    /// A NIC appeared, changed or disappeared: gateway addresses, neighbours.
    Nic(IfName),
    /// The effective claim on a prefix appeared, changed or disappeared.
    Prefix(Domain, Prefix),
    /// The conflicts or the problems changed. Nothing to wire; only for whoever shows them.
    Report,
}

/// Something that must survive a restart. Keys: source and instance name; the order's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A source says this; it replaces what the source said of an instance of that name.
    Put(SourceName, Arc<Instance>),
    /// A source no longer says it.
    Gone(SourceName, InstanceName),
    /// Who was first.
    Order(OrderRecord),
    /// A number given out before is free again.
    OrderGone(OrderKey),
}

/// Who was first: of two that cannot both have their way, the one with the lower number keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderRecord {
    /// What has the number.
    pub key: OrderKey,
    /// The number, given at first sight.
    pub number: u64,
}

/// What an order number is given to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderKey {
    /// A claim: decides conflicts.
    Claim {
        /// The routing domain.
        domain: Domain,
        /// Who claims.
        owner: Owner,
        /// What is claimed.
        prefix: Prefix,
    },
    /// What a source says of an instance: decides which MAC, network or next hop is kept when
    /// several speak of one NIC or claim. Persisted only for those that share one.
    Instance {
        /// The source.
        source: SourceName,
        /// The instance's name within it.
        instance: InstanceName,
    },
}
