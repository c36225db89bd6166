//! The decision process (RFC 4271 §9.1.2.2, RFC 4456 §9, RFC 9494 §4.3).
//!
//! In this order: not stale for long; weight; LOCAL_PREF; AS_PATH length; ORIGIN; MULTI_EXIT_DISC; eBGP over iBGP;
//! metric to the next hop; BGP identifier, or ORIGINATOR_ID in its place; CLUSTER_LIST length; the peer's address; the path
//! identifier. The RFCs place CLUSTER_LIST after the identifier.
//!
//! MED is an elimination, as the RFC describes it: among the routes that are equal up to there, one goes when another of
//! the same neighbouring AS has a lower MED. The result does not depend on the order in which routes came, which is what other
//! implementations need "deterministic MED" for; so there is no switch for it.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;

use tapway_bgp_wire::Origin;

use crate::facts::Facts;

/// The switches of the decision process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// MED counts between routes of different neighbouring ASes too.
    pub always_compare_med: bool,
    /// A route without MED has the worst one, not 0 (RFC 4271 says 0).
    pub missing_med_is_worst: bool,
    /// The length of AS_PATH does not count.
    pub ignore_as_path: bool,
    /// The metric to the next hop does not count.
    pub ignore_metric: bool,
    /// At most so many routes of other ASes share the traffic; at least 1.
    pub maximum_paths_external: u16,
    /// At most so many routes of our AS share the traffic; at least 1.
    pub maximum_paths_internal: u16,
    /// Only routes of the best one's neighbouring AS share the traffic.
    pub multipath_same_as: bool,
}

impl Default for Rules {
    /// RFC 4271, and one path.
    fn default() -> Rules {
        Rules {
            always_compare_med: false,
            missing_med_is_worst: false,
            ignore_as_path: false,
            ignore_metric: false,
            maximum_paths_external: 1,
            maximum_paths_internal: 1,
            multipath_same_as: false,
        }
    }
}

/// What routes to one prefix are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Stale for long, here or at who sent it.
    pub long_lived_stale: bool,
    /// Weight; more is better.
    pub weight: u16,
    /// The attributes.
    pub facts: Facts,
    /// Learned from another AS.
    pub external: bool,
    /// The IGP's metric to the next hop.
    pub metric: u32,
    /// The BGP identifier of the peer that sent it.
    pub router_id: u32,
    /// The peer's address.
    pub addr: IpAddr,
    /// The path identifier.
    pub path_id: u32,
    /// Its place among the routes.
    pub place: u32,
}

/// The step of the decision process that decides between two routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Routes that are not stale for long come first (RFC 9494 §4.3).
    LongLivedStale,
    /// Weight.
    Weight,
    /// LOCAL_PREF (RFC 4271 §9.1.1).
    LocalPref,
    /// AS_PATH length (RFC 4271 §9.1.2.2 a).
    AsPathLength,
    /// ORIGIN (b).
    Origin,
    /// MULTI_EXIT_DISC (c).
    Med,
    /// eBGP over iBGP (d).
    External,
    /// The metric to the next hop (e).
    Metric,
    /// The BGP identifier, or ORIGINATOR_ID (f; RFC 4456 §9).
    RouterId,
    /// CLUSTER_LIST length (RFC 4456 §9).
    ClusterLength,
    /// The peer's address (g).
    Address,
    /// The path identifier.
    PathId,
}

impl Candidate {
    /// Up to ORIGIN. Less is better, here and below.
    fn lead(&self, rules: &Rules) -> (bool, Reverse<u16>, Reverse<u32>, u16, Origin) {
        (
            self.long_lived_stale,
            Reverse(self.weight),
            Reverse(self.facts.local_pref),
            self.as_path_length(rules),
            self.facts.origin,
        )
    }

    const fn as_path_length(&self, rules: &Rules) -> u16 {
        match rules.ignore_as_path {
            true => 0,
            false => self.facts.as_path_length,
        }
    }

    fn med(&self, rules: &Rules) -> u32 {
        self.facts.med.unwrap_or(if rules.missing_med_is_worst {
            u32::MAX
        } else {
            0
        })
    }

    /// What must be equal to share the traffic, after the lead and MED.
    const fn cost(&self, rules: &Rules) -> (bool, u32) {
        (!self.external, self.metric(rules))
    }

    const fn metric(&self, rules: &Rules) -> u32 {
        match rules.ignore_metric {
            true => 0,
            false => self.metric,
        }
    }

    fn tie(&self) -> (u32, u16, IpAddr, u32) {
        let id = self.facts.originator_id.unwrap_or(self.router_id);
        (id, self.facts.cluster_length, self.addr, self.path_id)
    }
}

/// Chooses: the best one comes first, and after it those that share the traffic with it, in their order. The others are
/// removed. Routes that cannot be used must not be among them (RFC 4271 §9.1.2).
pub fn choose(candidates: &mut Vec<Candidate>, rules: &Rules) {
    let Some(lead) = candidates.iter().map(|c| c.lead(rules)).min() else {
        return;
    };
    candidates.retain(|c| c.lead(rules) == lead);
    if candidates.len() > 1 {
        drop_worse_med(candidates, rules);
    }
    let Some(cost) = candidates.iter().map(|c| c.cost(rules)).min() else {
        return;
    };
    candidates.retain(|c| c.cost(rules) == cost);
    let Some(best) = candidates.iter().min_by_key(|c| c.tie()).copied() else {
        return;
    };
    let most = match best.external {
        true => rules.maximum_paths_external,
        false => rules.maximum_paths_internal,
    };
    if most <= 1 {
        candidates.clear();
        candidates.push(best);
        return;
    }
    if rules.multipath_same_as {
        candidates.retain(|c| c.facts.neighbour_as == best.facts.neighbour_as);
    }
    candidates.sort_unstable_by_key(Candidate::tie);
    candidates.truncate(usize::from(most));
}

/// Step c.
fn drop_worse_med(candidates: &mut Vec<Candidate>, rules: &Rules) {
    if let Some((first, others)) = candidates.split_first()
        && others.iter().all(|c| c.med(rules) == first.med(rules))
    {
        return;
    }
    let group = |c: &Candidate| match rules.always_compare_med {
        true => 0,
        false => c.facts.neighbour_as,
    };
    candidates.sort_unstable_by_key(|c| (group(c), c.med(rules)));
    let mut least = None;
    candidates.retain(|c| {
        let (of, med) = (group(c), c.med(rules));
        match least {
            Some((same, least)) if same == of => med == least,
            _ => {
                least = Some((of, med));
                true
            }
        }
    });
}

/// Orders all by choosing again and again: the best one, the best one without it, and so on. At most `limit`.
pub(crate) fn rank(candidates: &[Candidate], rules: &Rules, limit: usize) -> Vec<u32> {
    let one = Rules {
        maximum_paths_external: 1,
        maximum_paths_internal: 1,
        ..*rules
    };
    let mut left = candidates.to_vec();
    let mut order = Vec::new();
    while order.len() < limit && !left.is_empty() {
        let mut round = left.clone();
        choose(&mut round, &one);
        let Some(best) = round.first() else { break };
        order.push(best.place);
        left.retain(|c| c.place != best.place);
    }
    order
}

/// Which step speaks for `best` against `other`; `None` when they share the traffic by all steps. When a third route
/// has removed `other` by its MED, the answer is the later step that would have decided.
pub fn why(best: &Candidate, other: &Candidate, rules: &Rules) -> Option<Step> {
    let comparable =
        rules.always_compare_med || best.facts.neighbour_as == other.facts.neighbour_as;
    let rows = [
        (
            Step::LongLivedStale,
            best.long_lived_stale != other.long_lived_stale,
        ),
        (Step::Weight, best.weight != other.weight),
        (
            Step::LocalPref,
            best.facts.local_pref != other.facts.local_pref,
        ),
        (
            Step::AsPathLength,
            best.as_path_length(rules) != other.as_path_length(rules),
        ),
        (Step::Origin, best.facts.origin != other.facts.origin),
        (Step::Med, comparable && best.med(rules) != other.med(rules)),
        (Step::External, best.external != other.external),
        (Step::Metric, best.metric(rules) != other.metric(rules)),
        (Step::RouterId, best.tie().0 != other.tie().0),
        (Step::ClusterLength, best.tie().1 != other.tie().1),
        (Step::Address, best.addr != other.addr),
        (Step::PathId, best.path_id != other.path_id),
    ];
    rows.into_iter()
        .find_map(|(step, differs)| differs.then_some(step))
}

#[cfg(test)]
mod tests;
