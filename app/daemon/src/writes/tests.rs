//! What one turn writes: to whom, how much, and what goes out in spite of the bound.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tapway_bgp::config::{
    AddPaths, PeerAddress, PeerAsPath, PeerAsn, PeerConfig, PeerNextHop, PrefixLimit, Reach,
};
use tapway_bgp::{
    Announcement, AnnouncementId, ConnId, ConnInfo, Endpoint, LocalAddresses, Speaker, State,
};
use tapway_bgp_wire::{
    Capabilities, Capability, DecodeContext, Frame, Message, Open, encode_keepalive,
};
use tapway_model::{ClaimKind, Domain, Family, Instant, NetworkName, PeerName, PolicyName, Prefix};

use super::*;
use crate::sliced::tests::node;

/// More than two shares: each of these needs 17 bytes in an UPDATE.
const TABLE: u32 = 70_000;
/// A batch is smaller.
const BATCH: usize = 80 * 1024;
const HOLD: Duration = Duration::from_secs(90);

/// The peer with a large table to be told comes first in every round; the other two have little.
const LARGE: u8 = 1;
const OTHERS: [u8; 2] = [2, 3];

fn conn(peer: u8) -> ConnId {
    ConnId::Incoming(peer.into())
}

fn name(peer: u8) -> PeerName {
    PeerName::new(&format!("peer{peer}")).unwrap()
}

fn at(host: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(198, 51, 100, host), port).into()
}

fn config(peer: u8) -> PeerConfig {
    PeerConfig {
        name: name(peer),
        address: PeerAddress::Ip {
            addr: at(peer, 179).ip(),
            interface: None,
        },
        range: None,
        port: 179,
        local_address: None,
        asn: PeerAsn::External,
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: HOLD,
        keepalive: None,
        connect_retry: Duration::from_secs(5),
        passive: true,
        reach: Reach::Direct,
        add_paths: AddPaths::default(),
        next_hop: PeerNextHop::default(),
        client: false,
        role: None,
        as_path: PeerAsPath::default(),
        import: PolicyName::new("none").unwrap(),
        export: PolicyName::new("claims").unwrap(),
        install: None,
        prefix_limit: PrefixLimit::new(100),
        graceful_restart: None,
        disabled: false,
    }
}

/// A peer whose session is up.
fn come(speaker: &mut Speaker, now: Instant, peer: u8) {
    speaker.set_peer(now, config(peer));
    let endpoint = Endpoint {
        remote: at(peer, 179),
        local: None,
        ifindex: 7,
    };
    speaker.set_peer_endpoint(now, &name(peer), Some(endpoint));
    let info = ConnInfo {
        local: at(100, 179),
        remote: at(peer, 40_000),
        ifindex: 7,
    };
    speaker.handle_accepted(now, conn(peer), info);
    let ours = LocalAddresses {
        v4: Some(Ipv4Addr::new(198, 51, 100, 100)),
        v6_global: Some("2001:db8::100".parse().unwrap()),
        v6_link_local: None,
    };
    speaker.set_local_addresses(now, conn(peer), ours);
    let asn = 65_000 + u32::from(peer);
    let families = Family::ALL.map(|f| Capability::MultiProtocol(f.into()));
    let all = families.into_iter().chain([Capability::FourOctetAs(asn)]);
    let open = Open {
        asn,
        hold_time: 90,
        router_id: Ipv4Addr::new(192, 0, 2, peer),
        capabilities: Capabilities(all.collect()),
    };
    let mut bytes = Vec::new();
    open.encode(&mut bytes);
    encode_keepalive(&mut bytes);
    speaker.handle_data(now, conn(peer), &bytes);
    let state = speaker.peer(&name(peer)).unwrap().state;
    assert_eq!(state, State::Established);
}

fn announce(speaker: &mut Speaker, now: Instant, prefix: Prefix, to: Option<u8>) {
    let announcement = Announcement {
        id: AnnouncementId {
            domain: Domain::MAIN,
            prefix,
        },
        kind: ClaimKind::Address,
        network: NetworkName::new("default").unwrap(),
        peers: to.map(|peer| Arc::from([name(peer)])),
        instances: Vec::new(),
        tags: Vec::new(),
        next_hop: None,
    };
    speaker.announce(now, announcement);
}

/// What each peer reads of one turn's writes.
#[derive(Default)]
struct Turn {
    bytes: usize,
    all_written: bool,
    routes: BTreeMap<ConnId, Vec<Prefix>>,
    withdrawn: BTreeMap<ConnId, Vec<Prefix>>,
    keepalives: BTreeMap<ConnId, usize>,
}

fn turn(writes: &mut Writes, node: &mut Node) -> Turn {
    let mut turn = Turn::default();
    writes.begin_turn();
    // As often as there is input in one turn; all of it shares.
    for _ in 0..3 {
        turn.write(writes, node);
    }
    turn
}

impl Turn {
    fn write(&mut self, writes: &mut Writes, node: &mut Node) {
        self.all_written = writes.all_written(node, |transmit, _| {
            self.bytes += transmit.bytes.len();
            let cx = DecodeContext::default();
            let mut rest = &transmit.bytes[..];
            while let Some((len, frame)) = Frame::next(rest, cx.max_len()).unwrap() {
                match frame.decode(&cx).unwrap() {
                    Message::Update(update) => {
                        let prefixes = update.reach().flat_map(|r| r.nlri.iter());
                        let routes = self.routes.entry(transmit.conn).or_default();
                        routes.extend(prefixes.map(|e| e.prefix));
                        let prefixes = update.unreach().flat_map(|n| n.iter());
                        let withdrawn = self.withdrawn.entry(transmit.conn).or_default();
                        withdrawn.extend(prefixes.map(|e| e.prefix));
                    }
                    Message::Keepalive => *self.keepalives.entry(transmit.conn).or_default() += 1,
                    _ => {}
                }
                rest = &rest[len..];
            }
        });
    }
}

#[test]
fn a_peer_with_a_large_table_holds_up_nobody() {
    let (mut node, mut writes, start) = (node(), Writes::default(), now());
    let speaker = node.speaker_mut();
    for peer in [LARGE].into_iter().chain(OTHERS) {
        come(speaker, start, peer);
    }
    assert!(turn(&mut writes, &mut node).all_written);

    let speaker = node.speaker_mut();
    let table = (0..TABLE).map(|n| Ipv6Addr::from((0x2001_0db8 << 96) + u128::from(n)));
    for addr in table.map(Into::into) {
        announce(speaker, start, Prefix::host(addr), Some(LARGE));
    }
    let (mut told, mut turns) = (0, 0);
    loop {
        turns += 1;
        // In each turn there is news for the others, and a KEEPALIVE is due to all three.
        let news: Prefix = format!("203.0.113.{turns}/32").parse().unwrap();
        let time = start + HOLD / 3 * turns;
        let speaker = node.speaker_mut();
        announce(speaker, time, news, None);
        for peer in [LARGE].into_iter().chain(OTHERS) {
            let mut alive = Vec::new();
            encode_keepalive(&mut alive);
            speaker.handle_data(time, conn(peer), &alive);
        }
        speaker.handle_timeout(time);
        let turn = turn(&mut writes, &mut node);
        for peer in OTHERS {
            assert_eq!(turn.routes[&conn(peer)], [news], "turn {turns}");
            assert_eq!(turn.keepalives[&conn(peer)], 1, "turn {turns}");
        }
        assert_eq!(turn.keepalives[&conn(LARGE)], 1, "turn {turns}");
        assert!(turn.bytes < SHARE + BATCH, "{} bytes", turn.bytes);
        let of_table = turn.routes[&conn(LARGE)].iter();
        told += of_table.filter(|p| p.family() == Family::Ipv6).count();
        if turn.all_written {
            break;
        }
        assert!(turn.bytes >= SHARE, "{} bytes", turn.bytes);
    }
    assert_eq!((told, turns), (TABLE as usize, 3));
}

#[test]
fn withdraws_go_out_also_when_the_share_is_used_up() {
    let (mut node, mut writes, start) = (node(), Writes::default(), now());
    let speaker = node.speaker_mut();
    let peers = [LARGE].into_iter().chain(OTHERS);
    peers.clone().for_each(|peer| come(speaker, start, peer));
    let gone: Prefix = "203.0.113.1/32".parse().unwrap();
    announce(speaker, start, gone, None);
    assert!(turn(&mut writes, &mut node).all_written);
    let speaker = node.speaker_mut();
    for n in 0..TABLE {
        let addr = Ipv6Addr::from((0x2001_0db8 << 96) + u128::from(n));
        announce(speaker, start, Prefix::host(addr.into()), Some(LARGE));
    }
    let mut turn = turn(&mut writes, &mut node);
    assert!(!turn.all_written && turn.withdrawn.values().all(Vec::is_empty));
    // In the same turn.
    let id = AnnouncementId {
        domain: Domain::MAIN,
        prefix: gone,
    };
    assert!(node.speaker_mut().withdraw(start, &id));
    turn.write(&mut writes, &mut node);
    for peer in peers {
        assert_eq!(turn.withdrawn[&conn(peer)], [gone], "{peer}");
    }
    assert!(!turn.all_written && turn.bytes < SHARE + 4 * BATCH);
}
