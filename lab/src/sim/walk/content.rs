//! What a walk is about: a few networks, interfaces, prefixes and instances, so that they meet often.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use tapway_bgp::config::{Match, Policy, Rule, Set, Verdict};
use tapway_model::spec::{ClaimSpec, GuestBgpSpec, InstanceSpec, NicSpec};
use tapway_model::{Domain, Instance, Network, NetworkName, PolicyName, Prefix};

use crate::sim::{Dice, Other, prefix};

/// The router's name on the hypervisor.
pub(super) const ROUTER: &str = "tor";
/// A second router: the hypervisor calls it, and sends it what a policy says.
pub(super) const ANOTHER: &str = "another";
/// A third one: it calls the hypervisor, which knows it by its range.
const RACK: &str = "rack";
/// What the second router may be sent by: everything it may see, or all but one network and marked.
pub(super) const EXPORTS: [&str; 2] = ["claims", "but-blue"];
/// The mark.
pub(super) const MED: u32 = 7;
/// Interfaces of guests.
pub(super) const INTERFACES: [&str; 7] = ["tap0", "tap1", "tap2", "tap3", "tap4", "tap5", "br0"];

const NETWORKS: [&str; 10] = [
    "default", "default", "default", "default", "fenced", "bridged", "blue", "blue", "hidden",
    "nowhere",
];
const HOSTS: [&str; 11] = [
    "203.0.113.1",
    "203.0.113.2",
    "203.0.113.3",
    "203.0.113.4",
    "203.0.113.5",
    "203.0.113.9",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8::3",
    "2001:db8:1::1",
    "10.0.0.1",
];
const NETS: [&str; 8] = [
    "203.0.113.0/30",
    "203.0.113.4/31",
    "192.0.2.0/28",
    "192.0.2.16/28",
    "2001:db8::/64",
    "2001:db8:1::/64",
    "2001:db8:2::/64",
    "2001:db8:a::/48",
];
const SHARED: [&str; 4] = [
    "203.0.113.9/32",
    "10.9.9.9/32",
    "2001:db8::9/128",
    "2001:db8::3/128",
];
const OWN: [&str; 5] = [
    "192.0.2.100/32",
    "192.0.2.101/32",
    "2001:db8:5::/48",
    "203.0.113.8/29",
    "2001:db8:1::/48",
];

/// Service addresses of the host, which need no route of ours.
pub(super) fn unrouted() -> BTreeSet<Prefix> {
    OWN.into_iter()
        .map(prefix)
        .filter(Prefix::is_host)
        .collect()
}

/// The networks of a walk.
pub(super) fn networks(dice: &mut Dice) -> Vec<Network> {
    let named = |name: &str| Network::with_defaults(NetworkName::new(name).expect("a plain name"));
    let gateway = |text: &str| text.parse::<IpAddr>().expect("an address");
    let mut fenced = named("fenced");
    fenced.allow = ["203.0.113.0/29", "2001:db8::/47"].map(prefix).to_vec();
    let peers = [ROUTER, RACK].map(|name| name.parse().expect("a plain name"));
    fenced.peers = Some(peers.to_vec());
    let mut blue = named("blue");
    blue.domain = Domain(90);
    blue.gateway = vec![gateway("10.0.0.1"), gateway("fe80::1")];
    let mut hidden = named("hidden");
    hidden.peers = Some(vec![ANOTHER.parse().expect("a plain name")]);
    if dice.once_in(2) {
        hidden.domain = Domain(91);
    }
    let mut bridged = named("bridged");
    bridged.bridge = Some("br0".parse().expect("a plain name"));
    bridged.gateway = vec![gateway("203.0.113.14"), gateway("2001:db8:1::fe")];
    vec![fenced, blue, hidden, bridged]
}

/// The routers beside the first one.
pub(super) fn others() -> Vec<Other> {
    let other = |name: &str, last, asn, range: Option<&str>| Other {
        name: name.parse().expect("a plain name"),
        addr: Ipv4Addr::new(198, 51, 100, last),
        asn,
        export: export(EXPORTS[0]),
        range: range.map(prefix),
    };
    vec![
        other(ANOTHER, 2, 65_002, None),
        other(RACK, 130, 65_003, Some("198.51.100.128/25")),
    ]
}

/// The name of a policy.
pub(super) fn export(name: &str) -> PolicyName {
    PolicyName::new(name).expect("a plain name")
}

/// The policies of the hypervisor.
pub(super) fn policies() -> Vec<Policy> {
    let blue = Match {
        networks: vec![NetworkName::new("blue").expect("a plain name")],
        ..Match::default()
    };
    let mark = Set {
        med: Some(MED),
        ..Set::default()
    };
    let rule = |matches, set, action| Rule {
        matches,
        set,
        call: None,
        action,
    };
    vec![Policy {
        name: export(EXPORTS[1]),
        rules: vec![
            rule(blue, Set::default(), Verdict::Reject),
            rule(Match::default(), mark, Verdict::Accept),
        ],
    }]
}

/// Whether such a policy passes what is announced in a network, and with which MED.
pub(super) fn passes(policy: &PolicyName, network: &NetworkName) -> Option<Option<u32>> {
    match policy.as_str() {
        "claims" => Some(None),
        _ => (network.as_str() != "blue").then_some(Some(MED)),
    }
}

/// The name of an instance.
pub(super) fn name(dice: &mut Dice) -> String {
    format!("vm{}", dice.roll(6))
}

/// Some instance of this name.
pub(super) fn instance(dice: &mut Dice, name: &str) -> Instance {
    let nics = [1, 1, 1, 1, 2, 2, 3, 0][dice.roll(8) as usize];
    let claims = usize::from(dice.once_in(5));
    let spec = InstanceSpec {
        name: name.to_owned(),
        nic: (0..nics).map(|_| nic(dice)).collect(),
        claim: (0..claims).map(|_| own(dice)).collect(),
    };
    // Two NICs of one instance on one interface are refused; then it has one.
    let mut fewer = spec.clone();
    fewer.nic.truncate(1);
    spec.parse()
        .or_else(|_| fewer.parse())
        .expect("a good instance")
}

fn pick(dice: &mut Dice, of: &[&str]) -> String {
    dice.pick(of).unwrap_or_default().to_owned()
}

fn own(dice: &mut Dice) -> ClaimSpec {
    ClaimSpec {
        owner: pick(dice, &["host", "network"]),
        prefix: pick(dice, &OWN),
        kind: Some(pick(dice, &["address", "route", "anycast"])),
        network: Some(pick(dice, &NETWORKS)),
        next_hop: None,
    }
}

fn nic(dice: &mut Dice) -> NicSpec {
    let interface = pick(dice, &INTERFACES);
    // What is on the bridge itself is in the bridge's domain: one address on one interface has one MAC.
    let networks = match interface.as_str() {
        "br0" => &NETWORKS[..6],
        _ => &NETWORKS,
    };
    let mut nic = NicSpec {
        network: Some(pick(dice, networks)).filter(|n| n != "default"),
        interface,
        ..NicSpec::default()
    };
    if !dice.once_in(4) {
        nic.mac = Some(format!("52:54:00:00:00:0{}", dice.roll(3)));
    }
    for _ in 0..1 + dice.roll(3) {
        nic.addresses.push(match dice.once_in(5) {
            true => pick(dice, &NETS),
            false => pick(dice, &HOSTS),
        });
    }
    if dice.once_in(4) {
        nic.routes.push(pick(dice, &NETS));
    }
    if dice.once_in(3) {
        nic.anycast.push(pick(dice, &SHARED));
    }
    if dice.once_in(12) {
        nic.guest_bgp = Some(GuestBgpSpec {
            asn: None,
            prefixes: vec![pick(dice, &SHARED)],
        });
    }
    match dice.roll(12) {
        0 => nic.state = Some("arriving".to_owned()),
        1 => nic.state = Some("leaving".to_owned()),
        _ => {}
    }
    nic.addresses.sort();
    nic.addresses.dedup();
    nic
}
