//! What one peer was sent, for one family, and what it still has to be sent (Adj-RIB-Out, RFC 4271 §3.2).
//!
//! A prefix that changed is noted, not encoded: what it means is looked up when the connection takes
//! bytes, so that a prefix that changes often is sent once. Withdrawals go first.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_bgp_wire::{Attributes, NextHop};
use tapway_model::Prefix;

use crate::policy::Modifications;

/// Attributes as sent, shared by all routes that have them: there are no two equal ones.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// In the order of their making; decides the order of sending.
    number: u64,
    pub(crate) attributes: Attributes,
    pub(crate) next_hop: NextHop,
}

#[derive(Clone, Debug)]
struct Sent {
    bundle: Arc<Bundle>,
    /// To be sent again even if nothing changed.
    again: bool,
}

/// Where a transfer of all routes stands that the peer asked for (RFC 2918, RFC 7313).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// None.
    #[default]
    Idle,
    /// To be begun with BoRR.
    Begin,
    /// Under way.
    Running,
}

/// Adj-RIB-Out of one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdjOut {
    sent: BTreeMap<Prefix, Sent>,
    /// Certain withdrawals.
    withdraw: BTreeSet<Prefix>,
    /// To be looked at.
    dirty: BTreeSet<Prefix>,
    /// Bundles by what they are made from.
    bundles: BTreeMap<(Modifications, NextHop), Arc<Bundle>>,
    made: u64,
    pub(crate) refresh: Refresh,
    pub(crate) end_of_rib: bool,
}

/// What is to be sent now.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) withdraw: Vec<Prefix>,
    pub(crate) announce: Vec<(Arc<Bundle>, Vec<Prefix>)>,
}

impl AdjOut {
    /// Prefixes that the peer has.
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Prefixes to look at.
    pub(crate) fn pending(&self) -> usize {
        self.withdraw.len() + self.dirty.len()
    }

    /// What the peer has, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Prefix, &Bundle)> {
        self.sent.iter().map(|(p, s)| (p, &*s.bundle))
    }

    /// With which attributes the peer has a prefix, and whether that is still to be looked at.
    pub(crate) fn get(&self, prefix: &Prefix) -> (Option<&Bundle>, bool) {
        let pending = self.dirty.contains(prefix) || self.withdraw.contains(prefix);
        (self.sent.get(prefix).map(|s| &*s.bundle), pending)
    }

    /// The prefix changed.
    pub(crate) fn touch(&mut self, prefix: Prefix) {
        self.withdraw.remove(&prefix);
        self.dirty.insert(prefix);
    }

    /// Nothing has this prefix any more.
    pub(crate) fn gone(&mut self, prefix: Prefix) {
        self.dirty.remove(&prefix);
        if self.sent.contains_key(&prefix) {
            self.withdraw.insert(prefix);
        }
    }

    /// Look at all of `own`, and at all that the peer has.
    pub(crate) fn touch_all(&mut self, own: impl Iterator<Item = Prefix>) {
        self.withdraw.clear();
        if self.sent.is_empty() && self.dirty.is_empty() {
            // In order already, which makes this the cheap way.
            self.dirty = own.collect();
        } else {
            self.dirty.extend(own);
            self.dirty.extend(self.sent.keys());
        }
    }

    /// Sends all again.
    pub(crate) fn send_again(&mut self, own: impl Iterator<Item = Prefix>) {
        for sent in self.sent.values_mut() {
            sent.again = true;
        }
        self.touch_all(own);
    }

    /// The bundle made of `changes` and `next_hop`; `make` makes its attributes if nobody has it yet.
    pub(crate) fn bundle(
        &mut self,
        changes: Modifications,
        next_hop: NextHop,
        make: impl FnOnce(&Modifications) -> Attributes,
    ) -> Arc<Bundle> {
        let made = &mut self.made;
        let place =
            self.bundles
                .entry((changes, next_hop))
                .or_insert_with_key(|(changes, next_hop)| {
                    *made += 1;
                    Arc::new(Bundle {
                        number: *made,
                        attributes: make(changes),
                        next_hop: *next_hop,
                    })
                });
        place.clone()
    }

    /// Takes up to `limit` prefixes and says what is to be sent of them. `decide` says with what a prefix
    /// should be announced.
    pub(crate) fn take(
        &mut self,
        limit: usize,
        mut decide: impl FnMut(&mut AdjOut, &Prefix) -> Option<Arc<Bundle>>,
    ) -> Batch {
        let mut batch = Batch::default();
        while batch.withdraw.len() < limit
            && let Some(prefix) = self.withdraw.pop_first()
        {
            if self.sent.remove(&prefix).is_some() {
                batch.withdraw.push(prefix);
            }
        }
        let mut groups: BTreeMap<u64, (Arc<Bundle>, Vec<Prefix>)> = BTreeMap::new();
        let mut add = |bundle: Arc<Bundle>, prefix| {
            groups
                .entry(bundle.number)
                .or_insert_with(|| (bundle, Vec::new()))
                .1
                .push(prefix);
        };
        let mut left = limit - batch.withdraw.len();
        while left > 0
            && let Some(prefix) = self.dirty.pop_first()
        {
            left -= 1;
            let wanted = decide(self, &prefix);
            match (self.sent.get_mut(&prefix), wanted) {
                (Some(sent), Some(bundle)) if Arc::ptr_eq(&sent.bundle, &bundle) && !sent.again => {
                }
                (Some(sent), Some(bundle)) => {
                    *sent = Sent {
                        bundle: bundle.clone(),
                        again: false,
                    };
                    add(bundle, prefix);
                }
                (None, Some(bundle)) => {
                    self.sent.insert(
                        prefix,
                        Sent {
                            bundle: bundle.clone(),
                            again: false,
                        },
                    );
                    add(bundle, prefix);
                }
                (Some(_), None) => {
                    self.sent.remove(&prefix);
                    batch.withdraw.push(prefix);
                }
                (None, None) => {}
            }
        }
        batch.announce = groups.into_values().collect();
        if self.pending() == 0 {
            self.bundles.retain(|_, b| Arc::strong_count(b) > 1);
        }
        batch
    }

    /// Some of a batch cannot be announced after all. Returns what has to be withdrawn instead: an older
    /// version may be at the peer.
    pub(crate) fn refuse(&mut self, prefixes: &[Prefix]) -> Vec<Prefix> {
        prefixes
            .iter()
            .copied()
            .filter(|p| self.sent.remove(p).is_some())
            .collect()
    }

    /// Withdraws all that the peer has.
    pub(crate) fn take_all(&mut self) -> Vec<Prefix> {
        self.dirty.clear();
        self.withdraw.clear();
        core::mem::take(&mut self.sent).into_keys().collect()
    }

    /// The peer has forgotten everything.
    pub(crate) fn clear(&mut self) {
        *self = AdjOut::default();
    }
}

#[cfg(test)]
mod tests;
