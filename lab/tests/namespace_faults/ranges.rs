//! Who gets in by a range of peers several hops away, whose listener takes packets of any interface.

use serde_json::json;
use tapway_lab::{Netns, wait_for};

use crate::bed::{Bed, SOON};
use crate::bgp::{connect, next};

const HOST: &str = "198.51.100.1";
const FAR: &str = "10.1.0.1";
const GUEST: &str = "10.3.0.1";

/// What the host says first to a connection from an address of this namespace: the type of the message and what follows; nothing if it
/// just closes.
fn heard(from: &Netns, address: &str) -> Option<(u8, Vec<u8>)> {
    next(&mut connect(from, address, HOST))
}

#[test]
fn a_guest_does_not_get_in_by_a_far_range_and_a_disabled_one_says_why() {
    let range = json!({"range": ["10.0.0.0/8"], "multihop": 4, "asn": "external"});
    let bed = Bed::prepared(json!({"peer": {"edge": range}}), &[]);
    bed.tor.ip(&format!("address add {FAR}/32 dev lo"));
    bed.host.ip(&format!("route add {FAR} via 198.51.100.0"));
    bed.plug("web1");
    bed.guests.ip(&format!("address add {GUEST}/32 dev web1"));
    bed.guests.ip("route add 169.254.0.1 dev web1");
    bed.guests.ip("route add default via 169.254.0.1");
    let nic = format!("interface = \"web1\"\naddresses = [\"{GUEST}\"]");
    bed.tapwayd
        .put_text("web1", &format!("name = \"web1\"\n[[nic]]\n{nic}\n"));
    bed.announces(&["10.3.0.1/32"]);

    assert!(heard(&bed.guests, GUEST).is_none(), "closed without a word");
    bed.tapwayd
        .logs("edge@10.3.0.1 is refused: it came in on web1, where guests are");
    let open = heard(&bed.tor, FAR);
    assert_eq!(open.map(|(kind, _)| kind), Some(1), "an OPEN");
    let names = || {
        let peers = bed.tapwayd.peers();
        let made = peers.into_iter().filter(|peer| peer.range.is_some());
        made.map(|peer| peer.name.to_string()).collect::<Vec<_>>()
    };
    // It has hung up since.
    wait_for(SOON, "nobody is there", || match names() {
        none if none.is_empty() => Ok(()),
        some => Err(some.join(" ")),
    });

    let disable = ["peer", "disable", "edge", "--message", "maintenance"];
    assert_eq!(bed.tapwayd.tapway(&disable).code, 0);
    for _ in 0..2 {
        let told = heard(&bed.tor, FAR);
        // A NOTIFICATION: Cease, Administrative Shutdown, the length of the message, and the message (RFC 9003).
        assert_eq!(told, Some((3, b"\x06\x02\x0bmaintenance".to_vec())));
        // Reading the configuration again, as it is or otherwise, does not let anybody in.
        let range = json!({"range": ["10.0.0.0/8"], "multihop": 5, "asn": "external"});
        bed.tapwayd
            .configure(Bed::config(json!({"peer": {"edge": range}})));
        let read = bed.tapwayd.tapway(&["config", "reload"]);
        assert_eq!(read.code, 0, "{read:?}");
    }
    let shown = bed.tapwayd.tapway(&["peer", "list"]);
    assert!(shown.out.contains("disabled"), "{shown:?}");
    assert_eq!(bed.tapwayd.tapway(&["peer", "enable", "edge"]).code, 0);
    let open = heard(&bed.tor, FAR);
    assert_eq!(open.map(|(kind, _)| kind), Some(1), "an OPEN");
}
