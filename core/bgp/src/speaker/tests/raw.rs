//! A connection whose far end a test writes by hand.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use tapway_bgp_wire::{
    AsPath, Attributes, EncodeContext, Frame, MAX_LEN_EXTENDED, MessageType, NextHop, Notification,
    Open, RouteRefresh, UpdateBuilder, encode_keepalive,
};
use tapway_model::{Family, Instant, Prefix};

use super::net::*;
use crate::session::open::{Ourselves, our_open};
use crate::*;

/// A speaker and one connection, whose far end the test writes by hand.
pub(super) struct Raw {
    pub(super) speaker: Speaker,
    pub(super) now: Instant,
    pub(super) conn: ConnId,
    pub(super) accepted: u64,
    /// What the speaker said.
    pub(super) said: Vec<u8>,
    pub(super) closed: bool,
}

impl Raw {
    pub(super) fn new(change: impl FnOnce(&mut config::PeerConfig)) -> Raw {
        let now = Instant::from_nanos(1_000_000_000);
        let mut speaker = Speaker::new(speaker_config(0), 5, StartKind::Cold);
        let mut peer = peer_config(1, Transport::V4);
        peer.passive = true;
        change(&mut peer);
        speaker.set_peer(now, peer);
        speaker.set_restart_done(now);
        let endpoint = Endpoint {
            remote: at(1, Transport::V4, 179),
            local: None,
            ifindex: IFINDEX,
        };
        speaker.set_peer_endpoint(now, &name("peer"), Some(endpoint));
        let mut raw = Raw {
            speaker,
            now,
            conn: ConnId::Incoming(0),
            accepted: 0,
            said: Vec::new(),
            closed: false,
        };
        raw.accept();
        raw
    }

    pub(super) fn established() -> Raw {
        let mut raw = Raw::new(|_| {});
        raw.open(|_| {});
        raw.keepalive();
        assert_eq!(raw.state(), State::Established);
        raw
    }

    pub(super) fn accept(&mut self) {
        self.accepted += 1;
        self.conn = ConnId::Incoming(self.accepted);
        self.closed = false;
        self.said.clear();
        let remote = at(1, Transport::V4, 33333);
        let info = ConnInfo {
            local: at(0, Transport::V4, 179),
            remote,
            ifindex: IFINDEX,
        };
        self.speaker.handle_accepted(self.now, self.conn, info);
        self.speaker
            .set_local_addresses(self.now, self.conn, addresses(0));
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(transmit) = self.speaker.poll_transmit(self.now) {
            self.said.extend(transmit.bytes);
        }
        while let Some(action) = self.speaker.poll_action() {
            if let Action::Close { conn, farewell } = action
                && conn == self.conn
            {
                self.said.extend(farewell);
                self.closed = true;
            }
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.speaker.handle_data(self.now, self.conn, bytes);
        self.drain();
    }

    pub(super) fn open(&mut self, change: impl FnOnce(&mut Open)) {
        let us = Ourselves {
            asn: asn(1),
            router_id: Ipv4Addr::new(192, 0, 2, 2),
            restarting: false,
            forwarding: Default::default(),
        };
        let mut open = our_open(&us, &peer_config(0, Transport::V4));
        change(&mut open);
        let mut bytes = Vec::new();
        open.encode(&mut bytes);
        self.feed(&bytes);
    }

    pub(super) fn keepalive(&mut self) {
        let mut bytes = Vec::new();
        encode_keepalive(&mut bytes);
        self.feed(&bytes);
    }

    pub(super) fn update(&mut self, attributes: &Attributes, next_hop: NextHop, prefixes: &[&str]) {
        let mut bytes = Vec::new();
        let prefixes = prefixes.iter().map(|p| p.parse::<Prefix>().unwrap());
        UpdateBuilder::new(&mut bytes, EncodeContext::default())
            .announce(attributes, next_hop, prefixes)
            .unwrap();
        self.feed(&bytes);
    }

    pub(super) fn state(&self) -> State {
        self.speaker.peer(&name("peer")).unwrap().state
    }

    /// The kinds of messages that the speaker sent, and the code of a NOTIFICATION.
    pub(super) fn messages(&self) -> Vec<(MessageType, u8, u8)> {
        let mut rest = &self.said[..];
        let mut all = Vec::new();
        while let Some((len, frame)) = Frame::next(rest, MAX_LEN_EXTENDED).unwrap() {
            let code = match frame.kind() {
                MessageType::Notification => Notification::decode(frame.body()).unwrap().error,
                _ => tapway_bgp_wire::ErrorCode {
                    code: 0,
                    subcode: 0,
                },
            };
            all.push((frame.kind(), code.code, code.subcode));
            rest = &rest[len..];
        }
        all
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.speaker.received(&name("peer")).next().unwrap().refused
    }
}

pub(super) fn from_peer() -> Attributes {
    Attributes {
        as_path: AsPath::sequence([asn(1)]),
        ..Attributes::default()
    }
}

pub(super) fn hop(text: &str) -> NextHop {
    NextHop::V4(text.parse().unwrap())
}

/// One message of each kind.
pub(super) fn one(kind: MessageType) -> Vec<u8> {
    let mut bytes = Vec::new();
    match kind {
        MessageType::Open => {
            let us = Ourselves {
                asn: asn(1),
                router_id: Ipv4Addr::new(192, 0, 2, 2),
                restarting: false,
                forwarding: Default::default(),
            };
            our_open(&us, &peer_config(0, Transport::V4)).encode(&mut bytes);
        }
        MessageType::Keepalive => encode_keepalive(&mut bytes),
        MessageType::Update => {
            UpdateBuilder::new(&mut bytes, EncodeContext::default()).end_of_rib(Family::Ipv4)
        }
        MessageType::Notification => {
            Notification::new(tapway_bgp_wire::ErrorCode::CEASE).encode(&mut bytes)
        }
        MessageType::RouteRefresh => RouteRefresh {
            family: Family::Ipv4.into(),
            subtype: tapway_bgp_wire::RefreshSubtype::Request,
        }
        .encode(&mut bytes),
    }
    bytes
}
