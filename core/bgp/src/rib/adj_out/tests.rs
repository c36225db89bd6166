//! What is sent, and in which order.

use alloc::string::{String, ToString};

use super::*;

/// What to send, as text: `-` withdrawn, `+` announced, by next hop.
fn text(batch: &Batch) -> Vec<String> {
    let gone = batch.withdraw.iter().map(|p| alloc::format!("-{p}"));
    let there = batch.announce.iter().flat_map(|(b, all)| {
        let by = b.next_hop.to_string();
        all.iter().map(move |p| alloc::format!("+{p} {by}"))
    });
    gone.chain(there).collect()
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// Everything of 10.0.0.0/8 by 192.0.2.`last`; nothing else.
fn by(last: u8) -> impl FnMut(&mut AdjOut, &Prefix) -> Option<Arc<Bundle>> {
    move |rib, p| {
        prefix("10.0.0.0/8").contains(p).then(|| {
            rib.bundle(
                Modifications::default(),
                NextHop::V4([192, 0, 2, last].into()),
                |_| Attributes::default(),
            )
        })
    }
}

#[test]
fn changes_are_sent_once_and_withdrawals_first() {
    let mut rib = AdjOut::default();
    for p in ["10.0.0.1/32", "10.0.0.2/32", "11.0.0.1/32"] {
        rib.touch(prefix(p));
        rib.touch(prefix(p));
    }
    assert_eq!(
        text(&rib.take(100, by(1))),
        ["+10.0.0.1/32 192.0.2.1", "+10.0.0.2/32 192.0.2.1"]
    );
    rib.touch(prefix("10.0.0.1/32"));
    assert!(text(&rib.take(100, by(1))).is_empty(), "nothing changed");
    rib.touch(prefix("10.0.0.1/32"));
    rib.gone(prefix("10.0.0.2/32"));
    rib.gone(prefix("11.0.0.1/32"));
    assert_eq!(text(&rib.take(1, by(2))), ["-10.0.0.2/32"]);
    assert_eq!(rib.pending(), 1);
    assert_eq!(text(&rib.take(1, by(2))), ["+10.0.0.1/32 192.0.2.2"]);
    assert_eq!((rib.pending(), rib.len()), (0, 1));
    assert_eq!(
        rib.bundles.len(),
        1,
        "the bundle that nobody has is forgotten"
    );
}

#[test]
fn gone_and_back_before_it_was_sent_is_nothing() {
    let mut rib = AdjOut::default();
    rib.touch(prefix("10.0.0.1/32"));
    rib.take(100, by(1));
    rib.gone(prefix("10.0.0.1/32"));
    rib.touch(prefix("10.0.0.1/32"));
    assert!(text(&rib.take(100, by(1))).is_empty());
    rib.touch(prefix("10.0.0.9/32"));
    rib.gone(prefix("10.0.0.9/32"));
    assert_eq!(rib.pending(), 0);
}

#[test]
fn a_policy_that_rejects_now_withdraws() {
    let mut rib = AdjOut::default();
    rib.touch_all([prefix("10.0.0.1/32"), prefix("10.0.0.2/32")].into_iter());
    rib.take(100, by(1));
    rib.touch_all([prefix("10.0.0.1/32")].into_iter());
    assert_eq!(
        text(&rib.take(100, |_, _| None)),
        ["-10.0.0.1/32", "-10.0.0.2/32"]
    );
}

#[test]
fn sent_again_when_asked() {
    let mut rib = AdjOut::default();
    rib.touch(prefix("10.0.0.1/32"));
    rib.take(100, by(1));
    rib.send_again([prefix("10.0.0.1/32")].into_iter());
    assert_eq!(text(&rib.take(100, by(1))), ["+10.0.0.1/32 192.0.2.1"]);
    rib.touch(prefix("10.0.0.1/32"));
    assert!(text(&rib.take(100, by(1))).is_empty());
    assert_eq!(rib.take_all(), [prefix("10.0.0.1/32")]);
    assert_eq!(rib.len(), 0);
}

#[test]
fn what_does_not_fit_is_withdrawn_where_an_older_version_is() {
    let mut rib = AdjOut::default();
    rib.touch(prefix("10.0.0.1/32"));
    rib.take(100, by(1));
    assert_eq!(
        rib.refuse(&[prefix("10.0.0.1/32"), prefix("10.0.0.2/32")]),
        [prefix("10.0.0.1/32")]
    );
    assert_eq!(rib.len(), 0);
}
