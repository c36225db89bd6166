use super::*;
use alloc::vec;

fn web1() -> InstanceSpec {
    InstanceSpec {
        name: "web1".into(),
        nic: vec![NicSpec {
            interface: "tap0".into(),
            mac: Some("52:54:00:12:34:56".into()),
            addresses: vec!["203.0.113.1".into(), "2001:db8:cb00:7100::/64".into()],
            routes: vec!["198.51.100.64/28".into()],
            ..NicSpec::default()
        }],
        claim: vec![ClaimSpec {
            owner: "host".into(),
            prefix: "192.0.2.53".into(),
            kind: Some("anycast".into()),
            ..ClaimSpec::default()
        }],
    }
}

#[test]
fn a_good_spec_parses() {
    let instance = web1().parse().unwrap();
    assert_eq!(instance.nics[0].network.as_str(), "default");
    assert_eq!(instance.nics[0].addresses[0].to_string(), "203.0.113.1/32");
    assert_eq!(instance.claims[0].kind, ClaimKind::Anycast);
}

#[test]
fn every_wrong_value_names_its_key_and_the_remedy() {
    type Row = (fn(&mut InstanceSpec), &'static str, &'static str);
    let rows: &[Row] = &[
        (|s| s.name.clear(), "name", "empty"),
        (
            |s| s.nic[0].interface = "a/b".into(),
            "nic[0].interface",
            "forbids",
        ),
        (
            |s| s.nic[0].mac = Some("01:00:5e:00:00:01".into()),
            "nic[0].mac",
            "multicast",
        ),
        (
            |s| s.nic[0].addresses[1] = "2001:db8::1/64".into(),
            "nic[0].addresses[1]",
            "write 2001:db8::/64",
        ),
        (
            |s| s.nic[0].addresses[1] = "203.0.113.1/32".into(),
            "nic[0].addresses[1]",
            "already",
        ),
        (
            |s| s.nic[0].routes[0] = "0.0.0.0/0".into(),
            "nic[0].routes[0]",
            "default route",
        ),
        (
            |s| s.nic[0].anycast = vec!["fe80::5".into()],
            "nic[0].anycast[0]",
            "link-local",
        ),
        (
            |s| s.nic[0].anycast = vec!["127.0.0.1".into()],
            "nic[0].anycast[0]",
            "loopback",
        ),
        (
            |s| s.nic[0].state = Some("paused".into()),
            "nic[0].state",
            "write \"running\"",
        ),
        (
            |s| s.nic[0].tags = vec!["a b".into()],
            "nic[0].tags[0]",
            "letters",
        ),
        (
            |s| s.nic[0].transparent = vec![TransparentSpec::Address("203.0.113.0/24".into())],
            "nic[0].transparent[0]",
            "not one address",
        ),
        (
            |s| {
                s.nic[0].transparent = vec![TransparentSpec::To {
                    address: "203.0.113.9".into(),
                    to: "2001:db8::1".into(),
                }]
            },
            "nic[0].transparent[0].to",
            "not of the family",
        ),
        (
            |s| s.nic.push(s.nic[0].clone()),
            "nic[1].interface",
            "nic[0] already",
        ),
        (
            |s| s.claim[0].prefix = "0.0.0.0/0".into(),
            "claim[0].prefix",
            "default route",
        ),
        (
            |s| s.claim[0].owner = "me".into(),
            "claim[0].owner",
            "\"host\" or \"network\"",
        ),
        (
            |s| s.claim[0].kind = Some("guest-bgp".into()),
            "claim[0].kind",
            "no kind",
        ),
        (
            |s| s.claim[0].next_hop = Some("x".into()),
            "claim[0].next_hop",
            "not an IP address",
        ),
    ];
    for (spoil, key, part) in rows {
        let mut spec = web1();
        spoil(&mut spec);
        let error = spec.parse().unwrap_err();
        assert_eq!(&error.key, key, "{error}");
        assert!(error.reason.contains(part), "{error}");
    }
}

#[test]
fn a_host_may_offer_the_default_route() {
    let mut spec = web1();
    spec.claim[0].prefix = "::/0".into();
    spec.claim[0].kind = Some("route".into());
    assert_eq!(spec.parse().unwrap().claims[0].prefix, Prefix::DEFAULT_V6);
}

#[test]
fn what_is_written_back_reads_as_the_same() {
    let spec = InstanceSpec {
        name: "web1".into(),
        nic: vec![
            NicSpec {
                interface: "tap0".into(),
                mac: Some("52:54:00:12:34:56".into()),
                network: Some("public".into()),
                addresses: vec!["203.0.113.1".into(), "2001:db8:cb00:7100::/64".into()],
                routes: vec!["198.51.100.64/28".into()],
                anycast: vec!["203.0.113.10".into()],
                transparent: vec![
                    TransparentSpec::Address("203.0.113.11".into()),
                    TransparentSpec::To {
                        address: "203.0.113.12".into(),
                        to: "203.0.113.1".into(),
                    },
                ],
                guest_bgp: Some(GuestBgpSpec {
                    asn: Some(64605),
                    prefixes: vec!["10.3.0.1".into()],
                }),
                tags: vec!["dns".into()],
                state: Some("arriving".into()),
            },
            NicSpec {
                interface: "tap1".into(),
                state: Some("leaving".into()),
                ..NicSpec::default()
            },
        ],
        claim: vec![
            ClaimSpec {
                owner: "network".into(),
                prefix: "198.51.100.0/24".into(),
                kind: Some("route".into()),
                network: Some("public".into()),
                next_hop: Some("192.0.2.1".into()),
            },
            ClaimSpec {
                owner: "host".into(),
                prefix: "192.0.2.53".into(),
                ..ClaimSpec::default()
            },
        ],
    };
    let instance = spec.parse().unwrap();
    let written = InstanceSpec::from(&instance);
    assert_eq!(written, spec);
    assert_eq!(written.parse().unwrap(), instance);
}
