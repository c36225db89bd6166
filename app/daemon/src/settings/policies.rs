//! Policies of the file and of the API: applied, removed, checked against each other, shown.

use std::collections::BTreeSet;

use serde_json::Value;
use tapway_api::ApiError;
use tapway_api::peer::Origin;
use tapway_api::policy::Policy as ApiPolicy;
use tapway_bgp::config::Policy;
use tapway_model::spec::SpecError;
use tapway_model::{PeerName, PolicyName};
use tapway_node::NodeConfig;

use super::{Applied, Settings, from_value, invalid, outcome};
use crate::config::spec::{BUILT_IN_POLICIES, PolicySpec};
use crate::config::{Use, check_new, policy_value};

impl Settings {
    /// The policies in force, by file or API.
    pub fn policies_in_force(&self) -> Vec<Policy> {
        let of_file: BTreeSet<&PolicyName> = self.config.policies.iter().map(|p| &p.name).collect();
        let of_api = self
            .api_policies
            .values()
            .filter(|p| !of_file.contains(&p.name));
        of_api.chain(&self.config.policies).cloned().collect()
    }

    /// The policies in force that have a condition on RPKI states.
    pub fn asks_rpki(&self) -> Vec<PolicyName> {
        let asks = |policy: &Policy| policy.rules.iter().any(|r| !r.matches.rpki.is_empty());
        let all = self.policies_in_force().into_iter().filter(asks);
        all.map(|policy| policy.name).collect()
    }

    /// Takes a policy from the API.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn apply_policy(&mut self, policy: Policy) -> Result<Applied<Policy>, ApiError> {
        let name = &policy.name;
        self.check_policy(&policy).map_err(invalid)?;
        self.forget_unusable("policy", name.as_str());
        let outcome = outcome(
            self.api_policies
                .insert(name.clone(), policy.clone())
                .as_ref(),
            &policy,
        );
        if self.config.policies.iter().any(|p| p.name == *name) {
            let note = format!(
                "[policy.{name}] in {} wins; this is kept and takes effect when that is removed",
                self.path.display()
            );
            return Ok(Applied {
                effective: None,
                outcome,
                notes: vec![note],
            });
        }
        let missing = self.missing_peers(&policy);
        Ok(Applied {
            effective: Some(policy),
            outcome,
            notes: missing
                .iter()
                .map(|peer| format!("it names the peer {peer}, and there is none yet"))
                .collect(),
        })
    }

    /// Forgets a policy of the API.
    ///
    /// # Errors
    /// When the API applied none of this name.
    pub fn remove_policy(&mut self, name: &PolicyName) -> Result<(), ApiError> {
        let unusable = self.forget_unusable("policy", name.as_str());
        match self.api_policies.remove(name) {
            Some(_) => Ok(()),
            None if unusable => Ok(()),
            None if self.config.policies.iter().any(|p| p.name == *name) => {
                Err(self.of_file("policy", name.as_str()))
            }
            None => Err(ApiError::not_found("policy", name)),
        }
    }

    /// The policy of this name that is in force, by file or API.
    pub fn policy_in_force(&self, name: &PolicyName) -> Option<Policy> {
        self.policies_in_force()
            .into_iter()
            .find(|p| p.name == *name)
    }

    /// Whether a policy fits to those that it calls and that call it, and to the peers that use it.
    fn check_policy(&self, policy: &Policy) -> Result<(), SpecError> {
        let mut all = self.policies_in_force();
        check_new(&all, std::slice::from_ref(policy)).map_err(|mut error| {
            let own = format!("policy.{}.", policy.name);
            if error.key.starts_with(&own) {
                error.key.drain(..own.len());
            }
            error
        })?;
        all.retain(|p| p.name != policy.name);
        let all: Vec<&Policy> = all.iter().chain([policy]).collect();
        for peer in self.peers().values() {
            for (way, name) in [(Use::Import, &peer.import), (Use::Export, &peer.export)] {
                way.check(name, &all).map_err(|reason| SpecError {
                    key: String::new(),
                    reason: format!(
                        "peer {} has {} = \"{name}\": {reason}",
                        peer.name,
                        way.key()
                    ),
                })?;
            }
        }
        Ok(())
    }

    /// The policies in force that call another one: `edge (rule 2)`.
    pub fn callers(&self, name: &PolicyName) -> Vec<String> {
        let all = self.policies_in_force();
        let rules = all.iter().flat_map(|policy| {
            (1..)
                .zip(&policy.rules)
                .map(move |(at, rule)| (policy, at, rule))
        });
        rules
            .filter(|(policy, _, rule)| policy.name != *name && rule.call.as_ref() == Some(name))
            .map(|(policy, at, _)| format!("{} (rule {at})", policy.name))
            .collect()
    }

    /// Built-in policies and all others.
    pub fn policies(&self, node: &NodeConfig) -> Vec<ApiPolicy> {
        let callers = |name: &str| match PolicyName::new(name) {
            Ok(name) => self.callers(&name),
            Err(_) => Vec::new(),
        };
        let used_by = |name: &str| -> Vec<String> {
            let users = node.peers.values().flat_map(|peer| {
                [
                    (peer, "import", &peer.import),
                    (peer, "export", &peer.export),
                ]
            });
            users
                .filter(|(_, _, policy)| policy.as_str() == name)
                .map(|(peer, way, _)| format!("{} {way}", peer.name))
                .chain(callers(name))
                .collect()
        };
        let built_in = BUILT_IN_POLICIES.iter().filter_map(|name| {
            Some(ApiPolicy {
                name: PolicyName::new(name).ok()?,
                origin: Origin::BuiltIn,
                used_by: used_by(name),
                text: Some(built_in_text(name).to_owned()),
                rules: Vec::new(),
            })
        });
        let others = node.policies.iter().map(|policy| ApiPolicy {
            name: policy.name.clone(),
            origin: if self.config.policies.iter().any(|p| p.name == policy.name) {
                Origin::File
            } else {
                Origin::Api
            },
            used_by: used_by(policy.name.as_str()),
            text: None,
            rules: policy_value(policy)["rules"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        });
        built_in.chain(others).collect()
    }

    /// Peers that a policy names and that are not there.
    fn missing_peers(&self, policy: &Policy) -> BTreeSet<PeerName> {
        let named = policy.rules.iter().flat_map(|rule| {
            let matches = &rule.matches;
            matches.peers.iter().chain(&matches.received_from)
        });
        let known = self.peers();
        let missing = named.filter(|peer| !known.contains_key(*peer));
        missing.cloned().collect()
    }
}

/// Reads a policy as the API takes it, and makes it ready: prefix sets, regular expressions. Takes time with
/// large ones. Whether it fits to others is [`Settings::apply_policy`]'s to say.
///
/// # Errors
/// What is wrong with it by itself.
pub fn read_policy(name: &PolicyName, value: Value) -> Result<Policy, SpecError> {
    from_value::<PolicySpec>(value)?.parse(name.clone())
}

fn built_in_text(name: &str) -> &'static str {
    match name {
        "claims" => "accepts everything that this host's claims announce",
        "default-route" => "accepts 0.0.0.0/0 and ::/0, and nothing else",
        "all" => "accepts everything",
        _ => "accepts nothing",
    }
}
