//! All claims of one routing domain, and which of them count.
//!
//! The claims that count are those that a walk by rank would keep, each unless it contends with one
//! kept before. The table holds that result while claims come and go: every claim counts its kept,
//! better-ranked rivals, and a change is carried from claim to claim in order of rank, so that only
//! claims it reaches are looked at and each of them changes its mind at most once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Bound::{Excluded, Unbounded};

use tapway_model::{ClaimKind, Domain, Family, IfName, Owner, Prefix};

use crate::claim::{Claim, Contender, Rank, Told};
use crate::order::Journal;
use crate::{Effective, Kinds, MergedNic, OrderKey};

/// The claims of one domain.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    domain: Domain,
    /// Claims by prefix, each slot by order number and never empty.
    slots: BTreeMap<Prefix, Vec<Claim>>,
    /// How many slots there are of each prefix length.
    lengths: BTreeMap<(Family, u8), u32>,
    /// Claims whose rivals changed.
    pending: BTreeSet<(Rank, Prefix)>,
    /// Claims that do not count and would if they could: prefix and order number.
    refused: BTreeSet<(Prefix, u64)>,
    /// What counted for the prefixes touched since the last [`Table::changed`].
    before: BTreeMap<Prefix, Option<Effective>>,
    /// NICs of which an address began or ceased to count.
    moved: Vec<IfName>,
    /// Whether conflicts changed.
    report: bool,
}

/// What changed in a table.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) report: bool,
}

impl Table {
    pub(crate) fn new(domain: Domain) -> Self {
        Table {
            domain,
            slots: BTreeMap::new(),
            lengths: BTreeMap::new(),
            pending: BTreeSet::new(),
            refused: BTreeSet::new(),
            before: BTreeMap::new(),
            moved: Vec::new(),
            report: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Who says that `owner` claims `prefix`.
    pub(crate) fn told(&self, prefix: &Prefix, owner: &Owner) -> &[Told] {
        self.claim(prefix, owner).map_or(&[], |claim| &claim.told)
    }

    /// Whether the claim of `owner` on `prefix` counts.
    pub(crate) fn keeps(&self, prefix: &Prefix, owner: &Owner) -> bool {
        self.claim(prefix, owner).is_some_and(|claim| claim.kept)
    }

    fn claim(&self, prefix: &Prefix, owner: &Owner) -> Option<&Claim> {
        self.slots
            .get(prefix)?
            .iter()
            .find(|claim| claim.owner == *owner)
    }

    /// What is said now of the claim of `owner` on `prefix`; nothing: the claim is gone.
    pub(crate) fn tell(
        &mut self,
        journal: &mut Journal,
        prefix: Prefix,
        owner: &Owner,
        told: Vec<Told>,
        nic: Option<&Arc<MergedNic>>,
    ) {
        let known = self.claim(&prefix, owner);
        let key = || OrderKey::Claim {
            domain: self.domain,
            owner: owner.clone(),
            prefix,
        };
        match known {
            None if told.is_empty() => {}
            None => {
                let order = journal.number(key());
                self.touch(prefix);
                self.enter(prefix, Claim::new(owner.clone(), order, told, nic.cloned()));
            }
            Some(claim) if told.is_empty() => {
                let order = claim.order;
                journal.release(key(), order);
                self.touch(prefix);
                self.leave(prefix, order);
            }
            Some(claim) if claim.told == told && same(claim.nic.as_ref(), nic) => {}
            Some(claim) => {
                let (order, alike) = (claim.order, claim.contends_alike(&told, nic));
                let disputed = self.disputed(prefix, claim);
                self.touch(prefix);
                if alike {
                    self.report |= disputed;
                    if let Some(claim) = self.by_order(&prefix, order) {
                        claim.set(told, nic.cloned());
                    }
                } else if let Some(mut claim) = self.leave(prefix, order) {
                    claim.set(told, nic.cloned());
                    self.enter(prefix, claim);
                }
            }
        }
    }

    /// The way to the claim of `owner` on `prefix`, unless it is an address and so on-link.
    pub(crate) fn set_via(&mut self, prefix: Prefix, owner: &Owner, via: Option<IpAddr>) {
        let Some(claim) = self.claim(&prefix, owner) else {
            return;
        };
        let order = claim.order;
        if claim.via == via || claim.kinds.contains(ClaimKind::Address) {
            return;
        }
        self.touch(prefix);
        if let Some(claim) = self.by_order(&prefix, order) {
            claim.via = via;
        }
    }

    /// Decides what counts. Gives the NICs of which an address began or ceased to count.
    pub(crate) fn settle(&mut self) -> Vec<IfName> {
        while let Some((rank, prefix)) = self.pending.pop_first() {
            let Some(claim) = self.by_order(&prefix, rank.order) else {
                continue;
            };
            let (kept, arriving) = (claim.blockers == 0, claim.is_arriving());
            let flips = claim.kept != kept;
            let changed = if kept || arriving {
                self.refused.remove(&(prefix, rank.order))
            } else {
                self.refused.insert((prefix, rank.order))
            };
            self.report |= changed;
            if flips {
                self.touch(prefix);
                self.flip(prefix, rank.order, kept);
            }
        }
        core::mem::take(&mut self.moved)
    }

    /// The prefixes for which something else counts than at the last call.
    pub(crate) fn changed(&mut self) -> Changed {
        let before = core::mem::take(&mut self.before);
        let report = core::mem::take(&mut self.report);
        let differs = |(prefix, was): (Prefix, Option<Effective>)| {
            (self.effective(&prefix) != was).then_some(prefix)
        };
        Changed {
            prefixes: before.into_iter().filter_map(differs).collect(),
            report,
        }
    }

    /// What counts for `prefix`.
    pub(crate) fn effective(&self, prefix: &Prefix) -> Option<Effective> {
        self.view(*prefix, self.slots.get(prefix)?)
    }

    /// What counts, by prefix.
    pub(crate) fn effective_all(&self) -> impl Iterator<Item = Effective> {
        self.slots
            .iter()
            .filter_map(|(prefix, slot)| self.view(*prefix, slot))
    }

    fn view(&self, prefix: Prefix, slot: &[Claim]) -> Option<Effective> {
        let kept = || slot.iter().filter(|claim| claim.kept);
        let network = kept().next()?.network()?.clone();
        let kinds = kept().fold(Kinds::default(), |kinds, claim| kinds.union(claim.kinds));
        Some(Effective {
            domain: self.domain,
            prefix,
            kind: kinds.first(),
            network,
            holders: kept().map(Claim::holder).collect(),
            announce: kept().any(|claim| !claim.is_arriving() && claim.kinds.is_wired()),
            shared: kinds.may_be_shared(),
        })
    }

    /// The claims that are refused, each with the best-ranked claim that keeps it out.
    pub(crate) fn refused(&self) -> impl Iterator<Item = ((Prefix, &Claim), (Prefix, &Claim))> {
        self.refused.iter().filter_map(|(prefix, order)| {
            let slot = self.slots.get(prefix)?;
            let claim = slot.iter().find(|claim| claim.order == *order)?;
            Some(((*prefix, claim), self.keeper(*prefix, claim)?))
        })
    }

    /// The best-ranked claim that counts and with which `claim` contends.
    pub(crate) fn keeper(&self, prefix: Prefix, claim: &Claim) -> Option<(Prefix, &Claim)> {
        let contender = claim.contender(prefix)?;
        self.overlapping(prefix)
            .flat_map(|(prefix, slot)| slot.iter().map(move |other| (*prefix, other)))
            .filter(|(prefix, other)| other.kept && contender.contends(prefix, other))
            .min_by_key(|(_, other)| other.rank())
    }

    /// The claims on `prefix` and on all that contain it, the longest first, then by order number.
    pub(crate) fn covering(&self, prefix: Prefix) -> impl Iterator<Item = (Prefix, &Claim)> {
        self.lengths
            .range((prefix.family(), 0)..=(prefix.family(), prefix.len()))
            .rev()
            .map(move |((_, len), _)| Prefix::truncated(prefix.addr(), *len))
            .filter_map(|prefix| Some((prefix, self.slots.get(&prefix)?)))
            .flat_map(|(prefix, slot)| slot.iter().map(move |claim| (prefix, claim)))
    }

    /// Whether a conflict names this claim.
    fn disputed(&self, prefix: Prefix, claim: &Claim) -> bool {
        let Some(contender) = claim.contender(prefix) else {
            return false;
        };
        !self.refused.is_empty()
            && self
                .overlapping(prefix)
                .any(|(at, slot)| slot.iter().any(|other| contender.contends(at, other)))
    }

    /// Remembers what counted for `prefix`, before it changes.
    fn touch(&mut self, prefix: Prefix) {
        if !self.before.contains_key(&prefix) {
            let was = self.effective(&prefix);
            self.before.insert(prefix, was);
        }
    }

    fn by_order(&mut self, prefix: &Prefix, order: u64) -> Option<&mut Claim> {
        let slot = self.slots.get_mut(prefix)?;
        let at = slot
            .binary_search_by_key(&order, |claim| claim.order)
            .ok()?;
        slot.get_mut(at)
    }

    fn enter(&mut self, prefix: Prefix, mut claim: Claim) {
        let Some(contender) = claim.contender(prefix) else {
            return;
        };
        let rivals = self.overlapping(prefix).flat_map(|(prefix, slot)| {
            slot.iter().filter(|other| {
                other.kept && other.rank() < contender.rank && contender.contends(prefix, other)
            })
        });
        claim.blockers = u32::try_from(rivals.count()).unwrap_or(u32::MAX);
        claim.kept = false;
        // Nearly every prefix has one claim for ever.
        let slot = self
            .slots
            .entry(prefix)
            .or_insert_with(|| Vec::with_capacity(1));
        if slot.is_empty() {
            *self
                .lengths
                .entry((prefix.family(), prefix.len()))
                .or_insert(0) += 1;
        }
        let at = slot.partition_point(|other| other.order < claim.order);
        slot.insert(at, claim);
        self.pending.insert((contender.rank, prefix));
    }

    fn leave(&mut self, prefix: Prefix, order: u64) -> Option<Claim> {
        let rank = self.by_order(&prefix, order)?.rank();
        self.flip(prefix, order, false);
        self.pending.remove(&(rank, prefix));
        self.report |= self.refused.remove(&(prefix, order));
        let slot = self.slots.get_mut(&prefix)?;
        let at = slot
            .binary_search_by_key(&order, |claim| claim.order)
            .ok()?;
        let claim = slot.remove(at);
        if slot.is_empty() {
            self.slots.remove(&prefix);
            let key = (prefix.family(), prefix.len());
            if let Some(count) = self.lengths.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&key);
                }
            }
        }
        Some(claim)
    }

    /// Lets a claim count or not, and tells its worse-ranked rivals.
    fn flip(&mut self, prefix: Prefix, order: u64, kept: bool) {
        let Some(claim) = self.by_order(&prefix, order) else {
            return;
        };
        if claim.kept == kept {
            return;
        }
        claim.kept = kept;
        let contender = claim.contender(prefix);
        if let (Owner::Nic(interface), true) =
            (&claim.owner, claim.kinds.contains(ClaimKind::Address))
        {
            let interface = interface.clone();
            self.moved.push(interface);
        }
        if let Some(contender) = contender {
            self.tell_rivals(&contender, kept);
        }
    }

    fn tell_rivals(&mut self, contender: &Contender, kept: bool) {
        let Table {
            slots,
            lengths,
            pending,
            report,
            ..
        } = self;
        let mut tell = |prefix: &Prefix, slot: &mut Vec<Claim>| {
            for other in slot {
                let rank = other.rank();
                if rank > contender.rank && contender.contends(prefix, other) {
                    other.blockers = if kept {
                        other.blockers + 1
                    } else {
                        other.blockers.saturating_sub(1)
                    };
                    pending.insert((rank, *prefix));
                    *report = true;
                }
            }
        };
        let prefix = contender.prefix;
        for above in above(lengths, prefix) {
            if let Some(slot) = slots.get_mut(&above) {
                tell(&above, slot);
            }
        }
        if let Some(slot) = slots.get_mut(&prefix) {
            tell(&prefix, slot);
        }
        if has_below(lengths, prefix) {
            for (below, slot) in slots.range_mut((Excluded(prefix), Unbounded)) {
                if !prefix.contains(below) {
                    break;
                }
                tell(below, slot);
            }
        }
    }

    /// The slots that may contend with `prefix`: above, equal, below.
    fn overlapping(&self, prefix: Prefix) -> impl Iterator<Item = (&Prefix, &Vec<Claim>)> {
        let above = above(&self.lengths, prefix).filter_map(|p| self.slots.get_key_value(&p));
        let equal = self.slots.get_key_value(&prefix).into_iter();
        let below = has_below(&self.lengths, prefix)
            .then(|| self.slots.range((Excluded(prefix), Unbounded)))
            .into_iter()
            .flatten()
            .take_while(move |(below, _)| prefix.contains(below));
        above.chain(equal).chain(below)
    }
}

/// The prefixes that contain `prefix`, of the lengths in use. A default route contends with no part.
fn above(lengths: &BTreeMap<(Family, u8), u32>, prefix: Prefix) -> impl Iterator<Item = Prefix> {
    lengths
        .range((prefix.family(), 1)..(prefix.family(), prefix.len().max(1)))
        .map(move |((_, len), _)| Prefix::truncated(prefix.addr(), *len))
}

/// Whether a longer prefix than `prefix` may contend with it.
fn has_below(lengths: &BTreeMap<(Family, u8), u32>, prefix: Prefix) -> bool {
    let (family, len) = (prefix.family(), prefix.len());
    len > 0
        && !prefix.is_host()
        && lengths
            .range((family, len + 1)..=(family, u8::MAX))
            .next()
            .is_some()
}

fn same(a: Option<&Arc<MergedNic>>, b: Option<&Arc<MergedNic>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        _ => false,
    }
}
