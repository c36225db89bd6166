//! What only shows when sections are seen together.

use tapway_bgp::config::{PeerConfig, Policy};
use tapway_document::nearest;
use tapway_model::spec::SpecError;
use tapway_model::{Network, PolicyName};

use super::Known;
use super::places;
use super::policies::{self, Use};
use super::spec::{BUILT_IN_POLICIES, fits_our_as, within, wrong};

/// Everything wrong between the sections of one configuration. `us`: our AS, when it is known.
pub(super) fn check(
    us: Option<u32>,
    peers: &[PeerConfig],
    networks: &[Network],
    policies: &[Policy],
    known: &Known,
) -> Vec<SpecError> {
    let of_api = known.defined.iter();
    let of_api = of_api.filter(|a| !policies.iter().any(|p| p.name == a.name));
    let all: Vec<&Policy> = policies.iter().chain(of_api).collect();
    let mut errors = policies::check_calls(&all, known);
    errors.retain(|error| !known.broken.contains(&error.key));
    errors.extend(policies::check_peers(policies, known));
    for peer in peers {
        if let Err(error) = fits_our_as(peer, us) {
            errors.push(within(&format!("peer.{}", peer.name), error));
        }
        for (way, policy) in [(Use::Import, &peer.import), (Use::Export, &peer.export)] {
            let found = policy_exists(policy, known).and_then(|()| way.check(policy, &all));
            if let Err(reason) = found {
                errors.push(within(
                    &format!("peer.{}", peer.name),
                    wrong(way.key(), reason),
                ));
            }
        }
    }
    let misfits = known.applied.iter().filter_map(|peer| {
        let SpecError { key, reason } = fits_our_as(peer, us).err()?;
        let text = format!(
            "peer {} of the API does not fit this AS: {key}: {reason}",
            peer.name
        );
        Some(wrong("router.asn", text))
    });
    errors.extend(misfits);
    let of = |peer: &PeerConfig, error| within(&format!("peer.{}", peer.name), error);
    errors.extend(places::within_file(peers).map(|(peer, error)| of(peer, error)));
    let clashes = peers.iter().filter_map(|peer| {
        let mut others = known.applied.iter();
        let error = others.find_map(|other| places::between(peer, other))?;
        Some(of(peer, error))
    });
    errors.extend(clashes);
    for (i, network) in networks.iter().enumerate() {
        for (at, peer) in network.peers.iter().flatten().enumerate() {
            if !known.any && !known.peers.contains(peer) {
                errors.push(wrong(
                    format!("network.{}.peers[{at}]", network.name),
                    format!("there is no peer {peer}; define [peer.{peer}] or remove the name"),
                ));
            }
        }
        for other in networks[..i].iter().filter(|n| n.domain == network.domain) {
            let overlap = network.allow.iter().enumerate().find_map(|(at, mine)| {
                let theirs = other.allow.iter().find(|p| p.overlaps(mine))?;
                Some((at, mine, theirs))
            });
            if let Some((at, mine, theirs)) = overlap {
                errors.push(wrong(
                    format!("network.{}.allow[{at}]", network.name),
                    format!(
                        "{mine} overlaps {theirs} of network {}, and both are in table {}; give one of them another table or other prefixes",
                        other.name, network.domain
                    ),
                ));
            }
        }
    }
    errors
}

/// Whether a policy can be named.
///
/// # Errors
/// When nothing defines it.
pub fn policy_exists(policy: &PolicyName, known: &Known) -> Result<(), String> {
    let known_name = known.any || known.policies.contains(policy);
    if known_name || BUILT_IN_POLICIES.contains(&policy.as_str()) {
        return Ok(());
    }
    let mut names: Vec<&str> = BUILT_IN_POLICIES.to_vec();
    names.extend(known.policies.iter().map(PolicyName::as_str));
    if let Some(meant) = nearest(policy.as_str(), &names) {
        return Err(format!(
            "there is no policy {policy}; did you mean {meant}?"
        ));
    }
    Err(format!(
        "there is no policy {policy}; define [policy.{policy}] or write one of {}",
        names.join(", ")
    ))
}
