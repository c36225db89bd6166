//! `tapway policy test`: what a policy would do with routes, those that are there or one that is described.

use tapway_api::ApiError;
use tapway_api::policy::{
    InstallChanges, PolicyChanges, PolicyTest, PolicyTested, TestedRoute, TestedRule, Way as ApiWay,
};
use tapway_api::rpki::RpkiState as ApiState;
use tapway_bgp::config::{InstallChange, PeerConfig, Policy, Verdict};
use tapway_bgp::policy::{
    BuiltIn, By, Context, Modifications, NextHopChange, Outcome, Policies, RouteAttributes,
    RouteView, Rpki, RpkiState, Step, StepResult, Way,
};
use tapway_bgp::{Announcement, AnnouncementId, Attributes, NextHop, Speaker};
use tapway_model::spec::SpecError;
use tapway_model::{ClaimKind, Domain, NetworkName, PeerName, PolicyName, Prefix};

use crate::config::check_new;
use crate::config::spec::{
    each, extended, extended_text, large, large_text, origin_of, standard, standard_text, within,
    wrong,
};
use crate::settings::{invalid, read_policy};
use crate::views::rpki_state;

/// The policies that a question itself defines, made ready.
///
/// # Errors
/// What is wrong with one of them by itself.
pub fn read(test: &PolicyTest) -> Result<Vec<Policy>, ApiError> {
    let given = test.policies.iter();
    let policies = given.map(|(name, value)| {
        read_policy(name, value.clone()).map_err(|e| within(&format!("policies.{name}"), e))
    });
    policies.collect::<Result<_, _>>().map_err(invalid)
}

/// Asks a policy, with `defined` in force but for those that are `given`, about routes.
///
/// # Errors
/// When there is no such policy or peer, or something in the question is wrong.
pub fn test(
    speaker: &Speaker,
    defined: Vec<Policy>,
    given: Vec<Policy>,
    name: &PolicyName,
    test: &PolicyTest,
) -> Result<PolicyTested, ApiError> {
    check_new(&defined, &given).map_err(|error| {
        invalid(SpecError {
            key: error.key.replacen("policy.", "policies.", 1),
            ..error
        })
    })?;
    let mut policies = Policies::default();
    policies.set(defined.into_iter().chain(given));
    let exists = policies.iter().any(|p| p.name == *name);
    if !exists && BuiltIn::named(name.as_str()).is_none() {
        return Err(ApiError::not_found("policy", name));
    }
    for peer in [&test.peer, &test.received].into_iter().flatten() {
        if speaker.peer_config(peer).is_none() {
            return Err(ApiError::not_found("peer", peer));
        }
    }
    let asked = Asked {
        speaker,
        peers: speaker.peers().map(|peer| peer.name).collect(),
        policies: &policies,
        name,
        test,
    };
    asked.all().map_err(invalid)
}

/// A question.
struct Asked<'a> {
    speaker: &'a Speaker,
    peers: Vec<PeerName>,
    policies: &'a Policies,
    name: &'a PolicyName,
    test: &'a PolicyTest,
}

impl Asked<'_> {
    fn all(&self) -> Result<PolicyTested, SpecError> {
        let mut tested = PolicyTested::default();
        self.check()?;
        for prefix in &self.test.prefixes {
            let before = tested.items.len();
            if let Some(sender) = &self.test.received {
                self.described_route(*prefix, sender, &mut tested.items)?;
            } else if self.describes_claim() {
                self.described_claim(*prefix, &mut tested.items);
            } else {
                self.routes_that_are_there(*prefix, &mut tested.items);
            }
            if tested.items.len() == before {
                tested.missing.push(*prefix);
            }
        }
        Ok(tested)
    }

    fn describes_claim(&self) -> bool {
        let test = self.test;
        test.kind.is_some()
            || test.instance.is_some()
            || test.network.is_some()
            || test.next_hop.is_some()
            || !test.tags.is_empty()
    }

    /// Keys that do not go together.
    fn check(&self) -> Result<(), SpecError> {
        let test = self.test;
        let of_received = [
            ("as_path", test.as_path.is_some()),
            ("communities", test.communities.is_some()),
            ("large_communities", test.large_communities.is_some()),
            ("extended_communities", test.extended_communities.is_some()),
            ("med", test.med.is_some()),
            ("local_pref", test.local_pref.is_some()),
            ("origin", test.origin.is_some()),
        ];
        let of_claim = [
            ("kind", test.kind.is_some()),
            ("instance", test.instance.is_some()),
            ("network", test.network.is_some()),
            ("tags", !test.tags.is_empty()),
        ];
        let given = |keys: &[(&'static str, bool)]| {
            let found = keys.iter().find(|(_, given)| *given);
            found.map(|(key, _)| *key)
        };
        match &test.received {
            None => match given(&of_received) {
                Some(key) => Err(wrong(
                    key,
                    "a claim of ours has none before a policy; say with received which peer sends the route",
                )),
                None => Ok(()),
            },
            Some(_) => match given(&of_claim) {
                Some(key) => Err(wrong(
                    key,
                    "what a peer sent is no claim; leave out this or received",
                )),
                None => Ok(()),
            },
        }
    }

    fn routes_that_are_there(&self, prefix: Prefix, items: &mut Vec<TestedRoute>) {
        for announcement in self.speaker.announcements_to(&prefix) {
            self.export_claim(announcement, items);
        }
        let only = self.test.peer.as_ref();
        for sender in self
            .peers
            .iter()
            .filter(|p| only.is_none_or(|only| only == *p))
        {
            for (next_hop, attributes) in self.speaker.received_to(sender, prefix) {
                items.push(self.received(prefix, sender, next_hop, &attributes));
            }
        }
    }

    /// An own route to every peer that uses the policy, to the one that is asked about, or to nobody.
    fn export_claim(&self, announcement: &Announcement, items: &mut Vec<TestedRoute>) {
        let mut to: Vec<Option<PeerName>> = match &self.test.peer {
            Some(peer) => vec![Some(peer.clone())],
            None => self.users(announcement),
        };
        if to.is_empty() {
            to.push(None);
        }
        for peer in to {
            let owner = match announcement.instances.as_slice() {
                [] => String::new(),
                [one] => format!(" of {one}"),
                all => format!(" of {} instances", all.len()),
            };
            let route = format!(
                "{} claim{owner} in network {}",
                announcement.kind, announcement.network
            );
            let view = RouteView::own(announcement);
            items.push(self.evaluate(&view, Way::Export, peer.as_ref(), route));
        }
    }

    /// The peers that export by the policy and see the claim's network.
    fn users(&self, announcement: &Announcement) -> Vec<Option<PeerName>> {
        let sees = |peer: &PeerName| {
            let only = announcement.peers.as_ref();
            only.is_none_or(|peers| peers.contains(peer))
        };
        let exports = |peer: &PeerName| {
            let config = self.speaker.peer_config(peer);
            config.is_some_and(|config| config.export == *self.name)
        };
        let users = self.peers.iter().filter(|p| sees(p) && exports(p));
        users.cloned().map(Some).collect()
    }

    fn described_claim(&self, prefix: Prefix, items: &mut Vec<TestedRoute>) {
        let test = self.test;
        let default = || NetworkName::new("default").ok();
        let Some(network) = test.network.clone().or_else(default) else {
            return;
        };
        let announcement = Announcement {
            id: AnnouncementId {
                domain: Domain::MAIN,
                prefix,
            },
            kind: test.kind.unwrap_or(ClaimKind::Address),
            network,
            peers: None,
            instances: test.instance.iter().cloned().collect(),
            tags: test.tags.clone(),
            next_hop: test.next_hop,
        };
        self.export_claim(&announcement, items);
    }

    /// A route as a peer sends it: like one that it did send, but for what the question says.
    fn described_route(
        &self,
        prefix: Prefix,
        sender: &PeerName,
        items: &mut Vec<TestedRoute>,
    ) -> Result<(), SpecError> {
        let mut bases: Vec<(Option<NextHop>, Attributes)> = self
            .speaker
            .received_to(sender, prefix)
            .map(|(next_hop, attributes)| (Some(next_hop), attributes))
            .collect();
        if bases.is_empty() {
            bases.push((None, Attributes::default()));
        }
        for (next_hop, mut attributes) in bases {
            self.describe(&mut attributes)?;
            let given = self.test.next_hop.map(|addr| match addr {
                std::net::IpAddr::V4(addr) => NextHop::V4(addr),
                std::net::IpAddr::V6(addr) if addr.is_unicast_link_local() => {
                    NextHop::LinkLocal(addr)
                }
                std::net::IpAddr::V6(addr) => NextHop::V6(addr),
            });
            let next_hop = given.or(next_hop);
            let mut view = RouteView::received(
                prefix,
                sender,
                NextHop::V4(std::net::Ipv4Addr::UNSPECIFIED),
                RouteAttributes::Values(&attributes),
            );
            view.next_hop = next_hop;
            let (way, peer) = match &self.test.peer {
                Some(receiver) if receiver != sender && self.reflects(sender, receiver) => {
                    (Way::Reflect, receiver)
                }
                Some(receiver) if receiver != sender => (Way::Export, receiver),
                _ => (Way::Import, sender),
            };
            let route = received_text(sender, next_hop, &attributes);
            items.push(self.evaluate(&view, way, Some(peer), route));
        }
        Ok(())
    }

    /// Whether what a peer sends goes to another unless a rule says otherwise (RFC 4456).
    fn reflects(&self, sender: &PeerName, receiver: &PeerName) -> bool {
        let us = self.speaker.config().asn;
        let both = [sender, receiver].map(|peer| self.speaker.peer_config(peer));
        let internal = |p: &PeerConfig| p.is_internal(us);
        both.iter().all(|p| p.is_some_and(internal)) && both.iter().flatten().any(|p| p.client)
    }

    /// What the question says of the attributes.
    fn describe(&self, attributes: &mut Attributes) -> Result<(), SpecError> {
        let test = self.test;
        if let Some(text) = &test.as_path {
            attributes.as_path = text.parse().map_err(|e| wrong("as_path", e))?;
        }
        if let Some(texts) = &test.communities {
            attributes.communities = each(texts, "communities", standard)?;
        }
        if let Some(texts) = &test.large_communities {
            attributes.large_communities = each(texts, "large_communities", large)?;
        }
        if let Some(texts) = &test.extended_communities {
            attributes.extended_communities = each(texts, "extended_communities", extended)?;
        }
        if let Some(text) = &test.origin {
            attributes.origin = origin_of(text).map_err(|e| wrong("origin", e))?;
        }
        attributes.med = test.med.or(attributes.med);
        attributes.local_pref = test.local_pref.or(attributes.local_pref);
        Ok(())
    }

    fn received(
        &self,
        prefix: Prefix,
        sender: &PeerName,
        next_hop: NextHop,
        attributes: &Attributes,
    ) -> TestedRoute {
        let values = RouteAttributes::Values(attributes);
        let view = RouteView::received(prefix, sender, next_hop, values);
        let route = received_text(sender, Some(next_hop), attributes);
        self.evaluate(&view, Way::Import, Some(sender), route)
    }

    fn evaluate(
        &self,
        view: &RouteView<'_>,
        way: Way,
        peer: Option<&PeerName>,
        mut route: String,
    ) -> TestedRoute {
        let context = Context {
            way,
            peer,
            asn: self.speaker.config().asn,
        };
        match (way, peer) {
            (Way::Export, Some(peer)) => route.push_str(&format!(", exported to {peer}")),
            (Way::Reflect, Some(peer)) => route.push_str(&format!(", reflected to {peer}")),
            _ => {}
        }
        let table = self.speaker.vrps();
        let mut view = *view;
        view.rpki = match self.test.rpki {
            Some(state) => Rpki::State(known(state)),
            None => Rpki::Table(table),
        };
        let shown = self.test.rpki.is_some() || !table.is_empty();
        let (outcome, steps) = self.policies.named(self.name).trace(&view, &context);
        let (policy, rule) = decided(&outcome);
        TestedRoute {
            prefix: view.prefix,
            route,
            way: match way {
                Way::Import => ApiWay::Import,
                Way::Export | Way::Reflect => ApiWay::Export,
            },
            peer: peer.cloned(),
            rpki: shown.then(|| rpki_state(view.rpki_state(context.asn))),
            accepted: outcome.accepted,
            policy,
            rule,
            set: changes(&outcome.changes),
            steps: steps.iter().map(tested_rule).collect(),
        }
    }
}

/// A state that the question says.
fn known(state: ApiState) -> RpkiState {
    match state {
        ApiState::Valid => RpkiState::Valid,
        ApiState::Invalid => RpkiState::Invalid,
        ApiState::NotFound => RpkiState::NotFound,
    }
}

fn received_text(sender: &PeerName, next_hop: Option<NextHop>, attributes: &Attributes) -> String {
    let mut text = format!("received from {sender}");
    if let Some(next_hop) = next_hop {
        text.push_str(&format!(" via {next_hop}"));
    }
    if !attributes.as_path.is_empty() {
        text.push_str(&format!(", path {}", attributes.as_path));
    }
    text
}

fn decided(outcome: &Outcome<'_>) -> (Option<PolicyName>, Option<u32>) {
    match outcome.by {
        None => (None, None),
        Some(By::BuiltIn(policy)) => (PolicyName::new(policy.name()).ok(), None),
        Some(By::Rule { policy, rule }) => (Some(policy.clone()), Some(number(rule))),
    }
}

/// A rule's number for people.
fn number(rule: usize) -> u32 {
    u32::try_from(rule + 1).unwrap_or(u32::MAX)
}

fn tested_rule(step: &Step<'_>) -> TestedRule {
    let (mut missed, mut called, mut action) = (None, None, None);
    match step.result {
        StepResult::Missed(key) => missed = Some(key.to_owned()),
        StepResult::Called(policy) => called = Some(policy.clone()),
        StepResult::Matched(verdict) => {
            let word = match verdict {
                Verdict::Accept => "accept",
                Verdict::Reject => "reject",
                Verdict::Next => "next",
            };
            action = Some(word.to_owned());
        }
    }
    TestedRule {
        policy: step.policy.clone(),
        rule: number(step.rule),
        depth: u32::try_from(step.depth).unwrap_or(u32::MAX),
        missed,
        called,
        action,
    }
}

fn changes(changes: &Modifications) -> PolicyChanges {
    PolicyChanges {
        local_pref: changes.local_pref,
        med: changes.med,
        origin: changes.origin.map(|origin| origin.to_string()),
        prepend: changes.prepend.clone(),
        communities: texts(changes.communities.as_deref(), standard_text),
        large_communities: texts(changes.large_communities.as_deref(), large_text),
        extended_communities: texts(changes.extended_communities.as_deref(), extended_text),
        next_hop: changes.next_hop.map(|change| match change {
            NextHopChange::Own => "self".to_owned(),
            NextHopChange::Unchanged => "unchanged".to_owned(),
            NextHopChange::Address(addr) => addr.to_string(),
        }),
        install: install(&changes.install),
    }
}

fn texts<C: Copy>(list: Option<&[C]>, text: fn(C) -> String) -> Option<Vec<String>> {
    list.map(|all| all.iter().map(|c| text(*c)).collect())
}

fn install(change: &InstallChange) -> Option<InstallChanges> {
    let changed = *change != InstallChange::default();
    changed.then_some(InstallChanges {
        enabled: change.enabled,
        table: change.table,
        metric: change.metric,
        prefsrc: change.prefsrc,
    })
}

#[cfg(test)]
mod tests;
