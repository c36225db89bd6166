//! What is written to a peer: control messages, then what its groups have for it.
//!
//! RFC 4271 §9.2, RFC 4724 §2, RFC 7313 §4.

use alloc::string::ToString;
use alloc::vec::Vec;

use tapway_bgp_wire::{
    EncodeError, NlriEntry, PerFamily, RefreshSubtype, RouteRefresh, UpdateBuilder,
};
use tapway_model::{Family, Prefix};
use tapway_rib::{MemberId, Next, Rib, RouteView, SourceId};

use super::action::{ConnId, LocalAddresses, Transmit};
use super::answer::{NotPassed, NotSent};
use super::event::Event;
use super::export::{Exporter, Held, chosen, export, next_hop};
use super::groups::link;
use super::peer::{Outbound, Peer, Refresh, Slot};
use super::reflect::Passing;
use super::shared::Shared;
use crate::own::Announcement;
use crate::session::fsm::State;

/// Prefixes that are looked at together: with /128s they make less than 80 KiB.
const BATCH: usize = 4096;
/// Batches that one peer may look at in vain before others have their turn.
const LOOKS: usize = 2;

impl Peer {
    /// Begins the transfer that the peer asked for, once the one under way is over: however often it asks, it is sent no more
    /// than it reads. Begin and end are marked only after the first transfer (RFC 7313 §4).
    fn serve_refresh(&mut self, shared: &mut Shared, family: Family, member: MemberId) {
        let out = &mut self.outbound[family];
        if !out.asked || out.refresh != Refresh::Idle || !shared.rib.is_complete(member) {
            return;
        }
        out.asked = false;
        let enhanced = self.main.negotiated().is_some_and(|n| n.enhanced_refresh);
        if enhanced && out.end_of_rib {
            out.refresh = Refresh::Begin;
        }
        shared.rib.send_again(member);
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
        self.sender.ours = addresses;
        self.regroup(shared);
        self.judge_again(shared);
    }

    /// The session is over: nothing more goes out.
    pub(super) fn outbound_ends(&mut self, shared: &mut Shared) {
        for family in Family::ALL {
            if let Some(member) = self.outbound[family].member.take() {
                shared.groups.leave(&mut shared.rib, member);
            }
        }
        self.outbound = PerFamily::default();
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
            let updates = bytes.len();
            if established {
                for family in Family::ALL {
                    self.updates(shared, family, &mut bytes);
                }
            }
            self.watch_sent(shared, bytes.get(updates..).unwrap_or_default());
            if !bytes.is_empty() {
                self.history.sent.bytes += bytes.len() as u64;
                return Some(Transmit { conn: id, bytes });
            }
        }
        None
    }

    /// Appends a batch of UPDATEs of a family, and what marks the end of a transfer.
    fn updates(&mut self, shared: &mut Shared, family: Family, out: &mut Vec<u8>) {
        let Some(member) = self.outbound[family].member else {
            return;
        };
        self.serve_refresh(shared, family, member);
        let Outbound {
            refresh,
            end_of_rib,
            ..
        } = self.outbound[family];
        if end_of_rib && refresh == Refresh::Idle && shared.rib.pending(member) == 0 {
            return;
        }
        if refresh == Refresh::Begin {
            self.outbound[family].refresh = Refresh::Running;
            mark(family, RefreshSubtype::Begin, out);
            self.history.sent.refresh += 1;
        }
        let mut looks = 0;
        loop {
            match self.next(shared, member) {
                Next::Chunk(chunk) => {
                    out.extend_from_slice(&chunk.bytes);
                    let sent = &mut self.history.sent;
                    sent.update += u64::from(chunk.updates);
                    sent.announced += u64::from(chunk.announced);
                    sent.withdrawn += u64::from(chunk.withdrawn);
                    // Others have their turn; when nothing is left, its end is told in the same breath.
                    if shared.rib.pending(member) > 0 {
                        break;
                    }
                }
                Next::More => {
                    looks += 1;
                    if looks == LOOKS {
                        shared.looks_on = true;
                        break;
                    }
                }
                Next::Idle => break,
            }
        }
        if !shared.rib.is_complete(member) {
            return;
        }
        let outbound = &mut self.outbound[family];
        let sent = &mut self.history.sent;
        if outbound.refresh == Refresh::Running {
            outbound.refresh = Refresh::Idle;
            mark(family, RefreshSubtype::End, out);
            sent.refresh += 1;
        }
        if shared.restart_done
            && !outbound.end_of_rib
            && let Some(negotiated) = self.main.negotiated()
        {
            let export = shared.policies.named(&self.config.export).traits();
            let hears_others = export.received || !negotiated.external && shared.reflects;
            if hears_others && shared.first_to_come[family] {
                return;
            }
            outbound.end_of_rib = true;
            UpdateBuilder::new(out, negotiated.encode).end_of_rib(family);
            sent.update += 1;
            shared.tell(Event::EndOfRibSent {
                peer: self.config.name.clone(),
                family,
            });
        }
    }

    /// What a group has for the peer next.
    fn next(&self, shared: &mut Shared, member: MemberId) -> Next {
        let Shared {
            rib,
            groups,
            own,
            policies,
            vrps,
            config,
            draining,
            sources,
            ..
        } = shared;
        let Some(key) = groups.key(member.group) else {
            return Next::Idle;
        };
        let mut exporter = Exporter::new(key, own, sources, vrps, policies, config, *draining);
        let too_long = |rib: &Rib| rib.group(member.group).map_or(0, |group| group.too_long);
        let before = too_long(rib);
        let next = rib.next(member, BATCH, &mut exporter);
        if too_long(rib) > before {
            let error = EncodeError::TooLong {
                len: exporter.longest,
                max_len: key.encode.max_len,
            };
            shared.tell(Event::CannotEncode {
                peer: self.config.name.clone(),
                text: error.to_string(),
            });
        }
        next
    }

    /// Whether it is still to be told that something is gone.
    pub(super) fn owes_withdraws(&self, shared: &Shared) -> bool {
        let members = Family::ALL.map(|family| self.outbound[family].member);
        members
            .into_iter()
            .flatten()
            .any(|member| shared.rib.owes_withdraws(member))
    }

    /// Where the best route to a prefix stands towards this peer, if another one sent it; `None`: it is our own, or the export to
    /// this peer is not about what others sent.
    pub(crate) fn why_not_passed(&self, shared: &Shared, prefix: Prefix) -> Option<NotPassed> {
        let mut why = None;
        shared.rib.lookup(prefix, |route| {
            if route.best && route.source != SourceId::LOCAL {
                why = self.why_not_passed_on(shared, &route);
            }
        });
        why
    }

    fn why_not_passed_on(&self, shared: &Shared, route: &RouteView<'_>) -> Option<NotPassed> {
        let family = route.prefix.family();
        let sender = shared.sources.get(&route.source)?;
        let exports = shared.policies.named(&self.config.export).traits();
        let to = self.relation(!self.config.is_internal(shared.config.asn));
        if sender.relation.passes(to) == Passing::ByRule && !exports.received {
            return None;
        }
        if !self.established() {
            return Some(NotPassed::SessionDown(self.state()));
        }
        if !self.speaks(family) {
            return Some(NotPassed::FamilyNotNegotiated(family));
        }
        if Some(route.source) == self.source {
            return Some(NotPassed::ItsOwn);
        }
        let member = self.outbound[family].member?;
        let mut told = None;
        let pending = shared
            .rib
            .told(member, route.prefix, |route| told = Some(route.next_hop));
        if let Some(next_hop) = told.filter(|_| !pending) {
            return Some(NotPassed::Sent(next_hop));
        }
        let key = shared.groups.key(member.group)?;
        let Shared {
            own,
            sources,
            vrps,
            policies,
            config,
            draining,
            ..
        } = shared;
        let mut exporter = Exporter::new(key, own, sources, vrps, policies, config, *draining);
        Some(match exporter.received(route, &mut Vec::new()) {
            Ok(_) if pending => NotPassed::Pending,
            // All is told that fits.
            Ok(_) => NotPassed::TooLong,
            Err(held) => self.held(held),
        })
    }

    fn held(&self, held: Held<'_>) -> NotPassed {
        match held {
            // It is about to be withdrawn.
            Held::Unused => NotPassed::Pending,
            Held::Internal => NotPassed::Internal,
            Held::Filtered(rule) => {
                let (policy, rule) = rule.unzip();
                NotPassed::Filtered {
                    policy: policy.unwrap_or(&self.config.export).clone(),
                    rule,
                }
            }
            Held::NoNextHop(why) => NotPassed::NoNextHop(why),
            Held::Confined => NotPassed::Confined,
            Held::Role(role) => NotPassed::Role(role),
            Held::LongLivedStale => NotPassed::LongLivedStale,
        }
    }

    /// Queues the withdrawal of all that the peer has, before the session is shut down.
    pub(crate) fn withdraw_all(&mut self, shared: &Shared) {
        let Some(conn) = self.main.conn.as_mut() else {
            return;
        };
        let Some(negotiated) = &conn.negotiated else {
            return;
        };
        for family in Family::ALL {
            let Some(member) = self.outbound[family].member else {
                continue;
            };
            let mut routes = Vec::new();
            let all = usize::MAX;
            shared.rib.list_told(member, None, all, |r| {
                routes.push(NlriEntry {
                    prefix: r.prefix,
                    path_id: r.path_id,
                });
            });
            let sent = &mut self.history.sent;
            sent.withdrawn += routes.len() as u64;
            let mut builder = UpdateBuilder::new(&mut conn.control, negotiated.encode);
            sent.update += builder.withdraw(routes) as u64;
        }
    }

    /// Tells that `announcement` goes not to this peer because another one with its prefix does.
    pub(crate) fn tell_conflict(&self, shared: &mut Shared, announcement: &Announcement) {
        if export(shared, &self.config, announcement).is_err() {
            return;
        }
        let Some(kept) = chosen(shared, &self.config, &announcement.id.prefix) else {
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
        let prefix = announcement.id.prefix;
        let family = prefix.family();
        let changes = match export(shared, &self.config, announcement) {
            Ok(changes) => changes,
            Err(why) => return why,
        };
        match chosen(shared, &self.config, &prefix) {
            Some(chosen) if chosen.id != announcement.id => {
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
        let Some(member) = self.outbound[family].member else {
            return NotSent::Pending;
        };
        let mut told = None;
        let pending = shared
            .rib
            .told(member, prefix, |route| told = Some(route.next_hop));
        match told.filter(|_| !pending) {
            Some(next_hop) => NotSent::Sent(next_hop),
            None => NotSent::Pending,
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
