//! Whether a received route counts, and what import makes of it.
//!
//! RFC 4271 §9.1.1 and 9.1.2, RFC 4456 §8, RFC 7705 §3, RFC 8326 §4.2, RFC 9234 §5.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use tapway_bgp_wire::{AttributeCode, Community, NextHop, NlriEntry, RawAttributes, Reach};
use tapway_model::{Family, PeerName, Prefix};
use tapway_rib::{AttrId, AttributesView, Import, Judged, Rib, SourceId};
use tapway_rpki::{Changed, VrpTable};

use super::action::LocalAddresses;
use super::answer::Refusal;
use super::peer::Peer;
use super::shared::Shared;
use crate::config::{self, InstallChange, LocalAs, PeerConfig, Role, SpeakerConfig};
use crate::own::next_hop;
use crate::policy::{
    Context, Modifications, Named, NextHopChange, Policies, RouteAttributes, RouteView, Rpki, Way,
};
use crate::role::Ingress;

/// The weight of what peers send.
const WEIGHT: u16 = 0;

/// What is known of the session that routes came by; it outlives the session as long as the routes do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    /// The peer's AS.
    pub(crate) asn: u32,
    /// It is not ours.
    pub(crate) external: bool,
    /// What we are to it.
    pub(crate) role: Option<Role>,
    /// The AS that it takes for ours, if it is another one.
    pub(crate) local: Option<LocalAs>,
    /// The interface; 0: unknown.
    pub(crate) ifindex: u32,
    /// Our addresses.
    pub(crate) ours: LocalAddresses,
}

/// What decides about the routes of one peer.
pub(crate) struct Judge<'a> {
    us: &'a SpeakerConfig,
    vrps: &'a VrpTable,
    peer: &'a PeerConfig,
    sender: Sender,
    import: Named<'a>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        us: &'a SpeakerConfig,
        policies: &'a Policies,
        vrps: &'a VrpTable,
        peer: &'a PeerConfig,
        sender: Sender,
    ) -> Judge<'a> {
        Judge {
            us,
            vrps,
            peer,
            sender,
            import: policies.named(&peer.import),
        }
    }

    /// For questions about a peer's routes.
    pub(crate) fn of(shared: &'a Shared, peer: &'a Peer) -> Judge<'a> {
        let Shared {
            config,
            policies,
            vrps,
            ..
        } = shared;
        Judge::new(config, policies, vrps, &peer.config, peer.sender)
    }

    /// What speaks against all routes with these attributes.
    fn path(&self, raw: RawAttributes<'_>, next_hop: NextHop) -> Option<Refusal> {
        let as_path = raw.as_path();
        let local = self.sender.local.map(|local| local.asn);
        let ours = [Some(self.us.asn), local].into_iter().flatten();
        let allowed = usize::from(self.peer.as_path.allow_own);
        if ours.into_iter().any(|asn| as_path.count(asn) > allowed) {
            return Some(Refusal::AsLoop);
        }
        let any_first = !self.sender.external || self.peer.as_path.any_first;
        if !any_first && as_path.first() != Some(self.sender.asn) {
            return Some(Refusal::FirstAs);
        }
        if let Ingress::Leak(by) = self.by_role(raw) {
            return Some(Refusal::RouteLeak(by));
        }
        let has = |code, id: Ipv4Addr| {
            let attribute = raw.get(code);
            attribute.is_some_and(|a| a.value.as_chunks::<4>().0.contains(&id.octets()))
        };
        if has(AttributeCode::ORIGINATOR_ID, self.us.router_id) {
            return Some(Refusal::OwnOriginator);
        }
        if has(AttributeCode::CLUSTER_LIST, self.us.cluster()) {
            return Some(Refusal::OwnCluster);
        }
        let addr = next_hop.addr();
        let elsewhere = self.is_far() || self.sender.ifindex == 0;
        let nowhere = matches!(next_hop, NextHop::LinkLocal(_)) && elsewhere;
        if nowhere || !next_hop::usable(addr) {
            return Some(Refusal::BadNextHop);
        }
        self.is_ours(addr).then_some(Refusal::OwnNextHop)
    }

    /// The peer need not be on a link of ours.
    const fn is_far(&self) -> bool {
        matches!(self.peer.reach, config::Reach::Multihop(_))
    }

    /// A next hop as it counts. From afar its link-local part says nothing: it is of a link that is not ours (RFC 2545 §3).
    const fn heard(&self, next_hop: NextHop) -> NextHop {
        match next_hop {
            NextHop::V6WithLinkLocal { global, .. } if self.is_far() => NextHop::V6(global),
            other => other,
        }
    }

    /// What our role to the peer says of routes with these attributes.
    fn by_role(&self, raw: RawAttributes<'_>) -> Ingress {
        let Some(role) = self.sender.role else {
            return Ingress::Keep;
        };
        role.ingress(raw.only_to_customer(), self.sender.asn)
    }

    fn is_ours(&self, addr: IpAddr) -> bool {
        let ours = &self.sender.ours;
        match addr {
            IpAddr::V4(a) => ours.v4 == Some(a),
            IpAddr::V6(a) => [ours.v6_global, ours.v6_link_local].contains(&Some(a)),
        }
    }

    /// What the import policy says.
    fn policy(
        &self,
        prefix: Prefix,
        raw: RawAttributes<'_>,
        next_hop: NextHop,
    ) -> Result<Modifications, Refusal> {
        let attributes = RouteAttributes::Bytes(raw);
        let mut route = RouteView::received(prefix, self.peer.known_as(), next_hop, attributes);
        route.rpki = Rpki::Table(self.vrps);
        let context = Context {
            way: Way::Import,
            peer: Some(self.peer.known_as()),
            asn: self.us.asn,
        };
        let outcome = self.import.evaluate(&route, &context);
        if !outcome.accepted {
            let (policy, rule) = outcome.rule().unzip();
            return Err(Refusal::Policy {
                policy: policy.unwrap_or(&self.peer.import).clone(),
                rule,
            });
        }
        let mut changes = outcome.changes;
        if let Some(NextHopChange::Address(addr)) = changes.next_hop
            && self.is_ours(addr)
        {
            return Err(Refusal::OwnNextHop);
        }
        // Whoever is about to go is the last choice, unless a rule says otherwise (RFC 8326 §4.2).
        if self.sender.external
            && changes.local_pref.is_none()
            && attributes
                .communities()
                .any(|c| c == Community::GRACEFUL_SHUTDOWN)
        {
            changes.local_pref = Some(0);
        }
        // What a rule puts in front goes before it.
        if let Some(local) = self.sender.local.filter(|local| local.prepend) {
            changes.prepend.push(local.asn);
        }
        if self.by_role(raw) == Ingress::Mark {
            changes.only_to_customer = Some(self.sender.asn);
        }
        Ok(changes)
    }

    /// Both: why the route does not count, or what import changes.
    pub(crate) fn judge(
        &self,
        prefix: Prefix,
        raw: RawAttributes<'_>,
        next_hop: NextHop,
    ) -> Result<Modifications, Refusal> {
        match self.path(raw, next_hop) {
            Some(refusal) => Err(refusal),
            None => self.policy(prefix, raw, next_hop),
        }
    }

    /// The same again, for a route that is there.
    pub(crate) fn again(&self, route: &tapway_rib::RouteView<'_>) -> Judged {
        let AttributesView { raw, next_hop, .. } = route.received;
        match self.judge(route.prefix, raw, next_hop) {
            Err(_) => Judged::Refused,
            Ok(changes) => match changed(&changes, raw, next_hop) {
                None => Judged::Accepted { weight: WEIGHT },
                Some((block, next_hop)) => Judged::Changed {
                    block,
                    next_hop,
                    weight: WEIGHT,
                },
            },
        }
    }

    /// What the policy changes about the way of an accepted route into the kernel.
    pub(crate) fn install(&self, route: &tapway_rib::RouteView<'_>) -> InstallChange {
        if !self.import.traits().installs {
            return InstallChange::default();
        }
        let AttributesView { raw, next_hop, .. } = route.received;
        self.policy(route.prefix, raw, next_hop)
            .map(|changes| changes.install)
            .unwrap_or_default()
    }

    /// Takes routes with one block of attributes. What is equal for all of them is decided once. `ids`: path identifiers come with
    /// them.
    pub(crate) fn take(
        &self,
        rib: &mut Rib,
        source: SourceId,
        raw: RawAttributes<'_>,
        reach: &Reach<'_>,
        ids: bool,
    ) -> Taken {
        let next_hop = self.heard(reach.next_hop);
        let received = rib.intern(raw, next_hop);
        let mut made = Made::default();
        let refused = self.path(raw, next_hop).is_some();
        let each = !refused && self.import.traits().prefixes;
        let mut import = |rib: &mut Rib, prefix| match refused {
            true => Import::Refused,
            false => match self.policy(prefix, raw, next_hop) {
                Err(_) => Import::Refused,
                Ok(changes) => Import::Accepted {
                    attributes: made.block(rib, &changes, raw, next_hop, received),
                    weight: WEIGHT,
                },
            },
        };
        let (mut taken, mut for_all) = (Taken::default(), None);
        for entry in reach.nlri {
            let NlriEntry { prefix, .. } = entry;
            taken.announced += 1;
            if ids && !rib.has_room(source, entry) {
                taken.crowded = Some(prefix);
                continue;
            }
            let import = match for_all {
                Some(known) if !each => known,
                _ => *for_all.insert(import(rib, prefix)),
            };
            rib.insert(source, entry, received, import);
        }
        made.0.iter().for_each(|(_, id)| rib.release(*id));
        rib.release(received);
        taken
    }
}

/// What came of routes that a peer announced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// How many there were.
    pub(crate) announced: u64,
    /// A prefix of which there were too many paths; those beyond are not kept.
    pub(crate) crowded: Option<Prefix>,
}

/// The blocks that import made of one.
#[derive(Default)]
struct Made(Vec<(Modifications, AttrId)>);

impl Made {
    fn block(
        &mut self,
        rib: &mut Rib,
        changes: &Modifications,
        raw: RawAttributes<'_>,
        next_hop: NextHop,
        received: AttrId,
    ) -> AttrId {
        if let Some((_, id)) = self.0.iter().find(|(known, _)| known == changes) {
            return *id;
        }
        match changed(changes, raw, next_hop) {
            None => received,
            Some((block, next_hop)) => {
                let id = rib.intern(RawAttributes::new(&block), next_hop);
                self.0.push((changes.clone(), id));
                id
            }
        }
    }
}

/// Attributes and next hop after import; `None`: as they came.
fn changed(
    changes: &Modifications,
    raw: RawAttributes<'_>,
    next_hop: NextHop,
) -> Option<(Vec<u8>, NextHop)> {
    if changes.is_empty() {
        return None;
    }
    let after = match changes.next_hop {
        Some(NextHopChange::Address(IpAddr::V4(addr))) => NextHop::V4(addr),
        Some(NextHopChange::Address(IpAddr::V6(addr))) => NextHop::V6(addr),
        Some(NextHopChange::Own | NextHopChange::Unchanged) | None => next_hop,
    };
    let of_attributes = Modifications {
        next_hop: None,
        install: InstallChange::default(),
        ..changes.clone()
    };
    if of_attributes.is_empty() && after == next_hop {
        return None;
    }
    let mut attributes = raw.decode();
    of_attributes.apply(&mut attributes);
    let mut block = Vec::new();
    attributes.encode(true, &mut block);
    Some((block, after))
}

/// Routes that are to be judged again.
#[derive(Clone, Debug)]
pub(crate) struct Judging {
    pub(crate) peer: PeerName,
    pub(crate) family: Family,
    /// The page where it goes on.
    pub(crate) page: u32,
    /// Only those whose prefixes these changes cover.
    meant: Option<Arc<Changed>>,
}

impl Peer {
    /// All received routes are to be judged again: the import policy, or our addresses, changed.
    pub(crate) fn judge_again(&self, shared: &mut Shared) {
        let name = &self.config.name;
        shared.judging.retain(|judging| judging.peer != *name);
        self.judge_later(shared, None);
    }

    /// Those are to be judged again that these changes of the RPKI cover.
    pub(crate) fn judge_where(&self, shared: &mut Shared, changed: &Arc<Changed>) {
        // Others that still wait are not kept apart.
        match shared.judging.iter().any(|j| j.peer == self.config.name) {
            true => self.judge_again(shared),
            false => self.judge_later(shared, Some(changed)),
        }
    }

    fn judge_later(&self, shared: &mut Shared, meant: Option<&Arc<Changed>>) {
        if self.source.is_some() {
            let all = Family::ALL.map(|family| Judging {
                peer: self.config.name.clone(),
                family,
                page: 0,
                meant: meant.cloned(),
            });
            shared.judging.extend(all);
        }
    }

    /// Judges a page of routes again. What is left after it.
    pub(crate) fn judge_page(&self, shared: &mut Shared, mut judging: Judging) -> Option<Judging> {
        let Shared {
            rib,
            config,
            policies,
            vrps,
            ..
        } = shared;
        let judge = Judge::new(config, policies, vrps, &self.config, self.sender);
        let meant = judging.meant.as_deref();
        let again = |route: &tapway_rib::RouteView<'_>| match meant {
            Some(changed) if !changed.covers(&route.prefix) => Judged::Same,
            _ => judge.again(route),
        };
        judging.page = rib.judge(self.source?, judging.family, judging.page, again)?;
        Some(judging)
    }
}
