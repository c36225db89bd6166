//! Keys of peers that are about the ASes on both sides.

use super::*;
use tapway_bgp::config::{PeerRole, Role};

#[track_caller]
fn refused(keys: &str, shown: &str) {
    let found = problems(&peer(keys));
    assert_eq!(found, [format!("t.toml:{shown}")], "{keys}");
}

#[test]
fn roles() {
    for role in Role::ALL {
        let tor1 = &config(&peer(&format!("role = \"{role}\""))).peers["tor1"];
        let strict = false;
        assert_eq!(tor1.role, Some(PeerRole { role, strict }));
    }
    let tor1 = &config(&peer("role = \"peer\"\nrole_strict = true")).peers["tor1"];
    assert!(tor1.role.unwrap().strict);
    assert_eq!(
        config(&peer("role_strict = false")).peers["tor1"].role,
        None
    );
}

#[test]
fn wrong_roles_have_a_place_and_a_remedy() {
    refused(
        "role = \"costumer\"",
        "6:8: peer.tor1.role: \"costumer\" is no role; did you mean \"customer\"?",
    );
    refused(
        "role = \"us\"",
        "6:8: peer.tor1.role: \"us\" is no role; write what we are to the peer: one of provider, route-server, route-server-client, customer, peer",
    );
    refused(
        "role_strict = true",
        "6:15: peer.tor1.role_strict: the peer must have a role only where we have one; add role = \"customer\", or remove the key",
    );
    for asn in ["64612", "\"internal\""] {
        let text =
            format!("{SMALLEST}[peer.rr]\naddress = \"192.0.2.1\"\nasn = {asn}\nrole = \"peer\"\n");
        let shown = "t.toml:6:8: peer.rr.role: roles are between ASes (RFC 9234), and this peer is in our own; remove the key";
        assert_eq!(problems(&text), [shown], "{asn}");
    }
}
