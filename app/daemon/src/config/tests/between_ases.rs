//! Keys of peers that are about the ASes on both sides.

use super::*;
use tapway_bgp::config::{LocalAs, PeerAsPath, PeerRole, RemovePrivate, Role};

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

#[test]
fn as_paths() {
    let rules = |keys: &str| config(&peer(keys)).peers["tor1"].as_path;
    assert_eq!(rules(""), PeerAsPath::default());
    let local = |replace, prepend| {
        Some(LocalAs {
            asn: 64999,
            replace,
            prepend,
        })
    };
    assert_eq!(rules("local_asn = 64999").local, local(false, true));
    let keys = "local_asn = { asn = 64999, replace = true, prepend = false }";
    assert_eq!(rules(keys).local, local(true, false));
    assert_eq!(rules("allow_own_as = 10").allow_own, 10);
    assert!(rules("as_override = true").override_peer);
    for (keys, any) in [
        ("enforce_first_as = false", true),
        ("enforce_first_as = true", false),
        ("role = \"customer\"", false),
        ("role = \"route-server-client\"", true),
        (
            "role = \"route-server-client\"\nenforce_first_as = true",
            false,
        ),
    ] {
        assert_eq!(rules(keys).any_first, any, "{keys}");
    }
    for (word, how) in [
        ("all", RemovePrivate::All),
        ("if-all", RemovePrivate::IfAll),
        ("replace", RemovePrivate::Replace),
    ] {
        let keys = format!("remove_private_as = {word:?}");
        assert_eq!(rules(&keys).remove_private, Some(how));
    }
}

#[test]
fn wrong_as_paths_have_a_place_and_a_remedy() {
    for (keys, shown) in [
        (
            "local_asn = 0",
            "6:13: peer.tor1.local_asn: 0 is no AS number (RFC 7607)",
        ),
        (
            "local_asn = { asn = 23456 }",
            "6:21: peer.tor1.local_asn.asn: 23456 stands for numbers that do not fit (RFC 6793) and belongs to nobody",
        ),
        (
            "local_asn = { replace = true }",
            "6:1: peer.tor1.local_asn: it is not said which AS the peer takes for ours; add asn = 64999",
        ),
        (
            "local_asn = 64612",
            "6:13: peer.tor1.local_asn: 64612 is the router's own AS, which the peer sees anyway; remove the key",
        ),
        (
            "local_asn = 65000",
            "6:13: peer.tor1.local_asn: 65000 is the peer's own AS, so that the session would be inside it; write another",
        ),
        (
            "allow_own_as = 0",
            "6:16: peer.tor1.allow_own_as: our AS cannot be allowed 0 times in a path; write 1 to 10, or remove the key",
        ),
        (
            "allow_own_as = 11",
            "6:16: peer.tor1.allow_own_as: our AS cannot be allowed 11 times in a path; write 1 to 10, or remove the key",
        ),
        (
            "remove_private_as = \"some\"",
            "6:21: peer.tor1.remove_private_as: \"some\" is not known; write \"all\", \"if-all\" (only from paths without others) or \"replace\" (by ours)",
        ),
    ] {
        refused(keys, shown);
    }
    for (key, why) in [
        (
            "local_asn = 64999",
            "another local AS is for peers of other ASes (RFC 7705)",
        ),
        (
            "enforce_first_as = false",
            "inside an AS no path begins with the peer's",
        ),
        (
            "as_override = true",
            "inside an AS no AS is replaced in paths",
        ),
        (
            "remove_private_as = \"all\"",
            "inside an AS paths stay as they are",
        ),
    ] {
        let text =
            format!("{SMALLEST}[peer.rr]\naddress = \"192.0.2.1\"\nasn = \"internal\"\n{key}\n");
        let found = problems(&text);
        let shown = format!("{why}, and this peer is in our own; remove the key");
        assert!(found.len() == 1 && found[0].ends_with(&shown), "{found:?}");
    }
}
