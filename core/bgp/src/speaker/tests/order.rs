//! What goes out before what.

use alloc::format;

use super::net::{announcement, name};
use super::raw::Raw;
use crate::*;

#[test]
fn withdraws_can_be_asked_for_alone() {
    let mut raw = Raw::established();
    let announce = |raw: &mut Raw, n: u32| {
        let prefix = format!("10.{}.{}.{}/32", n >> 16, n >> 8 & 255, n & 255);
        let announcement = announcement(&prefix);
        let id = announcement.id;
        raw.speaker.announce(raw.now, announcement);
        id
    };
    let first = announce(&mut raw, 0);
    raw.drain();
    for n in 1..20_000 {
        announce(&mut raw, n);
    }
    assert_eq!(raw.speaker.poll_withdraw(raw.now), None, "nothing is gone");
    assert!(raw.speaker.withdraw(raw.now, &first));
    let transmit = raw.speaker.poll_withdraw(raw.now).unwrap();
    let before = raw.speaker.peer(&name("peer")).unwrap().sent;
    assert_eq!(before.withdrawn, 1, "{} bytes", transmit.bytes.len());
    assert!(before.announced < 10_000, "the rest waits");
    assert_eq!(raw.speaker.poll_withdraw(raw.now), None);
    assert!(raw.speaker.poll_transmit(raw.now).is_some());
}
