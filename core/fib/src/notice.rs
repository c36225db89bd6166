//! What the reconciler tells its owner: plain values, polled.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{Family, IfName};

use crate::{Change, IfIndex, Key};

/// Names a [`Batch`] until its outcomes are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// Changes to apply in this order. One outcome per change comes back, in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// To hand in with the outcomes.
    pub id: BatchId,
    /// Never empty.
    pub changes: Vec<Change>,
}

/// What happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// It appeared. What state it is in is in [`crate::Fib::link`]; no `Up` or `Carrier` follows for it.
    New(IfIndex),
    /// It was deleted.
    Gone {
        /// Its index.
        index: IfIndex,
        /// The name it had.
        name: IfName,
    },
    /// It was set up.
    Up(IfIndex),
    /// It was set down. The kernel dropped the routes and neighbours through it.
    Down(IfIndex),
    /// It gained (true) or lost its carrier.
    Carrier(IfIndex, bool),
    /// It has another name.
    Renamed {
        /// Its index.
        index: IfIndex,
        /// The name it had.
        from: IfName,
        /// The name it has.
        to: IfName,
    },
    /// Something else about it changed: hardware address, master, MTU, kind.
    Changed(IfIndex),
}

/// Something that the owner may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The wanted object is in the kernel, as wanted.
    InSync(Key),
    /// It was, and is no longer, and not because the owner wanted something else.
    OutOfSync(Key),
    /// The kernel refused it, or somebody keeps removing it. It is tried again with back-off.
    Failed {
        /// Which.
        key: Key,
        /// A positive `errno`.
        errno: i32,
        /// The kernel's words, if it had any.
        message: Option<String>,
        /// How often it was tried in vain.
        attempts: u32,
    },
    /// An object that is not ours has this key. It is never overwritten; ours follows when it goes.
    Foreign {
        /// Which.
        key: Key,
    },
    /// A link changed.
    Link(LinkChange),
    /// The addresses on an interface, or their flags, changed.
    AddressesChanged(IfIndex),
    /// A link-local neighbour said that it is a router, or is no longer there.
    RouterNeighbour {
        /// The interface.
        index: IfIndex,
        /// Its link-local address.
        addr: IpAddr,
        /// Whether it is there.
        present: bool,
    },
    /// The default routes that are not ours changed.
    ForeignDefaultChanged(Family),
    /// A wanted sysctl had another value. With `ours`: this is the value found before we ever wrote
    /// it, to be kept for the day it is restored. Without: somebody changed it under us.
    SysctlChanged {
        /// Path below `/proc/sys/net`.
        path: String,
        /// The value before.
        old: String,
        /// The value after.
        new: String,
        /// Whether it is our change.
        ours: bool,
    },
    /// The value of a wanted sysctl is not known: watch it, and hand in its value as
    /// [`crate::KernelEvent::Present`]. Nothing is written before, or the old value would be lost.
    SysctlUnknown {
        /// Path below `/proc/sys/net`.
        path: String,
    },
    /// Somebody removed or changed it; it is put back.
    Repaired(Key),
    /// What is known may be wrong, or nothing is known yet: scan.
    ScanNeeded,
}

/// How a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody wants it.
    NotWanted,
    /// As wanted in the kernel.
    InSync,
    /// To be written, or waiting for its link, its value, or the first scan.
    Pending,
    /// In a batch whose outcomes are not in.
    InFlight,
    /// Refused, or removed again and again; tried again with back-off.
    Failed {
        /// A positive `errno`.
        errno: i32,
        /// The kernel's words, if it had any.
        message: Option<String>,
        /// How often it was tried in vain.
        attempts: u32,
    },
    /// An object that is not ours has this key.
    Foreign,
}
