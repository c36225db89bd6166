mod between_ases;
mod bmp;
mod decision;
mod mrt;
mod policy;
mod rpki;

use super::*;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use tapway_bgp::Community;
use tapway_bgp::config::{Install, NextHopTo, PeerAddress, PeerAsn, PrefixLimit, Reach, SendPaths};
use tapway_model::{Domain, Family};

const SMALLEST: &str = "[router]\nasn = 64612\n";

fn config(text: &str) -> Config {
    match check("t.toml", text, &Known::default()) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// The problems of `text` as they are shown.
fn problems(text: &str) -> Vec<String> {
    match check("t.toml", text, &Known::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

/// The smallest configuration with a peer that has these keys as well. They begin in line 6.
fn peer(keys: &str) -> String {
    format!("{SMALLEST}[peer.tor1]\naddress = \"198.51.100.1\"\nasn = 65000\n{keys}\n")
}

fn tor1(keys: &str) -> PeerConfig {
    config(&peer(keys)).peers["tor1"].clone()
}

#[test]
fn the_smallest_configuration_has_safe_defaults() {
    let config = config(&peer(""));
    assert_eq!(config.router.listen, Listen::Auto);
    assert_eq!(config.router.protocol, 112);
    assert_eq!(config.router.graceful_restart.unwrap().time.as_secs(), 120);
    assert!(config.router.withdraw_without_carrier);
    assert!(!config.router.next_hop_via_default);
    assert_eq!(config.state_dir, Path::new("/var/lib/tapway"));
    assert_eq!(config.api.socket, Path::new("/run/tapway/tapway.sock"));
    assert_eq!(config.api_grace, Duration::ZERO);
    assert!(config.source_files.is_none() && config.api.http.is_none());
    let peer = &config.peers["tor1"];
    assert_eq!(peer.asn, PeerAsn::Number(65000));
    assert_eq!((peer.port, peer.reach), (179, Reach::Direct));
    assert_eq!(peer.families, Family::ALL);
    assert_eq!(
        (
            peer.hold_time.as_secs(),
            peer.keepalive,
            peer.connect_retry.as_secs()
        ),
        (90, None, 5)
    );
    assert_eq!(
        (peer.import.as_str(), peer.export.as_str()),
        ("default-route", "claims")
    );
    assert_eq!(
        peer.install,
        Some(Install {
            table: 254,
            metric: None,
            prefsrc: None
        })
    );
    assert_eq!(peer.prefix_limit, PrefixLimit::new(100_000));
    assert_eq!(peer.graceful_restart, config.router.graceful_restart);
}

/// Every key of the contract that this version has, in one file.
const EVERYTHING: &str = r#"
[router]
asn = 64612
router_id = "192.0.2.11"
cluster_id = "192.0.2.12"
listen = ["198.51.100.2", "[2001:db8::2]:1179"]
graceful_restart = { time = "60s", notification = true, long_lived = "24h" }
protocol = 113
withdraw_without_carrier = false
next_hop_via_default = true
maximum_paths = { external = 16, internal = 4 }
decision = { always_compare_med = true, missing_med_as_worst = true, ignore_as_path = true, ignore_igp_metric = true, multipath_relax = false }
state_dir = "/srv/tapway"

[peer.tor1]
address = "fe80::1%eth0"
asn = "external"
port = 1179
local_address = "fe80::2"
families = ["ipv6-unicast", "ipv4-unicast"]
password = "secret"
hold_time = "9s"
keepalive = "3s"
connect_retry = "300ms"
passive = true
ttl_security = true
bfd = false
tcp_ao = false
client = false
add_paths = { receive = true, send = { max = 8 } }
next_hop = { ipv4 = "192.0.2.1", ipv6 = "2001:db8::1" }
import = "all"
export = "claims"
install = { table = 90, metric = 20, prefsrc = "192.0.2.11" }
prefix_limit = { max = 10, warning = 90, restart = "10m" }
graceful_restart = false
disabled = true

[peer.rr]
address = "192.0.2.99"
asn = "internal"
client = true
multihop = 4
next_hop = "self"
add_paths = "receive"
install = true

[peer.leaf]
interface = "eth1"
asn = 65001
next_hop = { ipv4 = "unchanged", ipv6 = "2001:db8::9" }
add_paths = "both"

[peer.exchange]
address = "192.0.2.98"
asn = 65002
next_hop = "unchanged"
role = "route-server-client"
role_strict = true
local_asn = { asn = 64999, replace = true, prepend = false }
allow_own_as = 2
enforce_first_as = true
as_override = true
remove_private_as = "if-all"
add_paths = { send = true }

[network.public]
gateway = ["169.254.0.1", "fe80::1"]
allow = ["203.0.113.0/24"]
bridge = "cloudbr0"
peers = ["tor1"]
table = 90
next_hop = { ipv4 = "192.0.2.1" }
source_guard = false
proxy_arp = false

[network.default]
gateway = []
table = "main"

[policy.only-anycast]
rules = [
  { match = { prefixes = ["203.0.113.0/24 ge 32", "2001:db8::/32 le 64", "::/0"], kind = "anycast", family = "ipv4-unicast" }, set = { communities = ["64612:90", "no-export"], med = 10 }, action = "accept" },
  { match = { instance = "web1", tag = ["a", "b"], network = "public", communities = "1:2" }, set = { add_communities = "graceful-shutdown", local_pref = 50, prepend = 2 }, action = "next" },
  { match = { peer = ["tor1", "rr"], next_hop = ["192.0.2.0/24", "2001:db8::1"], communities = ["64612:* no-export", "*:7"], large_communities = "64612:*:1", extended_communities = ["rt:64612:*", "0x0600000000000001"] }, call = "edge" },
  { match = { from = "peer", received_from = "rr", as_path = { first = 65000, origin = [64512, 64513], contains = 4200000000, length = "ge 2 le 5", regex = ["^65000_", "_64512$"] } }, set = { remove_communities = ["64612:*", "blackhole"], large_communities = "1:2:3", remove_large_communities = "*:1:*", add_large_communities = ["4:5:6"], extended_communities = [], remove_extended_communities = "soo:192.0.2.1:*", add_extended_communities = "rt:1:2", origin = "incomplete", prepend = { count = 3, asn = "last" }, next_hop = { ipv4 = "192.0.2.1" }, install = { table = 100, metric = 50, prefsrc = "2001:db8::1" } }, action = "accept" },
  { action = "reject" },
]

[policy.edge]
rules = [
  { match = { as_path = { length = 3 } }, set = { prepend = { asn = 65010 }, next_hop = "self", install = false }, action = "next" },
  { match = { as_path = { length = "le 3" } }, set = { next_hop = "unchanged", install = true }, call = "claims", action = "reject" },
]

[source.files]
path = "/etc/tapway/instances.d"
grace = "1m"
[source.api]
grace = "0s"

[api]
socket = "/run/x.sock"
http = "127.0.0.1:9179"
"#;

#[test]
fn every_key_arrives() {
    let config = config(EVERYTHING);
    assert_eq!(
        config.router.listen,
        Listen::On(vec![
            "198.51.100.2:179".parse().unwrap(),
            "[2001:db8::2]:1179".parse().unwrap()
        ])
    );
    let tor1 = &config.peers["tor1"];
    let PeerAddress::Ip { addr, interface } = &tor1.address else {
        panic!()
    };
    assert_eq!(
        (addr.to_string(), interface.as_ref().unwrap().as_str()),
        ("fe80::1".into(), "eth0")
    );
    assert_eq!(tor1.reach, Reach::TtlSecurity);
    assert_eq!(tor1.families, Family::ALL);
    assert_eq!(tor1.password.as_ref().unwrap().expose(), "secret");
    assert_eq!(tor1.connect_retry, Duration::from_millis(300));
    assert!(tor1.add_paths.receive && tor1.disabled && tor1.passive);
    assert_eq!(tor1.graceful_restart, None);
    let graceful = config.router.graceful_restart.unwrap();
    assert_eq!(graceful.long_lived.unwrap().as_secs(), 86_400);
    assert_eq!(
        tor1.install.as_ref().unwrap().prefsrc,
        Some(IpAddr::from([192, 0, 2, 11]))
    );
    assert_eq!(config.peers["rr"].reach, Reach::Multihop(4));
    let paths = |peer: &str| config.peers[peer].add_paths;
    let best8 = Some(SendPaths::Best(8));
    assert_eq!((paths("tor1").receive, paths("tor1").send), (true, best8));
    assert_eq!((paths("rr").receive, paths("rr").send), (true, None));
    let all = Some(SendPaths::All);
    assert_eq!((paths("leaf").receive, paths("leaf").send), (true, all));
    assert_eq!(paths("exchange").send, all);
    assert!(!paths("exchange").receive);
    let limit = PrefixLimit {
        max: 10,
        warning: 90,
        restart: Some(Duration::from_secs(600)),
    };
    assert_eq!(config.peers["tor1"].prefix_limit, limit);
    let hops = |peer: &str| config.peers[peer].next_hop;
    let (own, unchanged) = (NextHopTo::Own, NextHopTo::Unchanged);
    assert_eq!((hops("rr").ipv4, hops("rr").ipv6), (own, NextHopTo::Own));
    let leaf = NextHopTo::Address("2001:db8::9".parse().unwrap());
    assert_eq!((hops("leaf").ipv4, hops("leaf").ipv6), (unchanged, leaf));
    assert_eq!(hops("exchange").ipv6, NextHopTo::Unchanged);
    let public = config
        .networks
        .iter()
        .find(|n| n.name.as_str() == "public")
        .unwrap();
    assert_eq!(
        (public.domain, public.peers.as_ref().unwrap().len()),
        (Domain(90), 1)
    );
    let name = |p: &&Policy| p.name.as_str() == "only-anycast";
    let rules = &config.policies.iter().find(name).unwrap().rules;
    let lengths: Vec<_> = rules[0]
        .matches
        .prefixes
        .written()
        .iter()
        .map(|p| (p.ge, p.le))
        .collect();
    assert_eq!(lengths, [(32, 32), (32, 64), (0, 0)]);
    assert_eq!(
        rules[0].set.communities.replace.as_deref(),
        Some(&[64612 << 16 | 90, 0xffff_ff01].map(Community)[..])
    );
    assert_eq!(config.api_grace, Duration::ZERO);
}

#[test]
fn what_is_shown_is_the_configuration_without_secrets() {
    let config = config(EVERYTHING);
    let shown = config.redacted();
    let text = shown.to_string();
    assert!(
        !text.contains("secret") && text.contains("\"password\":\"***\""),
        "{text}"
    );
    assert!(!format!("{config:?}").contains("secret"));
    // Shown, and read again, it is the same configuration, except for the password.
    let mut again: serde_json::Value = shown.clone();
    let password = again["peer"]["tor1"]
        .as_object_mut()
        .unwrap()
        .remove("password");
    assert_eq!(password, Some("***".into()));
    let again = super::tests::config(&toml::to_string(&again).unwrap());
    let mut expected = config;
    expected.peers.get_mut("tor1").unwrap().password = None;
    assert_eq!(again, expected);
    assert!(problems(&peer("password = \"***\""))[0].contains("how passwords are shown"));
}

#[test]
fn every_wrong_value_of_a_peer_is_refused_with_place_and_remedy() {
    for (keys, shown) in [
        (
            "adress = 5",
            "6:1: peer.tor1.adress: there is no key \"adress\" here; did you mean address?",
        ),
        (
            "interface = \"eth0\"",
            "6:13: peer.tor1.interface: a peer has an address or an interface, not both",
        ),
        ("port = 0", "6:8: peer.tor1.port: 0 is no TCP port"),
        ("port = 70000", "6:8: peer.tor1.port: 70000 is no TCP port"),
        (
            "port = \"179\"",
            "6:8: peer.tor1.port: string \"179\" is not allowed here; write a whole number",
        ),
        (
            "local_address = \"2001:db8::1\"",
            "6:17: peer.tor1.local_address: 2001:db8::1 is not of the family ipv4",
        ),
        (
            "local_address = \"198.51.100.1\"",
            "peer.tor1.local_address: 198.51.100.1 is the peer's own",
        ),
        (
            "local_address = \"0.0.0.0\"",
            "peer.tor1.local_address: 0.0.0.0 is the unspecified address",
        ),
        (
            "families = []",
            "6:12: peer.tor1.families: a session without a family",
        ),
        (
            "families = [\"ipv4-unicast\", \"evpn\"]",
            "6:29: peer.tor1.families[1]: \"evpn\" is no family",
        ),
        (
            "password = \"\"",
            "peer.tor1.password: a TCP MD5 password has 1 to 80 bytes, this one 0",
        ),
        (
            "password = \"x\"\npassword_file = \"/x\"",
            "7:17: peer.tor1.password_file: password and password_file exclude",
        ),
        (
            "password_file = \"x\"",
            "peer.tor1.password_file: \"x\" is not an absolute path",
        ),
        (
            "password_file = \"/nonexistent/key\"",
            "peer.tor1.password_file: /nonexistent/key: cannot be opened",
        ),
        (
            "hold_time = \"2s\"",
            "6:13: peer.tor1.hold_time: a hold time is \"0s\" (never) or from 3s",
        ),
        (
            "hold_time = 90",
            "6:13: peer.tor1.hold_time: integer `90` is not allowed here; write a text in quotes",
        ),
        (
            "hold_time = \"90\"",
            "peer.tor1.hold_time: \"90\" is not a duration; write one like \"90s\"",
        ),
        (
            "hold_time = \"3500ms\"",
            "peer.tor1.hold_time: 3500ms is not a whole number of seconds",
        ),
        (
            "hold_time = \"0s\"\nkeepalive = \"1s\"",
            "7:13: peer.tor1.keepalive: no keepalives are sent",
        ),
        (
            "keepalive = \"90s\"",
            "peer.tor1.keepalive: keepalives must come from every 1s to less than the hold time of 90s",
        ),
        (
            "connect_retry = \"1ms\"",
            "peer.tor1.connect_retry: must be from 100ms to 1h",
        ),
        (
            "ttl_security = true\nmultihop = 2",
            "7:12: peer.tor1.multihop: ttl_security and multihop exclude",
        ),
        (
            "multihop = 0",
            "peer.tor1.multihop: 0 hops are not possible",
        ),
        (
            "import = \"evrything\"",
            "6:10: peer.tor1.import: there is no policy evrything; define [policy.evrything] or write one of claims, default-route, all, none",
        ),
        (
            "export = \"\"",
            "peer.tor1.export: the policy name is empty",
        ),
        (
            "install = { table = 255 }",
            "6:21: peer.tor1.install.table: table 255 (local) belongs to the kernel",
        ),
        (
            "install = { table = 0 }",
            "peer.tor1.install.table: 0 is no table",
        ),
        (
            "install = { metric = 0 }",
            "peer.tor1.install.metric: 0 is no metric",
        ),
        (
            "install = { metric = 10 }",
            "6:22: peer.tor1.install.metric: 10 is the metric of claims' own routes; write another",
        ),
        (
            "install = { metric = 4294967295 }",
            "6:22: peer.tor1.install.metric: 4294967295 is the metric of claims' own routes; write another",
        ),
        (
            "install = { tabel = 5 }",
            "6:13: peer.tor1.install.tabel: there is no key \"tabel\" here; did you mean table?",
        ),
        (
            "install = 5",
            "6:11: peer.tor1.install: integer `5` is not allowed here; write true, false or a table",
        ),
        (
            "prefix_limit = 0",
            "6:16: peer.tor1.prefix_limit: 0 is no limit; write 1 to 4294967295",
        ),
        (
            "prefix_limit = { max = 4294967296 }",
            "6:24: peer.tor1.prefix_limit.max: 4294967296 is no limit; write 1 to 4294967295",
        ),
        (
            "prefix_limit = { warning = 0 }",
            "6:28: peer.tor1.prefix_limit.warning: 0 is no share of the limit in percent; write 1 to 100",
        ),
        (
            "prefix_limit = { warning = 101 }",
            "peer.tor1.prefix_limit.warning: 101 is no share",
        ),
        (
            "prefix_limit = { restart = \"25h\" }",
            "6:28: peer.tor1.prefix_limit.restart: must be from 1s to 24h; without the key it is tried again after 1s, and later each time",
        ),
        (
            "prefix_limit = { restart = \"10\" }",
            "peer.tor1.prefix_limit.restart: \"10\" is not a duration",
        ),
        (
            "prefix_limit = { retsart = \"10m\" }",
            "there is no key \"retsart\" here; did you mean restart?",
        ),
        (
            "graceful_restart = { time = \"5000s\" }",
            "6:29: peer.tor1.graceful_restart.time: must be from 1s to 4095s",
        ),
        (
            "graceful_restart = { long_lived = \"4661h\" }",
            "6:35: peer.tor1.graceful_restart.long_lived: must be from 1s to 16777215s",
        ),
        (
            "next_hop = { ipv6 = \"fe80::1\" }",
            "6:21: peer.tor1.next_hop.ipv6: fe80::1 is link-local",
        ),
        (
            "next_hop = { ipv4 = \"2001:db8::1\" }",
            "peer.tor1.next_hop.ipv4: 2001:db8::1 is not of the family",
        ),
        (
            "next_hop = \"us\"",
            "peer.tor1.next_hop: \"us\" is not known; write \"self\", \"unchanged\" or {",
        ),
        (
            "next_hop = { ipv4 = \"unchanged\", ipv6 = \"us\" }",
            "peer.tor1.next_hop.ipv6: \"us\" is not",
        ),
        // What this version does not have.
        (
            "bfd = true",
            "6:7: peer.tor1.bfd: this version of tapway has no BFD yet; remove the key",
        ),
        (
            "bfd = { interval = \"300ms\" }",
            "6:1: peer.tor1.bfd: this version",
        ),
        (
            "client = true",
            "6:10: peer.tor1.client: only peers of our own AS, 64612, can be clients, and this one is of AS 65000; remove the key, or write asn = \"internal\"",
        ),
        (
            "range = [\"10.0.0.0/24\"]",
            "4:11: peer.tor1.address: peers of a range connect from wherever they are",
        ),
        (
            "range_limit = 5",
            "6:15: peer.tor1.range_limit: only a peer with range has a limit",
        ),
        (
            "add_paths = \"bth\"",
            "6:13: peer.tor1.add_paths: \"bth\" is not known; write \"receive\", \"send\", \"both\" or {",
        ),
        (
            "add_paths = { send = { max = 0 } }",
            "peer.tor1.add_paths.send.max: 0 paths cannot be sent; write 1 to 256, or send = true for all",
        ),
        (
            "add_paths = { send = { max = 257 } }",
            "peer.tor1.add_paths.send.max: 257 paths",
        ),
    ] {
        let found = problems(&peer(keys));
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(
            found[0].contains(shown) && found[0].starts_with("t.toml:"),
            "{keys}: {}",
            found[0]
        );
    }
}

#[test]
fn a_client_is_of_our_as_and_all_it_sends_counts() {
    let client = |asn: &str, keys: &str| {
        format!(
            "{SMALLEST}[peer.hv]\naddress = \"198.51.100.1\"\nasn = {asn}\nclient = true\n{keys}\n"
        )
    };
    for asn in ["64612", "\"internal\""] {
        let hv = &config(&client(asn, "")).peers["hv"];
        assert_eq!((hv.import.as_str(), hv.export.as_str()), ("all", "claims"));
        assert!(hv.client && hv.install.is_none());
    }
    let hv = &config(&client("64612", "import = \"default-route\"")).peers["hv"];
    assert!(hv.import.as_str() == "default-route" && hv.install.is_some());
    let found = problems(&client("\"external\"", ""));
    let shown = "t.toml:6:10: peer.hv.client: only peers of our own AS can be clients, and this one is of another AS; remove the key, or write asn = \"internal\"";
    assert_eq!(found, [shown]);
}

#[test]
fn a_range_is_a_peer_without_an_address() {
    let tor1 = peer("");
    let range = |keys: &str| format!("{tor1}[peer.edge]\nasn = \"external\"\n{keys}\n");
    let config = config(&range(
        "range = [\"10.0.0.0/24\", \"2001:db8::/64\"]\nrange_limit = 7\npassword = \"x\"",
    ));
    let edge = &config.peers["edge"];
    let PeerAddress::Range(range_of) = &edge.address else {
        panic!("{edge:?}");
    };
    let prefixes: Vec<String> = range_of.prefixes.iter().map(ToString::to_string).collect();
    assert_eq!(prefixes, ["10.0.0.0/24", "2001:db8::/64"]);
    assert_eq!((range_of.limit, edge.passive), (7, true));
    for (keys, shown) in [
        (
            "range = []",
            "peer.edge.range: a range without a prefix lets nobody in",
        ),
        (
            "range = [\"10.0.0.1/24\"]",
            "peer.edge.range[0]: 10.0.0.1/24 has host bits set",
        ),
        (
            "range = [\"224.0.0.0/4\"]",
            "peer.edge.range[0]: 224.0.0.0/4 is multicast",
        ),
        (
            "range = [\"10.0.0.0/24\"]\nrange_limit = 0",
            "peer.edge.range_limit: 0 is no limit",
        ),
        (
            "range = [\"10.0.0.0/24\"]\npassive = false",
            "peer.edge.passive: peers of a range connect",
        ),
        (
            "range = [\"10.0.0.0/24\"]\nlocal_address = \"2001:db8::1\"",
            "peer.edge.local_address: 2001:db8::1 is not of the family of the range",
        ),
        (
            "range = [\"198.51.100.0/24\"]\npassword = \"x\"",
            "peer.tor1.address: 198.51.100.1 is in the range of peer edge",
        ),
    ] {
        let found = problems(&range(keys));
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(found[0].contains(shown), "{keys}: {}", found[0]);
    }
}

#[test]
fn ranges_do_not_share_a_prefix_nor_hide_who_has_no_password() {
    let two = |a: &str, b: &str| {
        let section = |name: &str, keys: &str| format!("[peer.{name}]\nasn = 65000\n{keys}\n");
        format!("{SMALLEST}{}{}", section("a", a), section("b", b))
    };
    let outer = "range = [\"192.0.2.0/24\", \"10.0.0.0/8\"]";
    let inner = "range = [\"10.1.0.0/16\"]";
    let link_local = "range = [\"fe80::/10\"]\npassword = \"x\"";
    let secret = |keys: &str, password: &str| format!("{keys}\npassword = \"{password}\"");
    for (a, b, shown) in [
        (
            secret(outer, "x"),
            secret("range = [\"10.0.0.0/8\"]", "y"),
            "t.toml:9:10: peer.b.range[0]: peer a has the range 10.0.0.0/8 already, and nobody would get in by this one; take it out of one of the two",
        ),
        (
            secret(outer, "x"),
            inner.to_owned(),
            "t.toml:9:10: peer.b.range[0]: 10.1.0.0/16 is in the range of peer a, whose password the kernel would want of it; give it one, or take it out of the range",
        ),
        (
            "interface = \"eth0\"".to_owned(),
            link_local.to_owned(),
            "t.toml:5:13: peer.a.interface: the link-local address on eth0 is in the range of peer b, whose password the kernel would want of it; give it one, or take it out of the range",
        ),
    ] {
        let found = problems(&two(&a, &b));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(shown), "{}", found[0]);
    }
    // With passwords of their own, or where only the smaller one has one, everybody can come.
    for (a, b) in [
        (secret(outer, "x"), secret(inner, "y")),
        (outer.to_owned(), secret(inner, "y")),
        (outer.to_owned(), inner.to_owned()),
        (secret("interface = \"eth0\"", "y"), link_local.to_owned()),
        (secret(outer, "x"), "address = \"198.51.100.1\"".to_owned()),
    ] {
        config(&two(&a, &b));
    }
}

#[test]
fn every_wrong_address_or_as_is_refused() {
    for (keys, shown) in [
        (
            "asn = 1",
            ":3:7: peer.a: it is not said where the peer is; add address",
        ),
        (
            "address = \"x\"\nasn = 1",
            "peer.a.address: \"x\" is not an IP address",
        ),
        (
            "address = \"224.0.0.1\"\nasn = 1",
            "peer.a.address: 224.0.0.1 is a multicast address",
        ),
        (
            "address = \"::\"\nasn = 1",
            "peer.a.address: :: is the unspecified address",
        ),
        (
            "address = \"::ffff:1.2.3.4\"\nasn = 1",
            "is an IPv4-mapped address",
        ),
        (
            "address = \"fe80::1\"\nasn = 1",
            "4:11: peer.a.address: fe80::1 is link-local and means a host only together with an interface; write fe80::1%eth0",
        ),
        (
            "address = \"192.0.2.1%eth0\"\nasn = 1",
            "192.0.2.1 is not link-local; write it without the interface",
        ),
        ("address = \"fe80::1%a/b\"\nasn = 1", "the kernel forbids"),
        (
            "address = \"fe80::1%eth0\"\nasn = 1\nmultihop = 2",
            "a link-local peer is one hop away",
        ),
        (
            "interface = \"eth0\"\nasn = 1\nlocal_address = \"2001:db8::1\"",
            "must both be link-local or neither",
        ),
        (
            "address = \"192.0.2.1\"",
            ":3:7: peer.a: the key \"asn\" is missing; add asn = 65000",
        ),
        (
            "address = \"192.0.2.1\"\nasn = 0",
            "peer.a.asn: 0 is no AS number",
        ),
        (
            "address = \"192.0.2.1\"\nasn = 23456",
            "peer.a.asn: 23456 stands for",
        ),
        (
            "address = \"192.0.2.1\"\nasn = 65535",
            "peer.a.asn: 65535 is reserved",
        ),
        (
            "address = \"192.0.2.1\"\nasn = 4294967296",
            "peer.a.asn: 4294967296 is no AS number",
        ),
        (
            "address = \"192.0.2.1\"\nasn = \"mine\"",
            "peer.a.asn: \"mine\" is no AS; write a number without quotes",
        ),
        (
            "address = \"192.0.2.1\"\nasn = true",
            "peer.a.asn: boolean `true` is not allowed here; write a whole number or a text",
        ),
    ] {
        let found = problems(&format!("{SMALLEST}[peer.a]\n{keys}\n"));
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(found[0].contains(shown), "{keys}: {}", found[0]);
    }
}

#[test]
fn every_wrong_value_elsewhere_is_refused() {
    for (text, shown) in [
        (
            "",
            ": the section [router] is missing; add [router] with asn",
        ),
        (
            "[router]\n",
            ":1:1: router: the key \"asn\" is missing; add asn",
        ),
        (
            "[router]\nasn = \"x\"",
            ":2:7: router.asn: string \"x\" is not allowed",
        ),
        (
            "router = 5",
            ":1:10: router: integer `5` is not allowed here; write a table",
        ),
        ("[router]\nasn = 0", ":2:7: router.asn: 0 is no AS number"),
        (
            "[router]\nasn = 1\nrouter_id = \"0.0.0.0\"",
            ":3:13: router.router_id: 0.0.0.0",
        ),
        (
            "[router]\nasn = 1\nrouter_id = \"::1\"",
            "router.router_id: \"::1\" is no router id",
        ),
        (
            "[router]\nasn = 1\nlisten = \"never\"",
            ":3:10: router.listen: string \"never\" is wrong; write \"auto\" or a list",
        ),
        (
            "[router]\nasn = 1\nlisten = [\"0.0.0.0:179\"]",
            ":3:11: router.listen[0]: 0.0.0.0:179 would let guests reach the speaker",
        ),
        (
            "[router]\nasn = 1\nlisten = [\"192.0.2.1:x\"]",
            "router.listen[0]: \"192.0.2.1:x\" is not an address with a port",
        ),
        (
            "[router]\nasn = 1\nprotocol = 12",
            ":3:12: router.protocol: 12 is used by BIRD",
        ),
        (
            "[router]\nasn = 1\nprotocol = 300",
            "router.protocol: 300 is no protocol number",
        ),
        (
            "[router]\nasn = 1\nstate_dir = \"x\"",
            "router.state_dir: \"x\" is not an absolute path",
        ),
        (
            "[router]\nasn = 1\ncluster_id = \"0.0.0.0\"",
            ":3:14: router.cluster_id: 0.0.0.0 is no cluster id",
        ),
        (
            "[router]\nasn = 1\ncluster_id = \"7\"",
            "router.cluster_id: \"7\" is no cluster id; write four numbers like \"192.0.2.11\"",
        ),
        (
            "[router]\nasn = 1\ngraceful_restart = { time = \"0s\" }",
            ":3:29: router.graceful_restart.time: must be",
        ),
        (
            "[router]\nasn = 1\n[ruoter]\n",
            ":3:2: ruoter: there is no key \"ruoter\" here; did you mean router?",
        ),
        (
            "[router]\nasn = 1\n[api]\nsocket = \"x\"",
            "api.socket: \"x\" is not an absolute path",
        ),
        (
            "[router]\nasn = 1\n[api]\nhttp = \"9179\"",
            "api.http: \"9179\" is not an address with a port",
        ),
        (
            "[router]\nasn = 1\n[source.files]\n",
            ":3:1: source.files: the key \"path\" is missing",
        ),
        (
            "[router]\nasn = 1\n[source.files]\npath = \"x\"",
            ":4:8: source.files.path: \"x\" is not an absolute path",
        ),
        (
            "[router]\nasn = 1\n[source.files]\npath = \"/x\"\ngrace = \"2h\"",
            "source.files.grace: must be at most 1h",
        ),
        (
            "[router]\nasn = 1\n[source.libvirt]\n",
            ":3:9: source.libvirt: this version of tapway has no source for libvirt yet",
        ),
        (
            "[router]\nasn = 1\n[source.flies]\n",
            ":3:9: source.flies: there is no key \"flies\" here; did you mean files?",
        ),
        (
            "[router]\nasn = 1\n[network.a]\ngateway = [\"192.0.2.1\", \"192.0.2.1\"]",
            ":4:25: network.a.gateway[1]: 192.0.2.1 is in the list already",
        ),
        (
            "[router]\nasn = 1\n[network.a]\ngateway = [\"127.0.0.1\"]",
            "network.a.gateway[0]: 127.0.0.1 is a loopback",
        ),
        (
            "[router]\nasn = 1\n[network.a]\nallow = [\"203.0.113.1/24\"]",
            ":4:10: network.a.allow[0]: 203.0.113.1/24 has host bits set; write 203.0.113.0/24",
        ),
        (
            "[router]\nasn = 1\n[network.a]\nbridge = \"averyveryverylongname\"",
            "network.a.bridge: the interface name",
        ),
        (
            "[router]\nasn = 1\n[network.a]\npeers = [\"tor1\"]",
            ":4:10: network.a.peers[0]: there is no peer tor1; define [peer.tor1]",
        ),
        (
            "[router]\nasn = 1\n[network.a]\ntable = \"local\"",
            "network.a.table: \"local\" is no table",
        ),
        (
            "[router]\nasn = 1\n[network.a]\nvni = 100",
            "network.a.vni: this version",
        ),
        (
            "[router]\nasn = 1\n[network.a.guest_bgp]\nasn = \"external\"",
            ":3:12: network.a.guest_bgp: this version of tapway has no BGP with guests yet",
        ),
        (
            "[router]\nasn = 1\n[network.a]\nsource_guard = true",
            "network.a.source_guard: this version",
        ),
        (
            "[router]\nasn = 1\n[network.\"a b\"]\n",
            "network.a b: the network name \"a b\" has the character ' '",
        ),
        (
            "[router]\nasn = 1\n[network.a]\nallow = [\"10.0.0.0/8\"]\n[network.b]\nallow = [\"192.0.2.0/24\", \"10.1.0.0/16\"]",
            ":6:26: network.b.allow[1]: 10.1.0.0/16 overlaps 10.0.0.0/8 of network a, and both are in table main",
        ),
        (
            "[router]\nasn = 1\n[policy.all]\nrules = []",
            ":3:9: policy.all: the policy all is built in",
        ),
        ("[router\nasn = 1", ":1:8: "),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(
            found[0].contains(shown) && found[0].starts_with("t.toml:"),
            "{text}: {}",
            found[0]
        );
    }
}

#[test]
fn one_problem_does_not_hide_the_others() {
    let found = problems(
        "[router]\nasn = 0\n[peer.a]\naddress = 5\n[peer.b]\naddress = \"192.0.2.1\"\nasn = 1\nimport = \"x\"\n\
         [peer.c]\naddress = \"192.0.2.1\"\nasn = 2\n[network.n]\npeers = [\"a\", \"z\"]\n[api]\nsokcet = \"/x\"\n[polcy.p]\n",
    );
    let places: Vec<&str> = found
        .iter()
        .map(|p| p.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "router.asn",
            "peer.a.address",
            "peer.b.import",
            "peer.c.address",
            "network.n.peers[1]",
            "api.sokcet",
            "polcy"
        ]
    );
}

#[test]
fn what_the_api_applied_may_be_named() {
    let known = Known {
        policies: [PolicyName::new("mine").unwrap()].into(),
        defined: Vec::new(),
        broken: Vec::new(),
        peers: [PeerName::new("rr").unwrap()].into(),
        applied: Vec::new(),
        any: false,
    };
    let text = peer("import = \"mine\"\n[network.n]\npeers = [\"rr\", \"tor1\"]");
    assert!(check("t", &text, &known).is_ok());
    assert_eq!(problems(&text).len(), 2);
    let any = Known {
        any: true,
        ..Known::default()
    };
    assert!(check("t", &text, &any).is_ok());
}

#[test]
fn password_files_are_read_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("tor1.key");
    std::fs::write(&key, "hidden words\n").unwrap();
    let set = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    let keys = format!("password_file = \"{}\"", key.display());
    set(0o644);
    let found = problems(&peer(&keys));
    assert!(
        found[0].contains(":6:17: peer.tor1.password_file: "),
        "{found:?}"
    );
    assert!(
        found[0].contains(&format!("chmod 600 {}", key.display())),
        "{found:?}"
    );
    set(0o600);
    let peer = tor1(&keys);
    assert_eq!(peer.password.as_ref().unwrap().expose(), "hidden words");
    assert!(!peer_value(&peer).to_string().contains("hidden"));
}

#[test]
fn install_follows_the_import_policy() {
    assert!(tor1("").install.is_some());
    assert!(tor1("import = \"all\"").install.is_none());
    assert!(tor1("import = \"all\"\ninstall = true").install.is_some());
    assert!(tor1("install = false").install.is_none());
}

#[test]
fn specs_read_from_json_as_well() {
    let spec: PeerSpec = serde_json::from_str(
        r#"{"address": "192.0.2.1", "asn": 65000, "install": {"table": "main"}, "bfd": false}"#,
    )
    .unwrap();
    let peer = spec
        .parse(PeerName::new("x").unwrap(), None, &secret_file)
        .unwrap();
    assert_eq!(peer.graceful_restart, None);
    let spec: PeerSpec = serde_json::from_str(r#"{"address": "192.0.2.1", "asn": -1}"#).unwrap();
    let error = spec
        .parse(PeerName::new("x").unwrap(), None, &secret_file)
        .unwrap_err();
    assert_eq!(error.key, "asn");
    // For the state log: written and read again, password and all; hidden in debug output.
    let spec: PeerSpec =
        serde_json::from_str(r#"{"interface": "eth0", "asn": "external", "password": "pw"}"#)
            .unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<PeerSpec>(&text).unwrap(), spec);
    assert!(!format!("{spec:?}").contains("pw"), "{spec:?}");
}

#[test]
fn a_file_too_large_or_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tapway.toml");
    let found = load(&path, &Known::default()).unwrap_err();
    assert!(found[0].reason.contains("cannot be opened"), "{found:?}");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(100_000_000)
        .unwrap();
    let found = load(&path, &Known::default()).unwrap_err();
    assert!(found[0].reason.contains("has 100000000 bytes"), "{found:?}");
    std::fs::write(&path, peer("")).unwrap();
    assert!(load(&path, &Known::default()).is_ok());
}
