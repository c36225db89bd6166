//! Peers that are told the same: for each such group, and each family, the RIB decides and writes once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_bgp_wire::EncodeContext;
use tapway_model::{Family, PeerName, PolicyName};
use tapway_rib::{GroupConfig, GroupId, MemberId, Paths, Rib, SourceId};

use super::border::Border;
use super::peer::Peer;
use super::reflect::Relation;
use super::shared::Shared;
use crate::config::{PeerConfig, Role, SendPaths};
use crate::own::next_hop::Link;
use crate::policy::Policies;
use crate::session::Session;

/// Bytes that may wait for the slowest peer of a group before it goes on by itself.
const BACKLOG: usize = 1 << 20;

/// All that export reads besides the route: peers for whom it is equal are told the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupKey {
    pub(crate) family: Family,
    pub(crate) encode: EncodeContext,
    /// How many routes of a prefix they are told.
    pub(crate) paths: Paths,
    /// What the peers are to us.
    pub(crate) relation: Relation,
    /// What we are to them.
    pub(crate) role: Option<Role>,
    /// They understand routes that are kept long (RFC 9494).
    pub(crate) long_lived: bool,
    /// How AS_PATHs look to them, outside of our AS.
    pub(crate) border: Option<Border>,
    /// The policy.
    pub(crate) export: PolicyName,
    /// What next hops depend on.
    pub(crate) link: Link,
    /// The peer, where the policy asks for it.
    pub(crate) peer: Option<PeerName>,
    /// Of the lists of peers that own routes have, those with this peer.
    pub(crate) lists: Vec<Arc<[PeerName]>>,
}

#[derive(Clone, Debug)]
struct Group {
    key: GroupKey,
    members: u32,
}

/// The groups that there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(BTreeMap<GroupId, Group>);

impl Groups {
    /// How many there are, of both families.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// What the members of a group have in common.
    pub(crate) fn key(&self, id: GroupId) -> Option<&GroupKey> {
        self.0.get(&id).map(|group| &group.key)
    }

    /// Adds a peer to the group of this key.
    pub(super) fn join(
        &mut self,
        rib: &mut Rib,
        key: GroupKey,
        source: Option<SourceId>,
    ) -> Option<MemberId> {
        let id = self.find_or_add(rib, key);
        let member = rib.join(id, source)?;
        self.count_in(id);
        Some(member)
    }

    /// Removes a peer from its group.
    pub(super) fn leave(&mut self, rib: &mut Rib, member: MemberId) {
        rib.leave(member);
        self.count_out(member.group);
    }

    /// The key of a peer may be another now. Alone in its group, it is told only what differs.
    pub(super) fn change(
        &mut self,
        rib: &mut Rib,
        member: MemberId,
        key: GroupKey,
    ) -> Option<MemberId> {
        let group = self.0.get_mut(&member.group)?;
        if group.key == key {
            return Some(member);
        }
        let alone = group.members == 1 && group.key.paths == key.paths;
        if alone && !self.0.values().any(|other| other.key == key) {
            self.0.get_mut(&member.group)?.key = key;
            rib.export_changed(member.group);
            return Some(member);
        }
        let id = self.find_or_add(rib, key);
        let moved = rib.transfer(member, id)?;
        self.count_in(id);
        self.count_out(member.group);
        Some(moved)
    }

    /// Export says something else to some groups.
    pub(super) fn export_changed(&self, rib: &mut Rib, to: impl Fn(&GroupKey) -> bool) {
        for (id, _) in self.0.iter().filter(|(_, group)| to(&group.key)) {
            rib.export_changed(*id);
        }
    }

    fn find_or_add(&mut self, rib: &mut Rib, key: GroupKey) -> GroupId {
        if let Some((id, _)) = self.0.iter().find(|(_, group)| group.key == key) {
            return *id;
        }
        let id = rib.add_group(GroupConfig {
            family: key.family,
            encode: key.encode,
            paths: key.paths,
            backlog: BACKLOG,
        });
        self.0.insert(id, Group { key, members: 0 });
        id
    }

    fn count_in(&mut self, id: GroupId) {
        if let Some(group) = self.0.get_mut(&id) {
            group.members += 1;
        }
    }

    fn count_out(&mut self, id: GroupId) {
        if let Some(group) = self.0.get_mut(&id) {
            group.members -= 1;
            if group.members == 0 {
                self.0.remove(&id);
            }
        }
    }
}

/// What next hops towards a peer depend on; `None` until our addresses are known.
pub(crate) fn link(peer: &PeerConfig, session: &Session) -> Option<Link> {
    let conn = session.conn.as_ref()?;
    let info = conn.info?;
    let remote = info.remote.ip().to_canonical();
    let extended = conn.negotiated.as_ref()?.decode.extended_next_hop;
    Some(Link::new(
        conn.addresses?,
        remote,
        info.ifindex,
        extended,
        peer.next_hop,
    ))
}

impl Peer {
    /// Goes to the groups where it belongs now; when the session is over, to none.
    pub(crate) fn regroup(&mut self, shared: &mut Shared) {
        for family in Family::ALL {
            let key = self.group_key(shared, family);
            let Shared { groups, rib, .. } = shared;
            let member = &mut self.outbound[family].member;
            *member = match (member.take(), key) {
                (None, None) => None,
                (None, Some(key)) => groups.join(rib, key, self.source),
                (Some(member), Some(key)) => groups.change(rib, member, key),
                (Some(member), None) => {
                    groups.leave(rib, member);
                    None
                }
            };
        }
    }

    fn group_key(&self, shared: &Shared, family: Family) -> Option<GroupKey> {
        if !self.speaks(family) {
            return None;
        }
        let negotiated = self.main.negotiated()?;
        let mut link = link(&self.config, &self.main)?;
        if !link
            .peer
            .is_some_and(|addr| self.may_be_next_hop(shared, addr, negotiated.external))
        {
            link.peer = None;
        }
        let name = self.config.known_as();
        let by_peer = shared.policies.named(&self.config.export).traits().peers;
        Some(GroupKey {
            family,
            encode: negotiated.encode,
            paths: match self.config.add_paths.send {
                Some(send) if negotiated.encode.add_path[family] => match send {
                    SendPaths::All => Paths::All,
                    SendPaths::Best(most) => Paths::Several(most),
                },
                _ => Paths::Best,
            },
            relation: self.relation(negotiated.external),
            role: negotiated.role,
            long_lived: negotiated.long_lived,
            border: negotiated
                .external
                .then(|| Border::of(&self.config, negotiated.asn)),
            export: self.config.export.clone(),
            link,
            peer: by_peer.then(|| name.clone()),
            lists: shared.own.lists_with(name),
        })
    }

    /// Whether a route to this peer may name the peer itself as its next hop.
    fn may_be_next_hop(&self, shared: &Shared, addr: core::net::IpAddr, external: bool) -> bool {
        let configured = self.config.next_hop;
        Family::ALL
            .iter()
            .any(|f| configured.address(*f) == Some(addr))
            || shared.own.have_next_hop(addr)
            || shared.policies.sets_next_hop(&self.config.export, addr)
            || external && self.keeps_next_hops(shared)
    }

    /// Whether routes may go out by the next hops that they came with.
    fn keeps_next_hops(&self, shared: &Shared) -> bool {
        let keeps = |family: &Family| self.config.next_hop.is_unchanged(*family);
        Family::ALL.iter().any(keeps) || shared.policies.keeps_next_hop(&self.config.export)
    }

    /// Whether the session is with this address.
    pub(crate) fn session_is_with(&self, addr: core::net::IpAddr) -> bool {
        let info = self.main.conn.as_ref().and_then(|c| c.info);
        info.is_some_and(|info| info.remote.ip().to_canonical() == addr)
    }
}

/// Whether the export of a group is by one of these policies.
pub(super) fn exports_by(
    policies: &Policies,
    changed: &BTreeSet<PolicyName>,
) -> impl Fn(&GroupKey) -> bool {
    move |key| policies.reaches(&key.export, changed)
}
