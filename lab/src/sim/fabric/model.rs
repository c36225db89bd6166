//! What everybody must have at rest: worked out from the claims alone, by RFC 4456 and RFC 7911.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use tapway_model::Prefix;

use super::{Fabric, REFLECTORS, address, peer_name};

/// A path as a client sees it: next hop, originator, clusters that reflected it, whether it is used.
pub(super) type Path = (Ipv4Addr, Ipv4Addr, Vec<Ipv4Addr>, bool);
/// Paths by prefix.
pub(super) type Paths = BTreeMap<Prefix, BTreeSet<Path>>;

/// Who has each claim.
pub(super) struct Model {
    owners: BTreeMap<Prefix, BTreeSet<usize>>,
    add_paths: bool,
}

impl Model {
    pub(super) fn of(fabric: &Fabric) -> Model {
        let mut owners: BTreeMap<Prefix, BTreeSet<usize>> = BTreeMap::new();
        for (number, router) in fabric.routers.iter().enumerate() {
            for prefix in &router.claims {
                owners.entry(*prefix).or_default().insert(number);
            }
        }
        Model {
            owners,
            add_paths: fabric.size.add_paths,
        }
    }

    /// What a hypervisor has of a prefix from a reflector.
    fn paths(
        &self,
        hypervisor: usize,
        reflector: usize,
        owners: &BTreeSet<usize>,
    ) -> BTreeSet<Path> {
        let path = |owner: usize, reflectors: &[usize]| {
            let clusters = reflectors.iter().map(|r| address(*r)).collect();
            (
                address(owner),
                address(owner),
                clusters,
                owner != hypervisor,
            )
        };
        // All are alike but for the identifier: the lowest is the best, and the owner's own session is before the other
        // reflector.
        let Some(best) = owners.first().copied() else {
            return BTreeSet::new();
        };
        if !self.add_paths {
            let told = (best != hypervisor).then(|| path(best, &[reflector]));
            return told.into_iter().collect();
        }
        let others = owners.iter().filter(|owner| **owner != hypervisor);
        let direct = others.map(|owner| path(*owner, &[reflector]));
        // The other reflector has sent its best one: that comes back even to its owner, who refuses it.
        let other = REFLECTORS - 1 - reflector;
        direct.chain([path(best, &[reflector, other])]).collect()
    }

    /// All that a hypervisor has from a reflector.
    pub(super) fn all(&self, hypervisor: usize, reflector: usize) -> Paths {
        let all = self.owners.iter();
        let all = all.map(|(prefix, owners)| (*prefix, self.paths(hypervisor, reflector, owners)));
        all.filter(|(_, paths)| !paths.is_empty()).collect()
    }

    /// How many paths a hypervisor has from a reflector.
    pub(super) fn count(&self, hypervisor: usize) -> usize {
        let of = |owners: &BTreeSet<usize>| match self.add_paths {
            false => usize::from(owners.first().is_some_and(|best| *best != hypervisor)),
            true => owners.len() - usize::from(owners.contains(&hypervisor)) + 1,
        };
        self.owners.values().map(of).sum()
    }
}

/// What a hypervisor has from a reflector, and how much of it is stale.
pub(super) fn has(fabric: &Fabric, hypervisor: usize, reflector: usize) -> (Paths, usize) {
    let (mut paths, mut stale) = (Paths::new(), 0);
    let name = peer_name(reflector);
    let speaker = fabric.speaker(hypervisor);
    for route in speaker.into_iter().flat_map(|s| s.received(&name)) {
        let by = match route.next_hop.addr() {
            std::net::IpAddr::V4(addr) => addr,
            std::net::IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        let originator = route.originator_id.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let path = (by, originator, route.cluster_list, route.refused.is_none());
        stale += usize::from(route.stale);
        paths.entry(route.prefix).or_default().insert(path);
    }
    (paths, stale)
}
