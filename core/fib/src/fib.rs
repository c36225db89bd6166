//! The reconciler. (Published shape; the body is being filled in.)

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use tapway_model::{Family, IfName, Instant};

use crate::{
    Address, Batch, BatchId, Change, IfIndex, KernelEvent, Key, Link, Notice, Object, Outcome,
    Route, Status,
};

/// What is wanted in the kernel, what is there, and what to change.
#[derive(Clone, Debug)]
pub struct Fib {
    wants: BTreeMap<Key, Object>,
    links: BTreeMap<IfIndex, Link>,
    notices: VecDeque<Notice>,
}

impl Fib {
    /// Objects with this protocol number are ours.
    pub fn new(_protocol: u8) -> Self {
        Fib {
            wants: BTreeMap::new(),
            links: BTreeMap::new(),
            notices: VecDeque::from([Notice::ScanNeeded]),
        }
    }
    /// Wants this object; replaces what was wanted with its key.
    pub fn set_want(&mut self, object: Object) {
        self.wants.insert(object.key(), object);
    }
    /// Wants nothing with this key.
    pub fn unwant(&mut self, key: &Key) {
        self.wants.remove(key);
    }
    /// What is wanted with this key.
    pub fn wanted(&self, key: &Key) -> Option<&Object> {
        self.wants.get(key)
    }
    /// The value that a sysctl had before we ever changed it, kept from an earlier run.
    pub fn record_old_sysctl(&mut self, _path: &str, _value: String) {}
    /// Takes in what the kernel told.
    pub fn handle_event(&mut self, _now: Instant, _event: KernelEvent) {}
    /// Takes in what became of a batch.
    pub fn handle_outcomes(&mut self, _now: Instant, _batch: BatchId, _outcomes: &[Outcome]) {}
    /// The next changes to make, at most `max`. Call until `None`, then drain the notices.
    pub fn poll_batch(&mut self, _now: Instant, _max: usize) -> Option<Batch> {
        None
    }
    /// The start-up grace is over: ours that is not wanted may go.
    pub fn allow_prune(&mut self) {}
    /// Wants nothing any more, and restores sysctls: shutdown.
    pub fn release(&mut self) {
        self.wants.clear();
    }
    /// The next thing to tell.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }
    /// When to call `poll_batch` at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// Whether the wanted object is confirmed in the kernel.
    pub fn in_sync(&self, _key: &Key) -> bool {
        false
    }
    /// How a key stands.
    pub fn status(&self, _key: &Key) -> Status {
        Status::NotWanted
    }
    /// Whether a scan was completed.
    pub fn ready(&self) -> bool {
        false
    }
    /// The full difference in the order of its application.
    pub fn plan(&self) -> Vec<Change> {
        Vec::new()
    }
    /// `change` as a command line of `ip` or `sysctl`, with interface names.
    pub fn command<'a>(&'a self, change: &'a Change) -> impl fmt::Display + 'a {
        let _ = change;
        ""
    }
    /// All links, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }
    /// The link with this index.
    pub fn link(&self, index: IfIndex) -> Option<&Link> {
        self.links.get(&index)
    }
    /// The link with this name.
    pub fn link_named(&self, name: &IfName) -> Option<&Link> {
        self.links.values().find(|l| l.name == *name)
    }
    /// The addresses on an interface, each with whether it is ours.
    pub fn addresses(&self, _index: IfIndex) -> impl Iterator<Item = (&Address, bool)> {
        core::iter::empty()
    }
    /// The default routes that are not ours, by table and metric.
    pub fn foreign_defaults(&self, _family: Family) -> impl Iterator<Item = &Route> {
        core::iter::empty()
    }
    /// Everything in the kernel that is ours, by key; no sysctls.
    pub fn ours(&self) -> impl Iterator<Item = &Object> {
        core::iter::empty()
    }
    /// Link-local addresses of the routers on an interface.
    pub fn routers(&self, _index: IfIndex) -> impl Iterator<Item = IpAddr> {
        core::iter::empty()
    }
    /// The value of a sysctl, when it is watched.
    pub fn sysctl(&self, _path: &str) -> Option<&str> {
        None
    }
}
