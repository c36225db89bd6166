//! The peers' side of the walk: what they say, and what they have read.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use tapway_bgp_wire::{
    AsPath, Attributes, Community, DecodeContext, EncodeContext, ErrorCode, Frame, Message,
    NlriEntry, Notification, Origin, PerFamily, RefreshSubtype, RouteRefresh, UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use super::super::net::asn;
use super::super::walk::Random;
use super::model::{self, Kind, LIKED, Peer, Route, SECRET, UNWANTED};

/// Prefixes of each family.
pub(super) const PREFIXES: u64 = 6;

/// All prefixes of the walk.
pub(super) fn prefixes() -> impl Iterator<Item = Prefix> {
    (0..PREFIXES).flat_map(|n| {
        [
            alloc::format!("198.18.{n}.0/24"),
            alloc::format!("2001:db8:1:{n}::/64"),
        ]
        .map(|text| text.parse().unwrap())
    })
}

pub(super) fn any_prefix(random: &mut Random) -> Prefix {
    let at = random.below(2 * PREFIXES) as usize;
    prefixes().nth(at).unwrap()
}

pub(super) fn any_family(random: &mut Random) -> Family {
    Family::ALL[random.below(2) as usize]
}

/// One of these.
pub(super) fn one_of<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

/// Attributes that a peer may send; few, so that routes are often equal in one respect or another.
pub(super) fn any_attributes(peer: &Peer, random: &mut Random) -> Attributes {
    let mut path = Vec::new();
    if peer.external() {
        path.push(peer.asn);
    }
    match random.below(8) {
        0 | 1 => path.push(65_100),
        2 => path.push(65_101),
        3 => path.extend([65_101, 65_100]),
        4 => path.push(asn(0)),
        _ => {}
    }
    let all = [
        SECRET,
        UNWANTED,
        LIKED,
        Community::GRACEFUL_SHUTDOWN,
        Community::NO_EXPORT,
        Community::NO_ADVERTISE,
    ];
    let few = all.into_iter().filter(|_| random.below(10) == 0);
    let mut communities: Vec<Community> = few.collect();
    communities.sort_unstable();
    let mut attributes = Attributes {
        as_path: AsPath::sequence(path),
        origin: one_of(random, &[Origin::Igp, Origin::Igp, Origin::Incomplete]),
        med: one_of(random, &[None, None, Some(0), Some(3), Some(9)]),
        communities,
        ..Attributes::default()
    };
    if !peer.external() {
        attributes.local_pref = one_of(random, &[None, Some(100), Some(100), Some(150)]);
        let far = |n| core::net::Ipv4Addr::new(192, 0, 2, n);
        if random.below(4) == 0 {
            // 1 is our own identifier.
            attributes.originator_id = Some(far(one_of(random, &[1, 5, 77])));
            attributes.cluster_list = one_of(random, &[&[70][..], &[70, 71], &[70, 1]])
                .iter()
                .map(|n| far(*n))
                .collect();
        }
    }
    attributes
}

/// How a peer writes.
fn encode(peer: &Peer) -> EncodeContext {
    EncodeContext {
        add_path: PerFamily::from_fn(|_| peer.ids),
        ..EncodeContext::default()
    }
}

pub(super) fn announce(peer: &Peer, route: &Route, entry: NlriEntry) -> Vec<u8> {
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, encode(peer))
        .announce(&route.1, route.0, [entry])
        .unwrap();
    bytes
}

pub(super) fn withdraw(peer: &Peer, entry: NlriEntry) -> Vec<u8> {
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, encode(peer)).withdraw([entry]);
    bytes
}

pub(super) fn end_of_rib(family: Family) -> Vec<u8> {
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default()).end_of_rib(family);
    bytes
}

pub(super) fn refresh(family: Family, subtype: RefreshSubtype) -> Vec<u8> {
    let mut bytes = Vec::new();
    let family = family.into();
    RouteRefresh { family, subtype }.encode(&mut bytes);
    bytes
}

pub(super) fn notification(hard: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let cease = Notification::new(ErrorCode::CEASE_ADMIN_RESET);
    match hard {
        true => cease.into_hard_reset().encode(&mut bytes),
        false => cease.encode(&mut bytes),
    }
    bytes
}

/// What a peer has been told on one connection, as it reads it.
#[derive(Default)]
pub(super) struct View {
    /// By prefix and path identifier; and whether it came again since the last beginning of a refresh.
    routes: BTreeMap<(Prefix, u32), (Route, bool)>,
    refreshing: PerFamily<bool>,
    /// How many End-of-RIB came.
    pub(super) ends: PerFamily<u32>,
}

impl View {
    pub(super) fn read(&mut self, peer: &Peer, bytes: &[u8]) {
        let cx = DecodeContext {
            internal: peer.kind != Kind::External,
            extended_message: true,
            add_path: PerFamily::from_fn(|_| peer.several.is_some()),
            ..DecodeContext::default()
        };
        let mut rest = bytes;
        while let Some((len, frame)) = Frame::next(rest, cx.max_len()).unwrap() {
            match frame.decode(&cx).unwrap() {
                Message::Update(update) => self.update(&update),
                Message::RouteRefresh(refresh) => self.refresh(&refresh),
                _ => {}
            }
            rest = &rest[len..];
        }
        assert!(rest.is_empty(), "half a message");
    }

    fn update(&mut self, update: &tapway_bgp_wire::Update<'_>) {
        assert!(update.faults().is_empty(), "{:?}", update.faults());
        for e in update.unreach().flat_map(|n| n.iter()) {
            self.routes.remove(&(e.prefix, e.path_id));
        }
        for reach in update.reach() {
            let route = (reach.next_hop, update.attributes().decode());
            for e in reach.nlri.iter() {
                let now = (route.clone(), true);
                self.routes.insert((e.prefix, e.path_id), now);
            }
        }
        if let Some(family) = update.end_of_rib() {
            self.ends[family] += 1;
        }
    }

    /// RFC 7313 §4: what does not come between the two is not there any more.
    fn refresh(&mut self, refresh: &RouteRefresh) {
        let family = refresh.family.family().unwrap();
        let of_it = |p: &Prefix| p.family() == family;
        match refresh.subtype {
            RefreshSubtype::Begin => {
                assert!(!self.refreshing[family], "a second beginning");
                self.refreshing[family] = true;
                let all = self.routes.iter_mut().filter(|((p, _), _)| of_it(p));
                all.for_each(|(_, (_, again))| *again = false);
            }
            RefreshSubtype::End => {
                assert!(self.refreshing[family], "an end without a beginning");
                self.refreshing[family] = false;
                self.routes.retain(|(p, _), (_, again)| *again || !of_it(p));
            }
            _ => {}
        }
    }

    /// Everything that was begun is over.
    pub(super) fn is_complete(&self) -> bool {
        Family::ALL
            .iter()
            .all(|f| !self.refreshing[*f] && self.ends[*f] == 1)
    }

    /// What the peer has, without identifiers: texts, in their order.
    pub(super) fn table(&self) -> BTreeMap<Prefix, Vec<String>> {
        let mut table: BTreeMap<Prefix, Vec<String>> = BTreeMap::new();
        for ((prefix, _), (route, _)) in &self.routes {
            table.entry(*prefix).or_default().push(text(route));
        }
        table.values_mut().for_each(|routes| routes.sort());
        table
    }
}

/// All of a route that differs in the walk.
pub(super) fn text((next_hop, attributes): &Route) -> String {
    let Attributes {
        origin,
        as_path,
        med,
        local_pref,
        communities,
        originator_id,
        cluster_list,
        ..
    } = attributes;
    alloc::format!(
        "[{as_path}] {origin:?} by {next_hop}, MED {med:?}, LOCAL_PREF {local_pref:?}, {communities:?}, {originator_id:?} {cluster_list:?}"
    )
}

/// A route of a peer: mostly by its own address, sometimes by another one's, or ours.
pub(super) fn any_route(node: usize, peer: &Peer, family: Family, random: &mut Random) -> Route {
    let by = one_of(random, &[node, node, node, node, node, 0, 1, 2, 3, 4]);
    (model::next_hop(by, family), any_attributes(peer, random))
}
