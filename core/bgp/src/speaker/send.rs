//! Own routes to a peer: which, with what, and in which bytes.
//!
//! RFC 4271 §5 and 9.2, RFC 4724 §2, RFC 7313 §4.

use alloc::string::ToString;
use alloc::vec::Vec;

use tapway_bgp_wire::{
    AsPath, Attributes, Community, NextHop, RefreshSubtype, RouteRefresh, UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use super::action::{ConnId, LocalAddresses, Transmit};
use super::answer::NotSent;
use super::event::Event;
use super::peer::{Peer, Slot};
use super::receive::DEFAULT_LOCAL_PREF;
use super::shared::Shared;
use crate::config::{InstallChange, PeerConfig, PeerNextHop};
use crate::policy::{Context, Modifications, NextHopChange, RouteView, Rpki, Way};
use crate::rib::adj_out::Refresh;
use crate::rib::next_hop::{self, Link};
use crate::rib::own::Announcement;
use crate::session::Session;
use crate::session::fsm::State;

/// Prefixes that go into one [`Transmit`]: with /128s less than 80 KiB.
const BATCH: usize = 4096;

/// Whether the peer may see an announcement, and with which attributes.
pub(crate) fn export(
    shared: &Shared,
    peer: &PeerConfig,
    announcement: &Announcement,
) -> Result<Modifications, NotSent> {
    if announcement
        .peers
        .as_ref()
        .is_some_and(|peers| !peers.contains(&peer.name))
    {
        return Err(NotSent::NotForPeer(announcement.network.clone()));
    }
    let context = Context {
        way: Way::Export,
        peer: Some(&peer.name),
        asn: shared.config.asn,
    };
    let policy = shared.policies.named(&peer.export);
    let mut route = RouteView::own(announcement);
    route.rpki = Rpki::Table(&shared.vrps);
    let outcome = policy.evaluate(&route, &context);
    if outcome.accepted {
        return Ok(outcome.changes);
    }
    let (policy, rule) = outcome.rule().unzip();
    Err(NotSent::Filtered {
        policy: policy.unwrap_or(&peer.export).clone(),
        rule,
    })
}

/// Of the announcements with one prefix the one that goes to the peer: the first that it may see.
pub(crate) fn chosen<'a>(
    shared: &'a Shared,
    peer: &PeerConfig,
    prefix: &Prefix,
) -> Option<(&'a Announcement, Modifications)> {
    shared
        .own
        .of_prefix(prefix)
        .iter()
        .find_map(|a| Some((a, export(shared, peer, a).ok()?)))
}

/// What next hops towards the peer depend on; `None` until our addresses are known.
pub(crate) fn link(peer: &PeerConfig, session: &Session) -> Option<Link> {
    let conn = session.conn.as_ref()?;
    Some(Link {
        ours: conn.addresses?,
        peer: conn.info?.remote.ip().to_canonical(),
        extended: conn.negotiated.as_ref()?.decode.extended_next_hop,
        configured: peer.next_hop,
    })
}

/// The attributes of an own route (RFC 4271 §5.1).
fn attributes(changes: &Modifications, asn: u32, external: bool) -> Attributes {
    let mut attributes = Attributes {
        local_pref: Some(DEFAULT_LOCAL_PREF),
        ..Attributes::default()
    };
    changes.apply(&mut attributes);
    if external {
        attributes.as_path.prepend(asn, 1);
        attributes.local_pref = None;
    } else {
        attributes.as_path = AsPath::default();
    }
    attributes
}

/// Makes a route the last choice (RFC 8326 §4).
fn drain(changes: &mut Modifications) {
    changes.local_pref = Some(0);
    let communities = changes.communities.get_or_insert_default();
    if !communities.contains(&Community::GRACEFUL_SHUTDOWN) {
        communities.push(Community::GRACEFUL_SHUTDOWN);
        communities.sort_unstable();
    }
}

/// The next hop of an own route: what its policy says, or what is chosen without one.
fn next_hop(
    announcement: &Announcement,
    change: Option<NextHopChange>,
    link: &Link,
) -> Result<NextHop, &'static str> {
    let family = announcement.id.prefix.family();
    match change {
        None | Some(NextHopChange::Unchanged) => {
            next_hop::choose(family, announcement.next_hop, link)
        }
        Some(NextHopChange::Address(addr)) => next_hop::choose(family, Some(addr), link),
        Some(NextHopChange::Own) => {
            let link = Link {
                configured: PeerNextHop::default(),
                ..*link
            };
            next_hop::choose(family, None, &link)
        }
    }
}

impl Peer {
    /// A prefix has another announcement, or another than before.
    pub(crate) fn touch(&mut self, prefix: Prefix) {
        if self.speaks(prefix.family()) {
            self.adj_out[prefix.family()].touch(prefix);
        }
    }

    /// A prefix has no announcement any more.
    pub(crate) fn gone(&mut self, prefix: Prefix) {
        if self.speaks(prefix.family()) {
            self.adj_out[prefix.family()].gone(prefix);
        }
    }

    /// Everything has to be looked at again: a policy or a next hop changed.
    pub(crate) fn touch_all(&mut self, shared: &Shared) {
        for family in Family::ALL {
            if self.speaks(family) {
                self.adj_out[family].touch_all(shared.own.prefixes(family));
            }
        }
    }

    /// The peer asked for our routes. Begin and end are marked only after the first transfer (RFC 7313 §4).
    pub(crate) fn serve_refresh(&mut self, shared: &Shared, family: Family) {
        let enhanced = self.main.negotiated().is_some_and(|n| n.enhanced_refresh);
        let adj_out = &mut self.adj_out[family];
        if enhanced && adj_out.end_of_rib && adj_out.refresh == Refresh::Idle {
            adj_out.refresh = Refresh::Begin;
        }
        adj_out.send_again(shared.own.prefixes(family));
    }

    /// Our own addresses on a connection's interface.
    pub(crate) fn set_addresses(
        &mut self,
        shared: &mut Shared,
        id: ConnId,
        addresses: LocalAddresses,
    ) {
        let Some(slot) = self.slot(id) else { return };
        let Some(conn) = self.session_mut(slot).and_then(|s| s.conn.as_mut()) else {
            return;
        };
        if conn.addresses.replace(addresses) == Some(addresses) || !self.established() {
            return;
        }
        self.source.ours = addresses;
        self.touch_all(shared);
        self.judge_again(shared);
    }

    /// What is to be written now on one of the peer's connections.
    pub(crate) fn transmit(&mut self, shared: &mut Shared) -> Option<Transmit> {
        let mut bytes = Vec::new();
        for slot in [Slot::Main, Slot::Other] {
            let Some(session) = self.session_mut(slot) else {
                continue;
            };
            let established = session.state == State::Established;
            let Some(conn) = session.conn.as_mut().filter(|c| !c.blocked) else {
                continue;
            };
            let id = conn.id;
            bytes.append(&mut conn.control);
            if established {
                self.updates(shared, &mut bytes);
            }
            if !bytes.is_empty() {
                self.history.sent.bytes += bytes.len() as u64;
                return Some(Transmit { conn: id, bytes });
            }
        }
        None
    }

    /// Appends UPDATEs of the main session.
    fn updates(&mut self, shared: &mut Shared, out: &mut Vec<u8>) {
        let Some(link) = link(&self.config, &self.main) else {
            return;
        };
        let Some(negotiated) = self.main.negotiated() else {
            return;
        };
        let (asn, external) = (shared.config.asn, negotiated.external);
        let encode = negotiated.encode;
        let families = negotiated.decode.families;
        let draining = shared.draining;
        let peer = &self.config;
        let sent = &mut self.history.sent;
        for family in Family::ALL.into_iter().filter(|f| families[*f]) {
            let adj_out = &mut self.adj_out[family];
            if adj_out.refresh == Refresh::Begin {
                adj_out.refresh = Refresh::Running;
                mark(family, RefreshSubtype::Begin, out);
                sent.refresh += 1;
            }
            if adj_out.pending() > 0 {
                let batch = adj_out.take(BATCH, |adj_out, prefix| {
                    let (announcement, mut changes) = chosen(shared, peer, prefix)?;
                    let next_hop = next_hop(announcement, changes.next_hop.take(), &link).ok()?;
                    if draining {
                        drain(&mut changes);
                    }
                    // It is not told where the route goes in our kernel.
                    changes.install = InstallChange::default();
                    Some(adj_out.bundle(changes, next_hop, |c| attributes(c, asn, external)))
                });
                let mut builder = UpdateBuilder::new(out, encode);
                sent.withdrawn += batch.withdraw.len() as u64;
                sent.update += builder.withdraw(batch.withdraw) as u64;
                for (bundle, prefixes) in batch.announce {
                    let count = prefixes.len() as u64;
                    match builder.announce(
                        &bundle.attributes,
                        bundle.next_hop,
                        prefixes.iter().copied(),
                    ) {
                        Ok(messages) => {
                            sent.announced += count;
                            sent.update += messages as u64;
                        }
                        Err(error) => {
                            let withdraw = adj_out.refuse(&prefixes);
                            sent.withdrawn += withdraw.len() as u64;
                            sent.update += builder.withdraw(withdraw) as u64;
                            shared.tell(Event::CannotEncode {
                                peer: peer.name.clone(),
                                text: error.to_string(),
                            });
                        }
                    }
                }
            }
            if adj_out.pending() > 0 {
                continue;
            }
            if adj_out.refresh == Refresh::Running {
                adj_out.refresh = Refresh::Idle;
                mark(family, RefreshSubtype::End, out);
                sent.refresh += 1;
            }
            if shared.restart_done && !adj_out.end_of_rib {
                adj_out.end_of_rib = true;
                UpdateBuilder::new(out, encode).end_of_rib(family);
                sent.update += 1;
                shared.tell(Event::EndOfRibSent {
                    peer: peer.name.clone(),
                    family,
                });
            }
        }
    }

    /// Queues the withdrawal of all that the peer has, before the session is shut down.
    pub(crate) fn withdraw_all(&mut self) {
        let Some(conn) = self.main.conn.as_mut() else {
            return;
        };
        let Some(negotiated) = &conn.negotiated else {
            return;
        };
        for family in Family::ALL {
            let prefixes = self.adj_out[family].take_all();
            self.history.sent.withdrawn += prefixes.len() as u64;
            let messages =
                UpdateBuilder::new(&mut conn.control, negotiated.encode).withdraw(prefixes);
            self.history.sent.update += messages as u64;
        }
    }

    /// Tells that `announcement` goes not to this peer because another one with its prefix does.
    pub(crate) fn tell_conflict(&self, shared: &mut Shared, announcement: &Announcement) {
        if export(shared, &self.config, announcement).is_err() {
            return;
        }
        let Some((kept, _)) = chosen(shared, &self.config, &announcement.id.prefix) else {
            return;
        };
        let (kept, refused, peer) = (kept.id, announcement.id, self.config.name.clone());
        if kept != refused {
            shared.tell(Event::Conflict {
                peer,
                kept,
                refused,
            });
        }
    }

    /// Where an announcement stands towards this peer.
    pub(crate) fn why_not_sent(&self, shared: &Shared, announcement: &Announcement) -> NotSent {
        let prefix = &announcement.id.prefix;
        let family = prefix.family();
        let changes = match export(shared, &self.config, announcement) {
            Ok(changes) => changes,
            Err(why) => return why,
        };
        match chosen(shared, &self.config, prefix) {
            Some((chosen, _)) if chosen.id != announcement.id => {
                return NotSent::Conflict(chosen.id);
            }
            _ => {}
        }
        if !self.established() {
            return NotSent::SessionDown(self.state());
        }
        if !self.speaks(family) {
            return NotSent::FamilyNotNegotiated(family);
        }
        let Some(link) = link(&self.config, &self.main) else {
            return NotSent::Pending;
        };
        if let Err(why) = next_hop(announcement, changes.next_hop, &link) {
            return NotSent::NoNextHop(why);
        }
        match self.adj_out[family].get(prefix) {
            (Some(bundle), false) => NotSent::Sent(bundle.next_hop),
            _ => NotSent::Pending,
        }
    }
}

fn mark(family: Family, subtype: RefreshSubtype, out: &mut Vec<u8>) {
    RouteRefresh {
        family: family.into(),
        subtype,
    }
    .encode(out);
}
