//! A speaker with peers made of bytes, and collectors that listen to it.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tapway_bgp::config::*;
use tapway_bgp::policy::{AnyOf, Pattern};
use tapway_bgp::*;
use tapway_bgp_wire::{
    Attributes, Capability, Community, EncodeContext, NextHop, RefreshSubtype, RouteRefresh,
    UpdateBuilder, encode_keepalive,
};
use tapway_model::{Domain, PolicyName};

use super::super::*;
use crate::message::Message;

pub(super) const ALL: Tables = Tables {
    received: true,
    imported: true,
    sent: true,
    best: true,
};

pub(super) struct Router {
    pub(super) speaker: Speaker,
    pub(super) now: Instant,
    pub(super) collectors: Vec<Collector>,
    conns: u64,
}

pub(super) struct Collector {
    pub(super) session: Session,
    pub(super) bytes: Vec<u8>,
    /// It was told all that there was.
    begun: bool,
    /// It was said that not everything could be reported.
    pub(super) lost: bool,
}

pub(super) fn name(text: &str) -> PeerName {
    PeerName::new(text).unwrap()
}

fn policy(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

/// Routes with 65000:1 pass, with LOCAL_PREF 200.
fn tagged_only() -> Policy {
    let matches = Match {
        communities: AnyOf([[Pattern::exactly(TAG)].into()].into()),
        ..Match::default()
    };
    let set = Set {
        local_pref: Some(200),
        ..Set::default()
    };
    Policy {
        name: policy("tagged"),
        rules: Vec::from([Rule {
            matches,
            set,
            call: None,
            action: Verdict::Accept,
        }]),
    }
}

pub(super) const TAG: Community = Community(65000 << 16 | 1);

/// The peer with this number; it is at 198.51.100.number, in AS 65100 + number.
fn config(number: u8, export: &str) -> PeerConfig {
    PeerConfig {
        name: name(&alloc::format!("p{number}")),
        address: PeerAddress::Ip {
            addr: [198, 51, 100, number].into(),
            interface: None,
        },
        port: 179,
        local_address: None,
        asn: PeerAsn::Number(asn(number)),
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: Duration::from_secs(90),
        keepalive: None,
        connect_retry: Duration::from_secs(5),
        passive: true,
        reach: Reach::Direct,
        add_paths: AddPaths {
            receive: true,
            send: None,
        },
        next_hop: PeerNextHop::default(),
        import: policy("tagged"),
        export: policy(export),
        install: None,
        range: None,
        client: false,
        role: None,
        as_path: PeerAsPath::default(),
        prefix_limit: PrefixLimit::new(100_000),
        graceful_restart: None,
        disabled: false,
    }
}

pub(super) fn asn(number: u8) -> u32 {
    65100 + u32::from(number)
}

/// What a peer offers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offer {
    pub(super) two_octet: bool,
    pub(super) add_path: bool,
}

impl Router {
    pub(super) fn new() -> Router {
        let config = SpeakerConfig {
            asn: 65000,
            router_id: [192, 0, 2, 1].into(),
            graceful_restart: None,
            cluster_id: None,
            decision: tapway_bgp::config::DECISION,
        };
        let now = Instant::from_nanos(1_000_000_000);
        let mut speaker = Speaker::new(config, 7, StartKind::Cold);
        speaker.set_restart_done(now);
        speaker.set_policies(now, [tagged_only()]);
        Router {
            speaker,
            now,
            collectors: Vec::new(),
            conns: 0,
        }
    }

    pub(super) fn time(&self) -> Time {
        Time {
            now: self.now,
            unix: Duration::from_secs(1_700_000_000) + self.now.since(Instant::ZERO),
        }
    }

    /// Adds a peer and brings its session up; returns its connection and both OPENs.
    pub(super) fn peer(&mut self, number: u8, offer: Offer) -> (ConnId, Vec<u8>, Vec<u8>) {
        let now = self.now;
        self.speaker.set_peer(now, config(number, "claims"));
        let remote = SocketAddr::new([198, 51, 100, number].into(), 40_000);
        let endpoint = Endpoint {
            remote: SocketAddr::new(remote.ip(), 179),
            local: None,
            ifindex: 7,
        };
        let peer = name(&alloc::format!("p{number}"));
        self.speaker.set_peer_endpoint(now, &peer, Some(endpoint));
        self.connect(number, offer)
    }

    /// Brings the session of a known peer up again.
    pub(super) fn connect(&mut self, number: u8, offer: Offer) -> (ConnId, Vec<u8>, Vec<u8>) {
        self.now = self.now + Duration::from_secs(120);
        let now = self.now;
        self.speaker.handle_timeout(now);
        self.turn();
        self.conns += 1;
        let conn = ConnId::Incoming(self.conns);
        let info = ConnInfo {
            local: SocketAddr::new([198, 51, 100, 254].into(), 179),
            remote: SocketAddr::new([198, 51, 100, number].into(), 40_000),
            ifindex: 7,
        };
        self.speaker.handle_accepted(now, conn, info);
        let ours = LocalAddresses {
            v4: Some([198, 51, 100, 254].into()),
            v6_global: Some("2001:db8::254".parse().unwrap()),
            v6_link_local: None,
        };
        self.speaker.set_local_addresses(now, conn, ours);
        let sent = self.turn();
        let our_open = sent.get(..usize::from(sent[17])).unwrap().to_vec();
        let open = open(number, offer);
        let mut bytes = open.clone();
        encode_keepalive(&mut bytes);
        self.say(conn, &bytes);
        let peer = name(&alloc::format!("p{number}"));
        assert_eq!(self.speaker.peer(&peer).unwrap().state, State::Established);
        (conn, our_open, open)
    }

    /// A peer says something; returns what the router writes.
    pub(super) fn say(&mut self, conn: ConnId, bytes: &[u8]) -> Vec<u8> {
        self.speaker.handle_data(self.now, conn, bytes);
        self.turn()
    }

    /// Does everything that is to be done; returns what the router writes.
    pub(super) fn turn(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        loop {
            while self.speaker.poll_action().is_some() {}
            let mut idle = true;
            while let Some(transmit) = self.speaker.poll_transmit(self.now) {
                written.extend(transmit.bytes);
                idle = false;
            }
            if self.speaker.poll_timeout().is_some_and(|at| at <= self.now) {
                self.speaker.handle_timeout(self.now);
                idle = false;
            }
            if idle {
                break;
            }
        }
        self.tell();
        written
    }

    /// Tells collectors what happened.
    fn tell(&mut self) {
        let time = self.time();
        while let Some(report) = self.speaker.poll_report() {
            for collector in &mut self.collectors {
                let Collector {
                    session,
                    bytes,
                    lost,
                    ..
                } = collector;
                *lost |= !session.report(time, &report, bytes);
            }
        }
        for collector in &mut self.collectors {
            if collector.begun {
                while collector.sync(time, &mut self.speaker) == Progress::More {}
            }
        }
    }

    /// A collector connects, and is told all.
    pub(super) fn collector(&mut self, tables: Tables) -> usize {
        let number = self.begin(tables);
        let time = self.time();
        let collector = &mut self.collectors[number];
        collector.begun = true;
        while collector.sync(time, &mut self.speaker) == Progress::More {}
        number
    }

    /// A collector connects.
    pub(super) fn begin(&mut self, tables: Tables) -> usize {
        self.speaker.set_monitor(Wants {
            received: true,
            imported: true,
            sent: true,
            sessions: true,
            states: false,
        });
        let us = Us {
            name: "hv1".to_string(),
            description: "tapway".to_string(),
        };
        let mut bytes = Vec::new();
        let time = self.time();
        let every = Some(Duration::from_secs(60));
        let session = Session::begin(time, &mut self.speaker, &us, tables, every, &mut bytes);
        self.collectors.push(Collector {
            session,
            bytes,
            begun: false,
            lost: false,
        });
        self.collectors.len() - 1
    }

    pub(super) fn claim(&mut self, prefix: &str, next_hop: Option<IpAddr>) {
        let announcement = Announcement {
            id: AnnouncementId {
                domain: Domain::MAIN,
                prefix: prefix.parse().unwrap(),
            },
            kind: tapway_model::ClaimKind::Address,
            network: tapway_model::NetworkName::new("default").unwrap(),
            peers: None,
            instances: Vec::new(),
            tags: Vec::new(),
            next_hop,
        };
        self.speaker.announce(self.now, announcement);
        self.turn();
    }
}

impl Collector {
    pub(super) fn sync(&mut self, time: Time, speaker: &mut Speaker) -> Progress {
        self.session.sync(time, speaker, &mut self.bytes)
    }

    /// All messages so far.
    pub(super) fn messages(&self) -> Vec<Message<'_>> {
        let mut rest = &self.bytes[..];
        let mut all = Vec::new();
        while let Some((len, message)) = Message::decode(rest).unwrap() {
            all.push(message);
            rest = &rest[len..];
        }
        assert_eq!(rest, []);
        all
    }

    /// What is said from now on.
    pub(super) fn news(&mut self) -> Collector2 {
        Collector2(core::mem::take(&mut self.bytes))
    }

    /// What a collector knows, read by a parser that is not ours: table, prefix and path, and what is said of it.
    pub(super) fn knows(&self) -> BTreeMap<String, String> {
        super::reader::read(&self.bytes)
    }
}

/// A part of what a collector heard.
pub(super) struct Collector2(pub(super) Vec<u8>);

impl Collector2 {
    pub(super) fn messages(&self) -> Vec<Message<'_>> {
        let mut rest = &self.0[..];
        let mut all = Vec::new();
        while let Some((len, message)) = Message::decode(rest).unwrap() {
            all.push(message);
            rest = &rest[len..];
        }
        all
    }
}

fn open(number: u8, offer: Offer) -> Vec<u8> {
    let mut capabilities = Vec::from([
        Capability::MultiProtocol(AfiSafi::from(Family::Ipv4)),
        Capability::MultiProtocol(AfiSafi::from(Family::Ipv6)),
        Capability::RouteRefresh,
        Capability::EnhancedRouteRefresh,
    ]);
    if !offer.two_octet {
        capabilities.push(Capability::FourOctetAs(asn(number)));
    }
    if offer.add_path {
        let sends = tapway_bgp_wire::AddPathDirection::Send;
        let family = |family| tapway_bgp_wire::AddPathFamily {
            family: AfiSafi::from(family),
            direction: sends,
        };
        capabilities.push(Capability::AddPath(Family::ALL.map(family).to_vec()));
    }
    let mut bytes = Vec::new();
    Open {
        asn: asn(number),
        hold_time: 90,
        router_id: [192, 0, 2, 100 + number].into(),
        capabilities: Capabilities(capabilities),
    }
    .encode(&mut bytes);
    bytes
}

/// Routes as a peer writes them.
pub(super) fn update(
    number: u8,
    offer: Offer,
    entries: &[(&str, u32)],
    change: impl FnOnce(&mut Attributes),
) -> Vec<u8> {
    let mut attributes = Attributes::default();
    attributes.as_path.prepend(asn(number), 1);
    change(&mut attributes);
    let entries = entries.iter().map(|(prefix, path_id)| NlriEntry {
        prefix: prefix.parse().unwrap(),
        path_id: *path_id,
    });
    let entries: Vec<_> = entries.collect();
    let next_hop = match entries[0].prefix.family() {
        Family::Ipv4 => NextHop::V4([198, 51, 100, number].into()),
        Family::Ipv6 => NextHop::V6([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()].into()),
    };
    let mut out = Vec::new();
    UpdateBuilder::new(&mut out, encode(offer))
        .announce(&attributes, next_hop, entries)
        .unwrap();
    out
}

pub(super) fn withdrawal(offer: Offer, entries: &[(&str, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    let entries = entries.iter().map(|(prefix, path_id)| NlriEntry {
        prefix: prefix.parse().unwrap(),
        path_id: *path_id,
    });
    UpdateBuilder::new(&mut out, encode(offer)).withdraw(entries);
    out
}

pub(super) fn refresh(subtype: RefreshSubtype) -> Vec<u8> {
    let mut out = Vec::new();
    RouteRefresh {
        family: Family::Ipv4.into(),
        subtype,
    }
    .encode(&mut out);
    out
}

fn encode(offer: Offer) -> EncodeContext {
    let mut cx = EncodeContext {
        four_octet_asn: !offer.two_octet,
        ..EncodeContext::default()
    };
    for family in Family::ALL {
        cx.add_path[family] = offer.add_path;
    }
    cx
}

pub(super) use tapway_bgp_wire::NlriEntry;
