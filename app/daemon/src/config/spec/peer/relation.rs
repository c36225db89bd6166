//! `client` and `role` of a peer: what is said of peers inside our AS, or of those outside, alone.

use tapway_bgp::config::{PeerAsn, PeerConfig, PeerRole, Role};
use tapway_document::nearest;
use tapway_model::spec::SpecError;

use super::{PeerSpec, wrong};

/// Whether what is said of a peer fits the AS that it is in. Without our own AS only what shows without it is found.
///
/// # Errors
/// A client in another AS, or a role in ours.
pub(crate) fn fits_our_as(peer: &PeerConfig, us: Option<u32>) -> Result<(), SpecError> {
    if peer.client {
        client_is_internal(peer, us)?;
    }
    if peer.role.is_some() {
        role_is_external(peer, us)?;
    }
    Ok(())
}

/// Routes are reflected inside an AS.
fn client_is_internal(peer: &PeerConfig, us: Option<u32>) -> Result<(), SpecError> {
    let other = match peer.asn {
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

/// Roles are between ASes (RFC 9234 §4).
fn role_is_external(peer: &PeerConfig, us: Option<u32>) -> Result<(), SpecError> {
    match us {
        Some(us) if peer.asn.is_internal(us) => {}
        None if peer.asn == PeerAsn::Internal => {}
        _ => return Ok(()),
    }
    Err(wrong(
        "role",
        "roles are between ASes (RFC 9234), and this peer is in our own; remove the key",
    ))
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
