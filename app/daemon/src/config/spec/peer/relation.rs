//! What is said of peers inside our AS alone (`client`), or of those outside (`role`, `local_asn` and others).

use tapway_bgp::config::{PeerAsn, PeerConfig, PeerRole, Role};
use tapway_document::nearest;
use tapway_model::spec::SpecError;

use super::{PeerSpec, wrong};

/// Whether what is said of a peer fits the AS that it is in. Without our own AS only what shows without it is found.
///
/// # Errors
/// A client in another AS, or a key for other ASes in ours.
pub(crate) fn fits_our_as(peer: &PeerConfig, us: Option<u32>) -> Result<(), SpecError> {
    if peer.client {
        client_is_internal(peer, us)?;
    }
    if peer.role.is_some() {
        is_external(peer, us, "role", "roles are between ASes (RFC 9234)")?;
    }
    let rules = &peer.as_path;
    if let Some(local) = rules.local {
        let why = "another local AS is for peers of other ASes (RFC 7705)";
        is_external(peer, us, "local_asn", why)?;
        local_asn_is_another(peer, us, local.asn)?;
    }
    if rules.any_first {
        let why = "inside an AS no path begins with the peer's";
        is_external(peer, us, "enforce_first_as", why)?;
    }
    if rules.override_peer {
        let why = "inside an AS no AS is replaced in paths";
        is_external(peer, us, "as_override", why)?;
    }
    if rules.remove_private.is_some() {
        let why = "inside an AS paths stay as they are";
        is_external(peer, us, "remove_private_as", why)?;
    }
    Ok(())
}

/// The AS that the peer takes for ours is neither its own nor the one that it would see anyway.
fn local_asn_is_another(peer: &PeerConfig, us: Option<u32>, local: u32) -> Result<(), SpecError> {
    let text = match peer.asn {
        _ if us == Some(local) => {
            format!("{local} is the router's own AS, which the peer sees anyway; remove the key")
        }
        PeerAsn::Number(asn) if asn == local => {
            format!(
                "{local} is the peer's own AS, so that the session would be inside it; write another"
            )
        }
        _ => return Ok(()),
    };
    Err(wrong("local_asn", text))
}

/// Routes are reflected inside an AS.
fn client_is_internal(peer: &PeerConfig, us: Option<u32>) -> Result<(), SpecError> {
    let other = match peer.asn {
        _ if peer.as_path.local.is_some() => "another AS".to_owned(),
        PeerAsn::External => "another AS".to_owned(),
        PeerAsn::Number(asn) if us.is_some_and(|us| us != asn) => format!("AS {asn}"),
        PeerAsn::Number(_) | PeerAsn::Internal => return Ok(()),
    };
    let ours = us.map(|us| format!(", {us},")).unwrap_or_default();
    Err(wrong(
        "client",
        format!(
            "only peers of our own AS{ours} can be clients, and this one is of {other}; remove the key, or write asn = \"internal\""
        ),
    ))
}

fn is_external(peer: &PeerConfig, us: Option<u32>, key: &str, why: &str) -> Result<(), SpecError> {
    let internal = match us {
        Some(us) => peer.asn.is_internal(us),
        None => peer.asn == PeerAsn::Internal,
    };
    match internal {
        true => Err(wrong(
            key,
            format!("{why}, and this peer is in our own; remove the key"),
        )),
        false => Ok(()),
    }
}

impl PeerSpec {
    pub(super) fn role(&self) -> Result<Option<PeerRole>, SpecError> {
        let strict = self.role_strict.unwrap_or(false);
        let Some(text) = &self.role else {
            return match strict {
                false => Ok(None),
                true => Err(wrong(
                    "role_strict",
                    "the peer must have a role only where we have one; add role = \"customer\", or remove the key",
                )),
            };
        };
        let names = Role::ALL.map(Role::name);
        match Role::ALL.into_iter().find(|role| role.name() == text) {
            Some(role) => Ok(Some(PeerRole { role, strict })),
            None => {
                let remedy = match nearest(text, &names) {
                    Some(meant) => format!("did you mean {meant:?}?"),
                    None => format!("write what we are to the peer: one of {}", names.join(", ")),
                };
                Err(wrong("role", format!("{text:?} is no role; {remedy}")))
            }
        }
    }
}
