//! `client` of a peer.

use tapway_bgp::config::{PeerAsn, PeerConfig};
use tapway_model::spec::SpecError;

use super::wrong;

/// Whether a client can be one: routes are reflected inside an AS. Without our own AS only what shows without it is found.
///
/// # Errors
/// It is in another AS.
pub(crate) fn client_is_internal(peer: &PeerConfig, us: Option<u32>) -> Result<(), SpecError> {
    let other = match peer.asn {
        PeerAsn::External => "another AS".to_owned(),
        PeerAsn::Number(asn) if us.is_some_and(|us| us != asn) => format!("AS {asn}"),
        PeerAsn::Number(_) | PeerAsn::Internal => return Ok(()),
    };
    if !peer.client {
        return Ok(());
    }
    let ours = us.map(|us| format!(", {us},")).unwrap_or_default();
    Err(wrong(
        "client",
        format!(
            "only peers of our own AS{ours} can be clients, and this one is of {other}; remove the key, or write asn = \"internal\""
        ),
    ))
}
