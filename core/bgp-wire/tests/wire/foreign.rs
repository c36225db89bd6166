//! Messages of other implementations: read, compared with what they were told to send, and mutilated.
//!
//! `testdata/*.hex` are recordings of BIRD, FRR and GoBGP, each announcing a few static routes; `*.txt` is
//! what we read in them, checked by hand against their configuration.

use std::fmt::Write;

use tapway_bgp_wire::{DecodeContext, Frame, Message, PerFamily, Update};

use crate::bytes::{hex, reach, unreach};

const RECORDINGS: [(&str, &str, &str); 3] = [
    (
        "bird",
        include_str!("testdata/bird.hex"),
        include_str!("testdata/bird.txt"),
    ),
    (
        "frr",
        include_str!("testdata/frr.hex"),
        include_str!("testdata/frr.txt"),
    ),
    (
        "gobgp",
        include_str!("testdata/gobgp.hex"),
        include_str!("testdata/gobgp.txt"),
    ),
];

/// What the collector and the peer had agreed on in the session with this label.
fn context(label: &str) -> DecodeContext {
    let add_path = label.ends_with("addpath");
    DecodeContext {
        four_octet_asn: !label.ends_with("as2"),
        extended_message: label.starts_with("bird-v"),
        add_path: PerFamily {
            ipv4: add_path,
            ipv6: add_path,
        },
        extended_next_hop: true,
        ..DecodeContext::default()
    }
}

/// The messages of a recording with their labels.
pub(crate) fn messages() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    RECORDINGS
        .iter()
        .flat_map(|(_, recording, _)| recording.lines())
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace();
            let label = words.next().expect("a label");
            (label, hex(words.nth(1).expect("a message")))
        })
}

fn describe(message: &Message<'_>) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        writeln!(text, "  {args}").expect("a string takes all");
    };
    match message {
        Message::Open(open) => {
            line(format_args!(
                "OPEN AS {} hold {} id {}",
                open.asn, open.hold_time, open.router_id
            ));
            for capability in open.capabilities.iter() {
                line(format_args!("  {capability:?}"));
            }
        }
        Message::Update(update) => {
            line(format_args!("UPDATE"));
            for nlri in unreach(update) {
                line(format_args!("  - {nlri}"));
            }
            for nlri in reach(update) {
                line(format_args!("  + {nlri}"));
            }
            if update.reach().next().is_some() {
                for attribute in attributes(update) {
                    line(format_args!("    {attribute}"));
                }
            }
            if let Some(family) = update.end_of_rib() {
                line(format_args!("  end of {family}"));
            }
            for fault in update.faults() {
                line(format_args!("  {fault:?}"));
            }
        }
        Message::Notification(notification) => line(format_args!("NOTIFICATION {notification}")),
        Message::Keepalive => line(format_args!("KEEPALIVE")),
        Message::RouteRefresh(refresh) => {
            line(format_args!(
                "ROUTE-REFRESH {} {:?}",
                refresh.family, refresh.subtype
            ));
        }
    }
    text
}

fn attributes(update: &Update<'_>) -> Vec<String> {
    let a = update.attributes().decode();
    let mut all = vec![format!("origin {} path [{}]", a.origin, a.as_path)];
    all.extend(a.med.map(|med| format!("med {med}")));
    all.extend(a.local_pref.map(|pref| format!("local-pref {pref}")));
    all.extend(a.atomic_aggregate.then(|| "atomic".to_owned()));
    all.extend(
        a.aggregator
            .map(|by| format!("aggregator {} {}", by.asn, by.router_id)),
    );
    all.extend(a.communities.iter().map(|c| format!("community {c}")));
    all.extend(
        a.extended_communities
            .iter()
            .map(|c| format!("extended {c}")),
    );
    all.extend(a.large_communities.iter().map(|c| format!("large {c}")));
    all.extend(
        a.only_to_customer
            .map(|asn| format!("only to customers of {asn}")),
    );
    all.extend(a.unknown.iter().map(|u| format!("{u:?}")));
    all
}

#[test]
fn other_implementations_are_understood() {
    for (name, recording, want) in RECORDINGS {
        let mut text = String::new();
        let mut current = "";
        for line in recording.lines().filter(|line| !line.starts_with('#')) {
            let label = line.split_whitespace().next().expect("a label");
            if label != current {
                writeln!(text, "{label}").expect("a string takes all");
                current = label;
            }
            let bytes = hex(line.split_whitespace().nth(2).expect("a message"));
            let cx = context(label);
            let (len, frame) = Frame::next(&bytes, cx.max_len()).unwrap().expect("whole");
            assert_eq!(len, bytes.len());
            text.push_str(&describe(&frame.decode(&cx).unwrap()));
        }
        assert!(text == want, "{name}: read\n{text}");
    }
}

#[test]
fn a_part_of_a_message_is_waited_for() {
    for (label, bytes) in messages() {
        for len in 0..bytes.len() {
            let part = Frame::next(&bytes[..len], context(label).max_len());
            assert_eq!(part, Ok(None), "{label}: {len} of {}", bytes.len());
        }
    }
}

/// Cut short with a header that agrees, a message may be wrong in any way but must be answered.
#[test]
fn a_message_cut_short_is_answered() {
    let (mut good, mut bad) = (0, 0);
    for (label, bytes) in messages() {
        let cx = context(label);
        for len in 19..bytes.len() {
            let mut cut = bytes[..len].to_vec();
            cut[16..18].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            let outcome = match Frame::next(&cut, cx.max_len()) {
                Ok(frame) => frame
                    .expect("whole")
                    .1
                    .decode(&cx)
                    .map(|message| describe(&message)),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(_) => good += 1,
                Err(error) => {
                    bad += 1;
                    assert!(error.code.name().is_some(), "{label}: {error}");
                    assert!(!error.text.is_empty());
                }
            }
        }
    }
    // A cut between two prefixes leaves a message that is right, most others do not.
    assert!(good > 0 && bad > 10 * good, "{good} good, {bad} bad");
}
