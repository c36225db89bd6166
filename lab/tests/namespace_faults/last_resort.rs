//! What is announced and delivered by something else than a route of ours: its unused addresses end here.

use tapway_api::explain::Stage;
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON};

const OWN: &str = r#"
name = "own"
[[claim]]
owner = "network"
kind = "route"
prefix = "198.18.0.0/24"
[[claim]]
owner = "host"
kind = "route"
prefix = "2001:db8:18::/48"
[[claim]]
owner = "network"
prefix = "198.18.1.7"
[[claim]]
owner = "host"
prefix = "198.18.2.7"
"#;

const ALL: [&str; 4] = [
    "198.18.0.0/24",
    "198.18.1.7/32",
    "198.18.2.7/32",
    "2001:db8:18::/48",
];

/// Where a packet for `to` goes that came from the router; what `ip` says when nowhere.
fn way(bed: &Bed, to: &str) -> String {
    let from = if to.contains(':') {
        "2001:db8:f::"
    } else {
        "198.51.100.0"
    };
    let got = bed
        .host
        .try_exec(&format!("ip route get {to} from {from} iif up0"));
    String::from_utf8_lossy(&[got.stdout, got.stderr].concat()).into_owned()
}

#[track_caller]
fn goes(bed: &Bed, to: &str, words: &str) {
    wait_for(SOON, format!("{to} goes {words:?}"), || {
        let way = way(bed, to);
        if way.contains(words) {
            Ok(())
        } else {
            Err(way)
        }
    });
}

#[test]
fn unused_addresses_do_not_go_back_to_the_router() {
    let mut bed = Bed::new();
    bed.plug("tap0");
    bed.host.ip("route add default via 198.51.100.0");
    bed.host.ip("-6 route add default via 2001:db8:f::");
    bed.guest("tap0", &["198.18.0.1"]);
    bed.tapwayd.put_text("own", OWN);
    let mut announced = ALL.to_vec();
    announced.push("198.18.0.1/32");
    bed.announces(&announced);
    for (to, words) in [
        ("198.18.0.9", "No route to host"),
        ("198.18.1.7", "No route to host"),
        ("2001:db8:18:9::1", "No route to host"),
        ("198.18.0.1", "dev tap0"),
        ("198.18.2.7", "local 198.18.2.7"),
        ("192.0.2.77", "via 198.51.100.0"),
    ] {
        goes(&bed, to, words);
    }
    let explained = bed.explain("198.18.0.9");
    assert_eq!(explained.first_broken, None, "{explained:#?}");
    let kernel = explained
        .links
        .iter()
        .find(|l| l.stage == Stage::KernelRoute);
    let said = &kernel.expect("the kernel's link").summary;
    assert!(
        said.contains("behind them is route unreachable 198.18.0.0/24"),
        "{said}"
    );

    // A route of the host for the same prefix wins: a bridge with the subnet on it.
    bed.host.ip("link add br7 type bridge");
    bed.host.ip("address add 198.18.0.254/24 dev br7");
    bed.host.ip("link set br7 up");
    goes(&bed, "198.18.0.9", "dev br7");

    // It is adopted after a crash, and gone with its claim.
    bed.crash();
    bed.announces(&announced);
    bed.host.ip("link del br7");
    goes(&bed, "198.18.0.9", "No route to host");
    bed.tapwayd.delete("own");
    bed.announces(&["198.18.0.1/32"]);
    goes(&bed, "198.18.0.9", "via 198.51.100.0");
    bed.no_problem();
}
