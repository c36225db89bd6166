//! What goes out: whether a route does, by which next hop, with which attributes.
//!
//! RFC 4271 §5 and 9.2, RFC 1997, RFC 4456, RFC 8326 §4, RFC 9234 §5, RFC 9494 §4.3. What one peer sent goes to another only where a rule with
//! `from = "peer"` accepts it; from an internal peer to another one only if one of them is our client, and then unless a rule
//! rejects it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use tapway_bgp_wire::{AsPath, Attributes, Community, ExtendedCommunity, NextHop};
use tapway_model::{Domain, Family, PeerName, PolicyName, Prefix};
use tapway_rib::{Export, Exported, GroupId, RouteView, SourceId};
use tapway_rpki::VrpTable;

use super::answer::NotSent;
use super::border::Border;
use super::groups::GroupKey;
use super::reflect::{self, Passing, Relation};
use super::shared::Shared;
use crate::config::{PeerConfig, PeerNextHop, Role, SpeakerConfig};
use crate::own::next_hop::{self, Link};
use crate::own::{Announcement, OwnRoutes};
use crate::policy::{
    Context, Modifications, Named, NextHopChange, Policies, RouteAttributes, Rpki, Way,
};
use crate::role::Egress;

/// LOCAL_PREF of routes that have none (RFC 4271 §5.1.5 leaves the value to us; everybody takes this).
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

/// What an export policy says of an own route.
fn verdict<'p>(
    policy: Named<'p>,
    announcement: &Announcement,
    vrps: &VrpTable,
    peer: Option<&PeerName>,
    asn: u32,
) -> Result<Modifications, Option<(&'p PolicyName, usize)>> {
    let context = Context {
        way: Way::Export,
        peer,
        asn,
    };
    let mut view = crate::policy::RouteView::own(announcement);
    view.rpki = Rpki::Table(vrps);
    let outcome = policy.evaluate(&view, &context);
    match outcome.accepted {
        true => Ok(outcome.changes),
        false => Err(outcome.rule()),
    }
}

/// Whether a peer may see an announcement, and with which changes.
pub(crate) fn export(
    shared: &Shared,
    peer: &PeerConfig,
    announcement: &Announcement,
) -> Result<Modifications, NotSent> {
    let hidden = |peers: &[PeerName]| !peers.contains(peer.known_as());
    if announcement.peers.as_deref().is_some_and(hidden) {
        return Err(NotSent::NotForPeer(announcement.network.clone()));
    }
    let policy = shared.policies.named(&peer.export);
    verdict(
        policy,
        announcement,
        &shared.vrps,
        Some(peer.known_as()),
        shared.config.asn,
    )
    .map_err(|rule| {
        let (policy, rule) = rule.unzip();
        NotSent::Filtered {
            policy: policy.unwrap_or(&peer.export).clone(),
            rule,
        }
    })
}

/// Of the announcements with one prefix the one that a peer may see first.
pub(crate) fn chosen<'a>(
    shared: &'a Shared,
    peer: &PeerConfig,
    prefix: &Prefix,
) -> Option<&'a Announcement> {
    let all = shared.own.of_prefix(prefix);
    all.iter().find(|a| export(shared, peer, a).is_ok())
}

/// The next hop of an own route: what its policy says, or what is chosen without one.
pub(crate) fn next_hop(
    announcement: &Announcement,
    change: Option<NextHopChange>,
    link: &Link,
) -> Result<NextHop, &'static str> {
    // Without a change it is its own, too.
    let change = change.unwrap_or(NextHopChange::Unchanged);
    let family = announcement.id.prefix.family();
    changed_next_hop(family, change, announcement.next_hop, link)
}

/// The next hop of a route that a policy changes; `own` is the one it has.
fn changed_next_hop(
    family: Family,
    change: NextHopChange,
    own: Option<IpAddr>,
    link: &Link,
) -> Result<NextHop, &'static str> {
    match change {
        NextHopChange::Unchanged => next_hop::choose(family, own, link),
        NextHopChange::Address(addr) => next_hop::choose(family, Some(addr), link),
        NextHopChange::Own => {
            let link = Link {
                configured: PeerNextHop::default(),
                ..*link
            };
            next_hop::choose(family, None, &link)
        }
    }
}

/// The attributes of an own route (RFC 4271 §5.1).
fn attributes(
    changes: &Modifications,
    asn: u32,
    border: Option<&Border>,
    draining: bool,
) -> Attributes {
    let mut attributes = Attributes {
        local_pref: Some(DEFAULT_LOCAL_PREF),
        ..Attributes::default()
    };
    changes.apply(&mut attributes);
    if draining {
        make_last_choice(&mut attributes);
    }
    if let Some(border) = border {
        border.put_in_front(&mut attributes.as_path, asn);
        attributes.local_pref = None;
    } else {
        attributes.as_path = AsPath::default();
    }
    attributes
}

/// Makes a route the last choice (RFC 8326 §4).
fn make_last_choice(attributes: &mut Attributes) {
    attributes.local_pref = Some(0);
    add_community(attributes, Community::GRACEFUL_SHUTDOWN);
}

fn add_community(attributes: &mut Attributes, community: Community) {
    let communities = &mut attributes.communities;
    if !communities.contains(&community) {
        communities.push(community);
        communities.sort_unstable();
    }
}

/// Where received routes come from, as export needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The peer.
    pub(crate) peer: PeerName,
    /// What policies call it.
    pub(crate) known_as: PeerName,
    /// What it is to us.
    pub(crate) relation: Relation,
    /// Its BGP identifier.
    pub(crate) router_id: Ipv4Addr,
    /// The interface of its session; 0: unknown.
    pub(crate) ifindex: u32,
}

/// Why a received route does not go out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held<'p> {
    /// Import has refused it, or its sender is gone.
    Unused,
    /// Between internal peers.
    Internal,
    /// By this rule, or because none matches.
    Filtered(Option<(&'p PolicyName, usize)>),
    /// No next hop would do.
    NoNextHop(&'static str),
    /// By a community, or a confederation in its AS_PATH.
    Confined,
    /// By our role.
    Role(Role),
    /// Kept long, which the peer does not understand.
    LongLivedStale,
}

/// Writes routes for the peers of one group.
pub(crate) struct Exporter<'a> {
    own: &'a OwnRoutes,
    senders: &'a BTreeMap<SourceId, Origin>,
    vrps: &'a VrpTable,
    policy: Named<'a>,
    key: &'a GroupKey,
    asn: u32,
    /// Our cluster, as a reflector.
    cluster: Ipv4Addr,
    draining: bool,
    /// What was written last, and what for: most routes are like the one before.
    last: Option<(Modifications, NextHop, Vec<u8>)>,
    /// The longest block that was written.
    pub(crate) longest: usize,
}

impl<'p> Exporter<'p> {
    pub(crate) fn new(
        key: &'p GroupKey,
        own: &'p OwnRoutes,
        senders: &'p BTreeMap<SourceId, Origin>,
        vrps: &'p VrpTable,
        policies: &'p Policies,
        config: &SpeakerConfig,
        draining: bool,
    ) -> Exporter<'p> {
        Exporter {
            own,
            senders,
            vrps,
            policy: policies.named(&key.export),
            key,
            asn: config.asn,
            cluster: config.cluster(),
            draining,
            last: None,
            longest: 0,
        }
    }

    /// What export changes about an own route; `None`: it does not pass.
    fn verdict(&self, announcement: &Announcement) -> Option<Modifications> {
        if let Some(peers) = &announcement.peers
            && !self.key.lists.contains(peers)
        {
            return None;
        }
        let peer = self.key.peer.as_ref();
        verdict(self.policy, announcement, self.vrps, peer, self.own_as()).ok()
    }

    /// Writes the attributes of an own route, if it goes out.
    fn own_route(
        &mut self,
        prefix: Prefix,
        domain: Domain,
        block: &mut Vec<u8>,
    ) -> Option<NextHop> {
        let all = self.own.of_prefix(&prefix);
        let at = all.iter().position(|a| a.id.domain == domain)?;
        let announcement = &all[at];
        let mut changes = self.verdict(announcement)?;
        // The first that passes is the one, even if there is no next hop for it.
        if all[..at].iter().any(|first| self.verdict(first).is_some()) {
            return None;
        }
        let next_hop = next_hop(announcement, changes.next_hop.take(), &self.key.link).ok()?;
        if let Some((for_changes, by, written)) = &self.last
            && (for_changes, *by) == (&changes, next_hop)
        {
            block.extend_from_slice(written);
            return Some(next_hop);
        }
        let border = self.key.border.as_ref();
        let mut attributes = attributes(&changes, self.asn, border, self.draining);
        self.by_role(&mut attributes).ok()?;
        attributes.encode_with(self.key.encode.four_octet_asn, Some(next_hop), block);
        self.longest = self.longest.max(block.len());
        self.last = Some((changes, next_hop, block.clone()));
        Some(next_hop)
    }
}

impl<'p> Exporter<'p> {
    /// Writes the attributes of a received route, if it goes out.
    pub(crate) fn received(
        &mut self,
        route: &RouteView<'_>,
        block: &mut Vec<u8>,
    ) -> Result<NextHop, Held<'p>> {
        let used = route.used.ok_or(Held::Unused)?;
        let sender = self.senders.get(&route.source).ok_or(Held::Unused)?;
        let passing = sender.relation.passes(self.key.relation);
        let way = match passing {
            Passing::Never => return Err(Held::Internal),
            Passing::ByRule => Way::Export,
            Passing::Reflected => Way::Reflect,
        };
        let raw = RouteAttributes::Bytes(used.raw);
        let mut view =
            crate::policy::RouteView::received(route.prefix, &sender.known_as, used.next_hop, raw);
        view.rpki = Rpki::Table(self.vrps);
        let context = Context {
            way,
            peer: self.key.peer.as_ref(),
            asn: self.own_as(),
        };
        let outcome = self.policy.evaluate(&view, &context);
        if !outcome.accepted {
            return Err(Held::Filtered(outcome.rule()));
        }
        let mut changes = outcome.changes;
        if !self.key.relation.is_external() {
            // A path that goes round in our own AS would be a loop to it.
            changes.prepend.clear();
        }
        let by = changes.next_hop.take();
        let by = self.received_next_hop(route.prefix.family(), used.next_hop, by, sender, passing);
        let by = by.map_err(Held::NoNextHop)?;
        let mut attributes = used.raw.decode();
        let stale = attributes.communities.contains(&Community::LLGR_STALE);
        if (stale || route.long_lived_stale) && !self.key.long_lived {
            return Err(Held::LongLivedStale);
        }
        if !may_leave(&attributes, self.key.relation) {
            return Err(Held::Confined);
        }
        self.by_role(&mut attributes).map_err(Held::Role)?;
        match passing {
            Passing::Reflected => {
                changes.apply(&mut attributes);
                reflect::mark(&mut attributes, sender.router_id, self.cluster);
                attributes.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
            }
            Passing::ByRule | Passing::Never => self.pass_on(&mut attributes, &changes),
        }
        if route.long_lived_stale {
            add_community(&mut attributes, Community::LLGR_STALE);
        }
        attributes.encode_with(self.key.encode.four_octet_asn, Some(by), block);
        self.longest = self.longest.max(block.len());
        Ok(by)
    }

    /// What policies mean by our AS.
    fn own_as(&self) -> u32 {
        let border = self.key.border.as_ref();
        border.map_or(self.asn, |border| border.own(self.asn))
    }

    /// Marks a route for whom our role asks for it. By the role that is returned it does not go to such a peer (RFC 9234 §5).
    fn by_role(&self, attributes: &mut Attributes) -> Result<(), Role> {
        let Some(role) = self.key.role else {
            return Ok(());
        };
        match role.egress(attributes.only_to_customer) {
            Egress::Keep => {}
            Egress::Mark => {
                let border = self.key.border.as_ref();
                attributes.only_to_customer = Some(border.map_or(self.asn, |b| b.seen(self.asn)));
            }
            Egress::Hold => return Err(role),
        }
        Ok(())
    }

    /// The next hop of a received route.
    fn received_next_hop(
        &self,
        family: Family,
        received: NextHop,
        change: Option<NextHopChange>,
        sender: &Origin,
        passing: Passing,
    ) -> Result<NextHop, &'static str> {
        let link = &self.key.link;
        let keep = || next_hop::keep(family, received, sender.ifindex, link);
        match change {
            // A reflector's own settings are for what it passes on, not for what it reflects (RFC 4456 §10).
            None if passing == Passing::Reflected => keep(),
            None if link.configured.is_unchanged(family) => keep(),
            None => next_hop::choose(family, None, link),
            Some(NextHopChange::Unchanged) => keep(),
            Some(change) => changed_next_hop(family, change, Some(received.addr()), link),
        }
    }

    /// What is different about a route that goes from or to another AS.
    fn pass_on(&self, attributes: &mut Attributes, changes: &Modifications) {
        let external = self.key.relation.is_external();
        let mut confined = Vec::new();
        if external {
            // A MED that another AS gave is for us alone (RFC 4271 §5.1.4).
            attributes.med = None;
            let all = attributes.extended_communities.iter();
            confined.extend(all.filter(|c| !c.transitive()).copied());
        }
        let border = self.key.border.as_ref();
        if let Some(border) = border {
            border.clean(&mut attributes.as_path, self.asn);
        }
        changes.apply(attributes);
        // What a policy adds may cross the border, what came with the route may not (RFC 4360 §6).
        let crosses = |c: &ExtendedCommunity| !confined.contains(c);
        attributes.extended_communities.retain(crosses);
        if self.draining {
            make_last_choice(attributes);
        }
        let local_pref = attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF);
        attributes.local_pref = (!external).then_some(local_pref);
        attributes.originator_id = None;
        attributes.cluster_list.clear();
        if let Some(border) = border {
            border.put_in_front(&mut attributes.as_path, self.asn);
        }
    }
}

/// Whether a route's path and its well-known communities let it go to such a peer (RFC 1997).
fn may_leave(attributes: &Attributes, to: Relation) -> bool {
    let has = |c: Community| attributes.communities.contains(&c);
    let confined = [Community::NO_EXPORT, Community::NO_EXPORT_SUBCONFED];
    // There is no confederation whose segments could be taken out of the path (RFC 5065 §4).
    let held_back = confined.into_iter().any(has) || attributes.as_path.has_confederation();
    let stays = has(Community::NO_ADVERTISE) || to.is_external() && held_back;
    !stays
}

impl Export for Exporter<'_> {
    fn export(&mut self, _: GroupId, route: &RouteView<'_>, block: &mut Vec<u8>) -> Exported {
        if route.source != SourceId::LOCAL {
            // Each source is a class of its own, so that the sender may matter to the policy.
            return Exported {
                next_hop: self.received(route, block).ok(),
                for_attributes: !self.policy.traits().prefixes,
            };
        }
        // What is different between own routes is not in their attributes.
        Exported {
            next_hop: self.own_route(route.prefix, Domain(route.path_id), block),
            for_attributes: false,
        }
    }
}
