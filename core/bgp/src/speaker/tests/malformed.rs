//! Wrong UPDATEs on a session that is up: what is said, which routes go, and which stay (RFC 7606).

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use tapway_bgp_wire::{
    AddPathDirection, AddPathFamily, Capability, Frame, MAX_LEN_EXTENDED, MessageType, Notification,
};
use tapway_model::Family;

use super::net::*;
use super::raw::Raw;
use crate::*;

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 198, 51, 100, 2];
const TEN: &[u8] = &[8, 10];
/// What no bad message is about.
const OTHER: &[u8] = &[24, 192, 0, 2];

/// What is there before, and still is when a bad message costs nothing.
const ALL: [&str; 3] = ["10.0.0.0/8", "192.0.2.0/24", "2001:db8:1::/48"];
/// What is left of it when the message costs its routes.
const LEFT: [&str; 1] = ["192.0.2.0/24"];

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = (value.len() as u16).to_be_bytes();
    match value.len() {
        ..256 => [&[flags, code, low], value].concat(),
        _ => [&[flags | 0x10, code, high, low], value].concat(),
    }
}

/// AS_PATH of the peer's AS alone.
fn as_path() -> Vec<u8> {
    let number = asn(1).to_be_bytes();
    attribute(0x40, 2, &[&[2, 1][..], &number].concat())
}

/// 2001:db8:1::/48 by the peer.
fn mp_reach() -> Vec<u8> {
    let next_hop = addresses(1).v6_global.unwrap().octets();
    let nlri = [0, 48, 0x20, 1, 0xd, 0xb8, 0, 1];
    attribute(0x80, 14, &[&[0, 2, 1, 16][..], &next_hop, &nlri].concat())
}

fn message(body: &[u8]) -> Vec<u8> {
    let len = (19 + body.len()) as u16;
    [&[0xff; 16], &len.to_be_bytes()[..], &[2], body].concat()
}

fn update(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let len = |bytes: &[u8]| (bytes.len() as u16).to_be_bytes();
    message(
        &[
            &len(withdrawn)[..],
            withdrawn,
            &len(&attributes),
            &attributes,
            nlri,
        ]
        .concat(),
    )
}

/// A message with both NLRI and MP_REACH_NLRI, and with one attribute more, which takes the place of one of its kind.
fn mixed(attribute: &[u8]) -> Vec<u8> {
    let (mp, path) = (mp_reach(), as_path());
    let mut all = vec![&mp[..], ORIGIN, &path, NEXT_HOP];
    match all.iter().position(|a| a[1] == attribute[1]) {
        Some(at) => all[at] = attribute,
        None => all.push(attribute),
    }
    update(&[], &all, TEN)
}

impl Raw {
    /// Sends all that is in [`ALL`].
    fn good(&mut self) {
        self.feed(&update(&[], &[ORIGIN, &as_path(), NEXT_HOP], OTHER));
        self.feed(&mixed(&as_path()));
        assert_eq!(self.have(), ALL);
    }

    fn have(&self) -> Vec<String> {
        let peer = name("peer");
        let all = self.speaker.received(&peer);
        all.map(|route| match route.path_id {
            Some(id) => alloc::format!("{} #{id}", route.prefix),
            None => route.prefix.to_string(),
        })
        .collect()
    }

    fn bad_updates(&self) -> u64 {
        self.speaker.peer(&name("peer")).unwrap().bad_updates
    }

    /// The NOTIFICATION that was the last word.
    fn farewell(&self) -> Notification {
        let mut rest = &self.said[..];
        let mut last = None;
        while let Some((len, frame)) = Frame::next(rest, MAX_LEN_EXTENDED).unwrap() {
            last = Some(frame);
            rest = &rest[len..];
        }
        let last = last.filter(|frame| frame.kind() == MessageType::Notification);
        Notification::decode(last.expect("a NOTIFICATION").body()).unwrap()
    }
}

/// With the session up and the routes there.
fn ready(internal: bool) -> Raw {
    let mut raw = Raw::new(|peer| {
        if internal {
            peer.asn = config::PeerAsn::Internal;
        }
    });
    raw.open(|open| {
        if internal {
            open.asn = asn(0);
            let four = |c: &&mut Capability| matches!(c, Capability::FourOctetAs(_));
            let four = open.capabilities.0.iter_mut().find(four).unwrap();
            *four = Capability::FourOctetAs(asn(0));
        }
    });
    raw.keepalive();
    assert_eq!(raw.state(), State::Established);
    raw.good();
    raw
}

#[test]
fn what_ends_the_session_says_why() {
    let mp = mp_reach();
    let value = &mp[3..];
    let flags = [&[0xc0, 14, value.len() as u8], value].concat();
    let overrun = attribute(0x80, 14, &[0, 2, 1, 200, 1, 2, 3]);
    let unreach = attribute(0x80, 15, &[0, 2, 1, 129]);
    let well_known = attribute(0x40, 99, &[1]);
    let med = attribute(0x80, 4, &[1, 2, 3]);
    let mut too_long = update(&[], &[ORIGIN, &as_path(), NEXT_HOP], TEN);
    // The length of the attributes: 65,535 octets, of which there are few.
    too_long[21..23].copy_from_slice(&[0xff, 0xff]);
    let mut withdrawn_too_long = update(TEN, &[], &[]);
    withdrawn_too_long[19..21].copy_from_slice(&[0xff, 0xff]);
    let path = as_path();
    type Row<'a> = (&'a str, Vec<u8>, (u8, u8), &'a [u8]);
    let rows: [Row<'_>; 11] = [
        (
            "MP_REACH_NLRI twice",
            update(&[], &[&mp, &mp, ORIGIN, &path], &[]),
            (3, 1),
            &[],
        ),
        ("its flags", mixed(&flags), (3, 4), &flags),
        ("its next hop", mixed(&overrun), (3, 9), &overrun),
        ("MP_UNREACH_NLRI of /129", mixed(&unreach), (3, 9), &unreach),
        (
            "an unknown well-known",
            mixed(&well_known),
            (3, 2),
            &well_known,
        ),
        (
            "a MED of three octets, with nothing to withdraw",
            update(&[8, 11], &[&med], &[]),
            (3, 5),
            &med,
        ),
        ("65,535 octets of attributes", too_long, (3, 1), &[]),
        (
            "as many of withdrawn routes",
            withdrawn_too_long,
            (3, 1),
            &[],
        ),
        (
            "a prefix of 33 bits",
            update(&[], &[ORIGIN, &path, NEXT_HOP], &[33, 10, 0, 0, 0, 0]),
            (3, 10),
            &[],
        ),
        (
            "a prefix cut short",
            update(&[24, 10], &[], &[]),
            (3, 10),
            &[],
        ),
        (
            "an UPDATE of two octets",
            message(&[0, 0]),
            (1, 2),
            &[0, 21],
        ),
    ];
    for (what, bytes, code, data) in rows {
        let mut raw = ready(false);
        raw.feed(&bytes);
        assert!(raw.closed, "{what}");
        let said = raw.farewell();
        assert_eq!((said.error.code, said.error.subcode), code, "{what}");
        assert_eq!(said.data, data, "{what}");
        assert_eq!(raw.state(), State::Idle, "{what}");
    }
}

/// Every known attribute in every length that it cannot have, in a message with NLRI and MP_REACH_NLRI: all of that goes, or
/// nothing where the attribute alone is discarded, and the session stays.
#[test]
fn every_attribute_in_every_wrong_length() {
    const LONGEST: usize = 40;
    // Code, flags, the lengths that it may have, and whether its fault costs the routes: from an external peer, from an internal one.
    type Lengths = fn(usize) -> bool;
    let four: Lengths = |len| len == 4;
    let rows: [(u8, u8, Lengths, bool, bool); 13] = [
        (1, 0x40, |len| len == 1, true, true),
        (2, 0x40, |len| len == 0, true, true),
        (3, 0x40, four, true, true),
        (4, 0x80, four, true, true),
        (5, 0x40, four, false, true),
        (6, 0x40, |len| len == 0, false, false),
        (7, 0xc0, |len| len == 8, false, false),
        (8, 0xc0, |len| len > 0 && len % 4 == 0, true, true),
        (9, 0x80, four, false, true),
        (10, 0x80, |len| len > 0 && len % 4 == 0, false, true),
        (16, 0xc0, |len| len > 0 && len % 8 == 0, true, true),
        (32, 0xc0, |len| len > 0 && len % 12 == 0, true, true),
        (35, 0xc0, four, true, true),
    ];
    for internal in [false, true] {
        let mut raw = ready(internal);
        for (code, flags, may, external_goes, internal_goes) in rows {
            let goes = if internal {
                internal_goes
            } else {
                external_goes
            };
            // Filled with 9: a segment of AS_PATH has no such type.
            for len in (0..LONGEST).filter(|len| !may(*len)) {
                raw.good();
                let bad = raw.bad_updates();
                raw.feed(&mixed(&attribute(flags, code, &vec![9; len])));
                let what = alloc::format!("{code} of {len}, internal: {internal}");
                assert_eq!(raw.state(), State::Established, "{what}");
                assert_eq!(raw.have(), if goes { &LEFT[..] } else { &ALL }, "{what}");
                assert_eq!(raw.bad_updates(), bad + 1, "{what}");
            }
        }
    }
}

#[test]
fn other_faults_cost_the_routes_of_the_message() {
    let mut raw = ready(false);
    let number = asn(1).to_be_bytes();
    let empty_segment = [&[2, 1][..], &number, &[2, 0]].concat();
    for (what, bytes) in [
        ("an empty AS segment", mixed(&attribute(0x40, 2, &[2, 0]))),
        ("one at the end", mixed(&attribute(0x40, 2, &empty_segment))),
        ("one of no type", mixed(&attribute(0x40, 2, &[0, 0]))),
        ("AS 0", mixed(&attribute(0x40, 2, &[2, 1, 0, 0, 0, 0]))),
        (
            "an odd AGGREGATOR flag",
            mixed(&attribute(0x40, 7, &[1; 8])),
        ),
        ("an attribute that is cut", mixed(&[0x80, 4, 200, 0])),
        (
            "no ORIGIN",
            update(&[], &[&mp_reach(), &as_path(), NEXT_HOP], TEN),
        ),
    ] {
        raw.good();
        raw.feed(&bytes);
        assert_eq!(raw.state(), State::Established, "{what}");
        assert_eq!(raw.have(), LEFT, "{what}");
    }
}

/// EVPN was not agreed on: whatever it says is passed over, and what else is in the message counts.
#[test]
fn routes_of_other_families_are_passed_over() {
    let mut raw = ready(false);
    let evpn = |kind: u8, len: u8, rest: &[u8]| {
        let value = [&[0, 25, 70, 4, 198, 51, 100, 2, 0, kind, len][..], rest].concat();
        attribute(0x80, 14, &value)
    };
    for (what, mp) in [
        ("an unknown route type", evpn(99, 4, &[1, 2, 3, 4])),
        ("a length beyond the end", evpn(2, 200, &[1, 2])),
        (
            "a type of BGP-LS",
            attribute(0x80, 14, &[0x40, 4, 71, 4, 1, 2, 3, 4, 0, 9, 9, 9]),
        ),
    ] {
        let prefix = [16, 172, 16];
        raw.feed(&update(&[], &[&mp, ORIGIN, &as_path(), NEXT_HOP], &prefix));
        assert_eq!(raw.state(), State::Established, "{what}");
        assert_eq!((raw.have().len(), raw.bad_updates()), (4, 0), "{what}");
        raw.feed(&update(&prefix, &[], &[]));
        assert_eq!(raw.have(), ALL, "{what}");
    }
}

#[test]
fn bits_behind_a_prefix_make_no_other_one() {
    let mut raw = ready(false);
    for nlri in [&[9, 10, 0x7f][..], &[9, 10, 0], &[9, 10, 0x55]] {
        raw.feed(&update(&[], &[ORIGIN, &as_path(), NEXT_HOP], nlri));
        assert_eq!(raw.have().len(), 4);
        assert_eq!(raw.have()[1], "10.0.0.0/9");
    }
    raw.feed(&update(&[9, 10, 0x2a], &[], &[]));
    assert_eq!(raw.have(), ALL);
    // All bits of a default route's octets are behind it, and there are none.
    raw.feed(&update(&[], &[ORIGIN, &as_path(), NEXT_HOP], &[0]));
    assert_eq!(raw.have()[0], "0.0.0.0/0");
}

/// A fault costs the paths with the identifiers that are in the message, and no other one of the same prefix.
#[test]
fn a_fault_with_path_identifiers() {
    let mut raw = Raw::new(|peer| peer.add_paths.receive = true);
    raw.open(|open| {
        let family = Family::Ipv4.into();
        let direction = AddPathDirection::Send;
        let entry = AddPathFamily { family, direction };
        open.capabilities.0.push(Capability::AddPath(vec![entry]));
    });
    raw.keepalive();
    let path = as_path();
    let good = [ORIGIN, &path, NEXT_HOP];
    let ids = [0, 0, 0, 1, 8, 10, 0, 0, 0, 2, 8, 10, 0, 0, 0, 7, 8, 10];
    raw.feed(&update(&[], &good, &ids));
    assert_eq!(
        raw.have(),
        ["10.0.0.0/8 #1", "10.0.0.0/8 #2", "10.0.0.0/8 #7"]
    );
    let med = attribute(0x80, 4, &[]);
    let bad = [ORIGIN, &path, NEXT_HOP, &med];
    raw.feed(&update(&[], &bad, &[0, 0, 0, 1, 8, 10, 0, 0, 0, 7, 8, 10]));
    assert_eq!(raw.state(), State::Established);
    assert_eq!(raw.have(), ["10.0.0.0/8 #2"]);
    // An identifier without a prefix cannot be withdrawn.
    raw.feed(&update(&[], &bad, &[0, 0, 0, 2]));
    assert!(raw.closed);
    let said = raw.farewell();
    assert_eq!((said.error.code, said.error.subcode), (3, 10));
}
