//! Received routes over several hops: their interface follows from our addresses.

use serde_json::json;

use crate::bed::Bed;

#[test]
fn a_far_next_hop_follows_the_addresses_of_the_host() {
    let bed = Bed::with(
        json!({"peer": {"tor": {"multihop": 2, "import": "all", "install": true}}}),
        &[],
    );
    bed.router.put_text(
        "far",
        "name = \"far\"\n[[claim]]\nowner = \"host\"\nkind = \"route\"\nprefix = \"198.18.0.0/15\"\nnext_hop = \"192.0.2.77\"\n",
    );
    let alt = || {
        bed.plug("alt0");
        bed.host.address("alt0", "192.0.2.1/24");
    };
    // Nothing leads to the next hop yet.
    let received = || {
        bed.tapwayd
            .tapway(&["route", "list", "--received", "tor"])
            .out
    };
    tapway_lab::wait_for(crate::bed::SOON, "the route is received", || {
        let received = received();
        match received.contains("198.18.0.0/15") {
            true => Ok(()),
            false => Err(received),
        }
    });
    bed.wired(&[]);
    alt();
    bed.wired(&["198.18.0.0/15 via 192.0.2.77 dev alt0"]);
    // The session goes on over another link.
    bed.host.link_del("alt0");
    bed.wired(&[]);
    alt();
    bed.wired(&["198.18.0.0/15 via 192.0.2.77 dev alt0"]);
}
