//! What monitors hear, and in which order.

use alloc::vec::Vec;

use tapway_bgp_wire::{EncodeContext, UpdateBuilder, encode_keepalive};
use tapway_model::Prefix;

use super::net::asn;
use super::raw::{Raw, from_peer, hop};
use crate::config::LocalAs;
use crate::*;

#[test]
fn a_session_is_up_before_what_comes_in_the_same_breath() {
    let mut raw = Raw::new(|peer| {
        peer.as_path.local = Some(LocalAs {
            asn: 64999,
            replace: false,
            prepend: true,
        });
    });
    raw.speaker.set_monitor(Wants {
        received: true,
        sessions: true,
        states: true,
        ..Wants::default()
    });
    raw.open(|_| {});
    // Known from its configuration, before it was ever up.
    match raw.speaker.poll_report() {
        Some(Report::State {
            asn: of,
            local_asn,
            to,
            ..
        }) => {
            assert_eq!((of, to), (Some(asn(1)), State::OpenConfirm));
            assert_eq!(local_asn, 64999, "what the peer takes for ours");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(raw.speaker.poll_report(), None);
    let mut bytes = Vec::new();
    encode_keepalive(&mut bytes);
    let prefix: Prefix = "203.0.113.1/32".parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&from_peer(), hop("198.51.100.2"), [prefix])
        .unwrap();
    raw.feed(&bytes);
    let reports: Vec<Report> = core::iter::from_fn(|| raw.speaker.poll_report()).collect();
    let words = reports.iter().map(|report| match report {
        Report::Up(_) => "up",
        Report::State { from, to, .. } => {
            assert_eq!((*from, *to), (State::OpenConfirm, State::Established));
            "state"
        }
        Report::Received { .. } => "update",
        other => panic!("{other:?}"),
    });
    assert_eq!(words.collect::<Vec<_>>(), ["up", "state", "update"]);
}
