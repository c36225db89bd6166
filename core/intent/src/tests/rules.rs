//! Who holds what: merging, conflicts, migration, networks, problems.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use tapway_model::{ClaimKind, Domain, IfName, Mac, Nic, NicState, OwnClaim, Transparent};

use super::build::{guest, instance, intent, network, nic, one, own, p, ps};
use crate::{Change, Intent, Standing};

fn mac(last: u8) -> Option<Mac> {
    Some(Mac::new([2, 0, 0, 0, 0, last]).unwrap())
}

fn prefix(text: &str) -> Change {
    Change::Prefix(Domain::MAIN, p(text))
}

fn tap(name: &str) -> Change {
    Change::Nic(name.parse().unwrap())
}

#[test]
fn every_kind_of_claim_is_there_with_its_way() {
    let mut intent = intent();
    let nic = Nic {
        routes: ps(&["198.51.100.64/28", "2001:db8:5::/48"]),
        anycast: ps(&["203.0.113.10"]),
        transparent: vec![Transparent {
            address: p("203.0.113.11").addr(),
            to: None,
        }],
        guest_bgp: guest(&["10.3.0.1"]),
        ..nic("tap0", &["2001:db8:c::/64", "203.0.113.1", "203.0.113.2"])
    };
    intent.put1("files", one("web1", nic));
    let host = own("host", "default", "192.0.2.53", ClaimKind::Anycast);
    let subnet = own("network", "default", "203.0.113.0/24", ClaimKind::Address);
    intent.put1("api", instance("net", Vec::new(), vec![host, subnet]));
    assert_eq!(
        intent.text(),
        [
            "10.3.0.1/32 guest-bgp nic tap0 via 203.0.113.1 shared",
            "192.0.2.53/32 anycast host announce shared",
            "198.51.100.64/28 route nic tap0 via 203.0.113.1 announce",
            "203.0.113.0/24 address network default announce",
            "203.0.113.1/32 address nic tap0 announce",
            "203.0.113.2/32 address nic tap0 announce",
            "203.0.113.10/32 anycast nic tap0 via 203.0.113.1 announce shared",
            "203.0.113.11/32 transparent nic tap0 via 203.0.113.1",
            // Its only address of the family is a subnet, which is no next hop: on-link.
            "2001:db8:5::/48 route nic tap0 announce",
            "2001:db8:c::/64 address nic tap0 announce",
        ]
    );
    assert_eq!(intent.conflicts(), []);
}

#[test]
fn who_contends_with_whom() {
    type Said = (Vec<Nic>, Vec<OwnClaim>);
    let by = |name: &str, network: &str, addresses: &[&str]| -> Said {
        (
            vec![Nic {
                network: network.parse().unwrap(),
                ..nic(name, addresses)
            }],
            Vec::new(),
        )
    };
    let nic1 = |of: &str| by("t1", "default", &[of]);
    let any = |name: &str, network: &str| -> Said {
        let (mut nics, claims) = by(name, network, &[]);
        nics[0].anycast = ps(&["10.0.0.1"]);
        (nics, claims)
    };
    let bgp = |of: &str| -> Said {
        (
            vec![Nic {
                guest_bgp: guest(&[of]),
                ..nic("t1", &[])
            }],
            Vec::new(),
        )
    };
    let net = |network: &str, of: &str| -> Said {
        let kind = if of == "0.0.0.0/0" {
            ClaimKind::Route
        } else {
            ClaimKind::Address
        };
        (Vec::new(), vec![own("network", network, of, kind)])
    };
    let host = |of: &str, kind| -> Said { (Vec::new(), vec![own("host", "default", of, kind)]) };
    let everything = || host("0.0.0.0/0", ClaimKind::Route);
    // Two instances, and whether the second is refused.
    let rows = [
        (by("t0", "default", &["10.0.0.1"]), nic1("10.0.0.1"), true),
        (by("t0", "default", &["10.0.0.1"]), nic1("10.0.0.2"), false),
        (
            by("t0", "default", &["10.0.0.0/30"]),
            nic1("10.0.0.2"),
            true,
        ),
        (
            by("t0", "default", &["10.0.0.2"]),
            nic1("10.0.0.0/30"),
            true,
        ),
        (
            by("t1", "default", &["10.0.0.2"]),
            nic1("10.0.0.0/30"),
            false,
        ),
        (any("t0", "default"), any("t1", "default"), false),
        (any("t0", "default"), bgp("10.0.0.1"), false),
        (any("t0", "default"), bgp("10.0.0.0/24"), true),
        (any("t0", "default"), nic1("10.0.0.1"), true),
        // Two networks in one table may not overlap, in two tables they may.
        (any("t0", "default"), any("t1", "a"), true),
        (any("t0", "default"), any("t1", "b"), false),
        (
            by("t0", "default", &["10.0.0.1"]),
            by("t1", "b", &["10.0.0.1"]),
            false,
        ),
        // A network contains its NICs' prefixes, not those of others, and not its own again.
        (net("a", "10.0.0.0/24"), by("t1", "a", &["10.0.0.1"]), false),
        (by("t1", "a", &["10.0.0.1"]), net("a", "10.0.0.0/24"), false),
        (net("a", "10.0.0.0/24"), nic1("10.0.0.1"), true),
        (net("a", "10.0.0.1/32"), by("t1", "a", &["10.0.0.1"]), true),
        (
            net("a", "10.0.0.1/32"),
            by("t1", "a", &["10.0.0.0/24"]),
            true,
        ),
        (net("a", "10.0.0.0/24"), net("default", "10.0.0.0/25"), true),
        (
            net("a", "10.0.0.0/24"),
            host("10.0.0.1", ClaimKind::Address),
            true,
        ),
        // The default route is where everything else goes: it contends with default routes only.
        (everything(), nic1("10.0.0.1"), false),
        (nic1("10.0.0.1"), everything(), false),
        (everything(), net("a", "0.0.0.0/0"), true),
    ];
    for (i, (first, second, refused)) in rows.into_iter().enumerate() {
        let mut intent = intent();
        intent.set_networks(vec![network("a", Domain::MAIN), network("b", Domain(100))]);
        intent.put1("files", instance("i0", first.0, first.1));
        intent.put1("files", instance("i1", second.0, second.1));
        assert_eq!(
            intent.conflicts().len(),
            usize::from(refused),
            "row {i}: {:?}",
            intent.text()
        );
        if refused {
            // The first keeps, and the second takes over at once when the first goes.
            assert_eq!(
                intent.conflicts()[0].kept.instances[0].1.as_str(),
                "i0",
                "row {i}"
            );
            assert_eq!(intent.text().len(), 1, "row {i}");
            intent.changes();
            intent.gone1("files", "i0");
            assert_eq!(
                (intent.conflicts().len(), intent.text().len()),
                (0, 1),
                "row {i}"
            );
            assert!(intent.changes().contains(&Change::Report), "row {i}");
        }
    }
}

#[test]
fn a_refused_claim_keeps_nobody_out() {
    let mut intent = intent();
    intent.put1("files", one("i0", nic("t0", &["10.0.0.1"])));
    intent.put1("files", one("i1", nic("t1", &["10.0.0.0/24"])));
    intent.put1("files", one("i2", nic("t2", &["10.0.0.2"])));
    intent.changes();
    assert_eq!(
        intent.conflict_text(),
        ["nic t0 10.0.0.1/32 | nic t1 10.0.0.0/24"]
    );
    // The /24 was before t2: it takes the place of both.
    intent.gone1("files", "i0");
    assert_eq!(
        intent.conflict_text(),
        ["nic t1 10.0.0.0/24 | nic t2 10.0.0.2/32"]
    );
    assert_eq!(
        intent.changes(),
        [
            tap("t0"),
            prefix("10.0.0.0/24"),
            prefix("10.0.0.1/32"),
            prefix("10.0.0.2/32"),
            Change::Report
        ]
    );
    // It came back: it is the last now.
    intent.put1("files", one("i0", nic("t0", &["10.0.0.1"])));
    assert_eq!(
        intent.conflict_text(),
        ["nic t1 10.0.0.0/24 | nic t2 10.0.0.2/32 | nic t0 10.0.0.1/32"]
    );
}

#[test]
fn several_sources_speak_of_one_nic() {
    let mut intent = intent();
    let first = Nic {
        mac: mac(1),
        tags: vec!["x".parse().unwrap()],
        ..nic("t0", &["10.0.0.1"])
    };
    let second = Nic {
        mac: mac(2),
        tags: vec!["a".parse().unwrap()],
        ..nic("t0", &["10.0.0.1", "10.0.0.2"])
    };
    intent.put1("files", one("web", first));
    intent.put1("api", one("vm7", second));
    let t0: IfName = "t0".parse().unwrap();
    let merged = intent.nic(&t0).unwrap().clone();
    assert_eq!(
        (merged.mac, merged.tags.len(), merged.instances.len()),
        (mac(1), 2, 2)
    );
    assert_eq!(
        intent.problem_text(),
        [
            "instance vm7 from source api, nic t0: says MAC address 02:00:00:00:00:02, but web from source files \
          said 02:00:00:00:00:01 first, which is used; make the two agree"
        ]
    );
    assert_eq!(intent.conflicts(), []);
    assert_eq!(
        intent
            .effective(Domain::MAIN, &p("10.0.0.1"))
            .unwrap()
            .holders[0]
            .instances
            .len(),
        2
    );
    intent.changes();
    // The claim stays until the last lets go; the MAC of the next is used.
    intent.gone1("files", "web");
    assert_eq!(
        intent.text(),
        [
            "10.0.0.1/32 address nic t0 announce",
            "10.0.0.2/32 address nic t0 announce"
        ]
    );
    assert_eq!(intent.nic(&t0).unwrap().mac, mac(2));
    assert_eq!(
        intent.changes(),
        [
            tap("t0"),
            prefix("10.0.0.1/32"),
            prefix("10.0.0.2/32"),
            Change::Report
        ]
    );
    intent.gone1("api", "vm7");
    assert_eq!(
        (
            intent.text().len(),
            intent.nics().count(),
            intent.problems().count()
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_nic_is_in_one_network() {
    let mut intent = intent();
    intent.set_networks(vec![network("b", Domain(100))]);
    intent.put1("files", one("web", nic("t0", &["10.0.0.1"])));
    let other = Nic {
        network: "b".parse().unwrap(),
        ..nic("t0", &["10.0.0.2"])
    };
    intent.put1("api", one("vm7", other));
    assert_eq!(intent.text(), ["10.0.0.1/32 address nic t0 announce"]);
    let problem = &intent.problem_text()[0];
    assert!(
        problem.contains("says network b, but web from source files said default first"),
        "{problem}"
    );
    assert!(
        problem.contains("10.0.0.2/32 is not used; make the two agree"),
        "{problem}"
    );
    intent.gone1("files", "web");
    assert_eq!(intent.text(), ["10.0.0.2/32 address nic t0 announce"]);
    assert_eq!(intent.effective_all().next().unwrap().domain, Domain(100));
}

#[test]
fn migration_is_a_state_not_a_conflict() {
    let with = |name: &str, state| Nic {
        state,
        ..nic(name, &["10.0.0.1"])
    };
    let (arriving, leaving) = (NicState::Arriving, NicState::Leaving);
    let mut intent = intent();
    intent.put1("files", one("new", with("t1", arriving)));
    assert_eq!(
        intent.text(),
        ["10.0.0.1/32 address nic t1"],
        "wired, not announced"
    );
    // Whoever runs goes first, however late it comes; leaving keeps its rights.
    intent.put1("files", one("old", with("t0", leaving)));
    assert_eq!(intent.text(), ["10.0.0.1/32 address nic t0 announce"]);
    assert_eq!(intent.conflicts(), []);
    let standing = intent.covering(&p("10.0.0.1")).claims[0].standing.clone();
    assert!(
        matches!(standing, Standing::Arriving { behind } if behind.owner.to_string() == "nic t0")
    );
    intent.put1("files", one("third", with("t2", NicState::Running)));
    assert_eq!(
        intent.conflict_text(),
        ["nic t0 10.0.0.1/32 | nic t2 10.0.0.1/32"]
    );
    intent.gone1("files", "third");
    intent.gone1("files", "old");
    assert_eq!(intent.text(), ["10.0.0.1/32 address nic t1"]);
    intent.changes();
    intent.put1("files", one("new", with("t1", NicState::Running)));
    assert_eq!(intent.text(), ["10.0.0.1/32 address nic t1 announce"]);
    assert_eq!(intent.changes(), [tap("t1"), prefix("10.0.0.1/32")]);
    // Of what two sources say, leaving goes before running, and running before arriving.
    for (says, state) in [(arriving, NicState::Running), (leaving, leaving)] {
        intent.put1("api", one("new", with("t1", says)));
        assert_eq!(intent.nics().next().unwrap().state, state);
    }
}

#[test]
fn what_cannot_be_used_is_told_and_the_rest_is_used() {
    let mut intent = intent();
    let mut public = network("public", Domain::MAIN);
    public.allow = ps(&["10.0.0.0/24", "2001:db8::/32"]);
    public.gateway = vec![p("10.0.0.254").addr()];
    intent.set_networks(vec![public]);
    let in_public = |name: &str, addresses: &[&str]| Nic {
        network: "public".parse().unwrap(),
        ..nic(name, addresses)
    };
    let rows = [
        (
            one("i", in_public("t0", &["10.0.0.1", "10.0.1.1", "10.0.1.2"])),
            "instance i from source files, nic t0: 10.0.1.1/32, 10.0.1.2/32 is outside what network public allows \
             (10.0.0.0/24, 2001:db8::/32) and is not used; extend allow in [network.public] or remove the claim",
        ),
        (
            one("i", in_public("t0", &["10.0.0.254", "10.0.0.1"])),
            "instance i from source files, nic t0: 10.0.0.254 is the gateway address of network public and is not \
             used; give the NIC another address",
        ),
        (
            instance(
                "i",
                vec![
                    in_public("t0", &["10.0.0.1"]),
                    Nic {
                        network: "blu".parse().unwrap(),
                        ..nic("t1", &["10.9.0.1"])
                    },
                ],
                Vec::new(),
            ),
            "instance i from source files, nic t1: network blu is not configured, so 10.9.0.1/32 is not used; add \
             [network.blu] to the configuration or correct the instance's network",
        ),
        (
            instance(
                "i",
                vec![in_public("t0", &["10.0.0.1"])],
                vec![own("host", "default", "224.0.0.0/4", ClaimKind::Route)],
            ),
            "instance i from source files: 224.0.0.0/4 is not a unicast prefix that an instance can own and is not \
             used; remove the claim",
        ),
        (
            one(
                "i",
                Nic {
                    routes: ps(&["0.0.0.0/0"]),
                    ..nic("t0", &["10.0.0.1"])
                },
            ),
            "instance i from source files, nic t0: 0.0.0.0/0 is not a unicast prefix that an instance can own and is \
             not used; remove the claim",
        ),
        (
            instance(
                "i",
                vec![nic("t0", &["10.0.0.1"]), nic("t0", &["10.0.0.2"])],
                Vec::new(),
            ),
            "instance i from source files, nic t0: the interface is named twice in the instance, so 10.0.0.2/32 of \
             the second is not used; join the two NICs",
        ),
    ];
    for (instance, problem) in rows {
        intent.put1("files", instance);
        assert_eq!(intent.problem_text(), [problem]);
        assert_eq!(
            intent.text(),
            ["10.0.0.1/32 address nic t0 announce"],
            "{problem}"
        );
        assert!(intent.changes().contains(&Change::Report));
    }
}

#[test]
fn a_change_of_networks_reaches_what_is_in_them_and_loses_nothing() {
    let mut intent = intent();
    intent.put1(
        "files",
        one(
            "a",
            Nic {
                network: "a".parse().unwrap(),
                ..nic("t0", &["10.0.0.1"])
            },
        ),
    );
    intent.put1("files", one("b", nic("t1", &["10.0.0.2"])));
    assert_eq!((intent.text().len(), intent.problems().count()), (1, 1));
    assert_eq!(
        intent.nic(&"t0".parse::<IfName>().unwrap()).unwrap().domain,
        None
    );
    intent.changes();
    intent.set_networks(vec![network("a", Domain::MAIN)]);
    assert_eq!((intent.text().len(), intent.problems().count()), (2, 0));
    let all = [
        Change::Networks,
        tap("t0"),
        prefix("10.0.0.1/32"),
        Change::Report,
    ];
    assert_eq!(intent.changes(), all);
    intent.set_networks(vec![network("a", Domain::MAIN)]);
    assert_eq!(intent.changes(), []);
    // Peers of a network are no part of a claim, yet its claims must be looked at again.
    intent.set_networks(vec![tapway_model::Network {
        peers: Some(Vec::new()),
        ..network("a", Domain::MAIN)
    }]);
    assert_eq!(intent.changes(), all[..3]);
    intent.set_networks(Vec::new());
    assert_eq!((intent.text().len(), intent.problems().count()), (1, 1));
    assert_eq!(intent.networks().count(), 1);
}

#[test]
fn the_way_follows_the_first_address_that_counts() {
    let mut intent = intent();
    intent.put1("files", one("i0", nic("t0", &["10.0.0.1"])));
    let behind = Nic {
        routes: ps(&["10.1.0.0/24"]),
        ..nic("t1", &["10.0.0.1", "10.0.0.2"])
    };
    intent.put1("files", one("i1", behind));
    let via = |intent: &Intent| {
        intent
            .effective(Domain::MAIN, &p("10.1.0.0/24"))
            .unwrap()
            .holders[0]
            .via
            .unwrap()
            .to_string()
    };
    assert_eq!(via(&intent), "10.0.0.2", "an address of another is no way");
    intent.changes();
    intent.gone1("files", "i0");
    assert_eq!(via(&intent), "10.0.0.1");
    assert!(intent.changes().contains(&prefix("10.1.0.0/24")));
}

#[test]
fn explains_all_that_covers_an_address() {
    let mut intent = intent();
    let mut a = network("a", Domain(100));
    a.allow = ps(&["192.0.2.0/24"]);
    intent.set_networks(vec![a]);
    let subnet = own("network", "default", "10.0.0.0/24", ClaimKind::Address);
    intent.put1("api", instance("net", Vec::new(), vec![subnet]));
    intent.put1("files", one("i0", nic("t0", &["10.0.0.1"])));
    intent.put1("files", one("i1", nic("t1", &["10.0.0.1"])));
    intent.put1(
        "files",
        one(
            "i2",
            Nic {
                network: "a".parse().unwrap(),
                ..nic("t2", &["10.0.0.1"])
            },
        ),
    );
    let coverage = intent.covering(&p("10.0.0.1"));
    let lines: Vec<_> = coverage
        .claims
        .iter()
        .map(|c| (c.claim.to_string(), c.standing.clone()))
        .collect();
    let text = |i: usize| lines[i].0.as_str();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        text(0),
        "address 10.0.0.1/32 of nic t0 in network default (i0 from files)"
    );
    assert_eq!(
        text(2),
        "address 10.0.0.0/24 of network default in network default (net from api)"
    );
    assert_eq!(
        (&lines[0].1, &lines[2].1),
        (&Standing::Effective, &Standing::Effective)
    );
    assert_eq!(
        lines[1].1,
        Standing::Refused {
            by: coverage.claims[0].claim.clone()
        }
    );
    assert_eq!(coverage.unused.len(), 1);
    assert!(
        coverage.unused[0]
            .to_string()
            .contains("outside what network a allows")
    );
    assert_eq!(intent.covering(&p("10.0.0.2")).claims.len(), 1);
}
