//! The policies of the walk; the model knows them by their names.

use alloc::vec::Vec;

use super::super::net::policy_name;
use super::super::several::tor;
use super::model;
use super::world::World;
use crate::config::{Match, Policy, Rule, Set, Verdict};
use crate::policy::{AnyOf, Pattern};

impl World {
    pub(super) fn define_policies(&mut self) {
        let rule = |matches, set, action| Rule {
            matches,
            set,
            call: None,
            action,
        };
        let own = Match::default;
        let from_peer = || Match {
            from_peer: true,
            ..own()
        };
        let with = |community| Match {
            communities: AnyOf([[Pattern::exactly(community)].into()].into()),
            ..from_peer()
        };
        let med = |med| Set {
            med,
            ..Set::default()
        };
        let none = Set::default;
        let picky = [
            rule(with(model::UNWANTED), none(), Verdict::Reject),
            rule(
                with(model::LIKED),
                Set {
                    local_pref: Some(model::LIKED_PREF),
                    ..none()
                },
                Verdict::Accept,
            ),
            rule(own(), none(), Verdict::Accept),
        ];
        let transit = [
            rule(from_peer(), med(self.model.med), Verdict::Accept),
            rule(own(), none(), Verdict::Accept),
        ];
        let tor2 = Match {
            peers: [tor(2)].into(),
            ..own()
        };
        let choosy = [
            rule(tor2, none(), Verdict::Reject),
            rule(with(model::SECRET), none(), Verdict::Reject),
            rule(from_peer(), none(), Verdict::Accept),
            rule(own(), med(Some(model::CHOOSY_MED)), Verdict::Accept),
        ];
        let policy = |name, rules: &[Rule]| Policy {
            name: policy_name(name),
            rules: rules.into(),
        };
        let mut all = Vec::from([policy("picky", &picky), policy("transit", &transit)]);
        match self.model.choosy {
            true => all.push(policy("choosy", &choosy)),
            false => _ = self.speaker.remove_policy(self.now, &policy_name("choosy")),
        }
        self.speaker.set_policies(self.now, all);
    }
}
