//! What goes well: asked for all, for what is new, and when.

use RpkiState::{NotFound, Valid};

use super::*;

#[test]
fn all_is_asked_for_once_and_then_what_is_new() {
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::All(1))]);
    bed.say(conn, 1, &[Pdu::CacheResponse { session: 1 }]);
    let come = |prefix, asn| Pdu::Prefix {
        announce: true,
        vrp: Some(vrp(prefix, asn)),
    };
    bed.say(conn, 1, &[come(A, 1), Pdu::Ignored]);
    // Nothing counts before its end.
    assert_eq!(bed.judged(), [NotFound, NotFound]);
    assert_eq!(bed.states(), [CacheState::Receiving]);
    bed.say(conn, 1, &[end(1, 10)]);
    assert_eq!(bed.told(), ["a: it says 1 VRPs, serial 10"]);
    assert_eq!(bed.judged(), [Valid, NotFound]);
    assert_eq!(bed.states(), [CacheState::Synced]);
    bed.pass(3599);
    assert_eq!(bed.acts(), []);
    bed.pass(1);
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::News(1, 1, 10))]);
    bed.answer(conn, 1, 11, &[(true, vrp(B, 1)), (false, vrp(A, 1))]);
    assert_eq!(
        bed.told(),
        ["a: 1 VRPs came and 1 went; it says 1, serial 11"]
    );
    assert_eq!(bed.judged(), [NotFound, Valid]);
    // Nothing new is not worth a word.
    bed.pass(3600);
    bed.done();
    bed.answer(conn, 1, 11, &[]);
    assert_eq!(bed.done(), []);
    let status = bed.caches.statuses().next().unwrap();
    assert_eq!(status.session, Some((1, Serial(11))));
    assert_eq!((status.version, status.records), (Some(1), [1, 0]));
    assert_eq!(status.updated, Some(bed.now));
    assert_eq!(status.next, Some(bed.now + Duration::from_secs(3600)));
    assert_eq!(status.expires, Some(bed.now + Duration::from_secs(7200)));
}

#[test]
fn bytes_come_one_by_one() {
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    let mut bytes = Vec::new();
    Pdu::CacheResponse { session: 1 }.write(1, &mut bytes);
    let prefix = Pdu::Prefix {
        announce: true,
        vrp: Some(vrp("2001:db8::/32", 1)),
    };
    prefix.write(1, &mut bytes);
    end(1, 10).write(1, &mut bytes);
    for byte in bytes {
        bed.caches.handle_data(bed.now, conn, &[byte]);
    }
    bed.done();
    assert_eq!(bed.table.len(Family::Ipv6), 1);
}

#[test]
fn news_are_asked_for_at_once_but_not_without_a_pause() {
    let (mut bed, conn) = Bed::synced(&[]);
    let notify = |session, serial| Pdu::SerialNotify {
        session,
        serial: Serial(serial),
    };
    let news = |serial| Did::Asked(conn, Query::News(1, 1, serial));
    // Nothing that is not known already.
    bed.pass(100);
    bed.say(conn, 1, &[notify(1, 10), notify(1, 9)]);
    assert_eq!(bed.acts(), []);
    bed.say(conn, 1, &[notify(1, 11), notify(1, 12)]);
    assert_eq!(bed.acts(), [news(10)]);
    bed.answer(conn, 1, 12, &[]);
    bed.say(conn, 1, &[notify(1, 13)]);
    assert_eq!(bed.acts(), []);
    bed.pass(1);
    assert_eq!(bed.acts(), [news(12)]);
    // What was told in the middle of an answer is not forgotten.
    let response = Pdu::CacheResponse { session: 1 };
    bed.say(conn, 1, &[response, notify(1, 14), end(1, 13)]);
    assert_eq!(bed.acts(), []);
    bed.pass(1);
    assert_eq!(bed.acts(), [news(13)]);
    bed.say(conn, 1, &[response, notify(1, 14), end(1, 14)]);
    bed.pass(1);
    assert_eq!(bed.acts(), []);
}

#[test]
fn a_cache_that_began_anew_is_asked_for_all_and_its_old_set_counts_till_then() {
    let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
    bed.pass(100);
    let notify = Pdu::SerialNotify {
        session: 2,
        serial: Serial(1),
    };
    bed.say(conn, 1, &[notify]);
    assert_eq!(
        bed.done(),
        [
            Did::Told("a: it began anew and is asked for everything".to_owned()),
            Did::Asked(conn, Query::All(1))
        ]
    );
    assert_eq!(bed.judged(), [Valid, NotFound]);
    bed.answer(conn, 2, 1, &[(true, vrp(B, 1))]);
    assert_eq!(bed.judged(), [NotFound, Valid]);
    // The same with a Cache Reset.
    bed.pass(3600);
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::News(1, 2, 1))]);
    bed.say(conn, 1, &[Pdu::CacheReset]);
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::All(1))]);
    bed.answer(conn, 3, 1, &[(true, vrp(A, 1))]);
    assert_eq!(bed.judged(), [Valid, NotFound]);
}

#[test]
fn another_session_in_an_answer_is_an_error() {
    let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
    bed.pass(3600);
    bed.done();
    bed.say(conn, 1, &[Pdu::CacheResponse { session: 9 }]);
    assert_eq!(
        bed.acts(),
        [Did::Error(conn, ErrorCode::CORRUPT_DATA), Did::Close(conn)]
    );
    assert_eq!(bed.judged(), [Valid, NotFound]);
    bed.pass(600);
    let conn = bed.open();
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::All(1))]);
}

#[test]
fn a_lost_cache_is_asked_for_what_is_new_when_it_is_back() {
    let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
    bed.caches.handle_closed(bed.now, conn, "reset by peer");
    assert_eq!(
        bed.told(),
        [
            "a: the connection ended: reset by peer; asked again in 1 s; \
          the 1 VRPs that it said count until they are too old"
        ]
    );
    bed.pass(1);
    let conn = bed.open();
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::News(1, 1, 10))]);
}

#[test]
fn attempts_to_connect_become_rarer_and_a_repeated_failure_is_told_once() {
    let mut bed = Bed::new([config("a", 100)]);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let done = bed.done();
        let Some(Did::Connect(conn, _)) = done.last() else {
            panic!("{done:?}");
        };
        bed.caches.handle_connect_failed(bed.now, *conn, "refused");
        let told = bed.told();
        assert_eq!(told.len(), usize::from(waits.is_empty()), "{told:?}");
        let next = bed.caches.poll_timeout().unwrap();
        waits.push(next.since(bed.now));
        bed.now = next;
        bed.caches.handle_timeout(next);
    }
    for (n, wait) in waits.iter().enumerate() {
        let most = Duration::from_secs((1 << n).min(600));
        let least = most * 3 / 4;
        assert!((least..=most).contains(wait), "{n}: {wait:?}");
    }
}

#[test]
fn what_is_too_old_does_not_count() {
    let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
    bed.caches.handle_closed(bed.now, conn, "gone");
    let expires = bed.now + Duration::from_secs(7200);
    loop {
        for action in bed.acts() {
            if let Did::Connect(conn, _) = action {
                bed.caches.handle_connect_failed(bed.now, conn, "refused");
            }
        }
        let next = bed.caches.poll_timeout().unwrap();
        if next >= expires {
            break;
        }
        assert_eq!(bed.judged(), [Valid, NotFound]);
        bed.now = next;
        bed.caches.handle_timeout(next);
    }
    bed.now = expires;
    bed.caches.handle_timeout(bed.now);
    let told = bed.told();
    let expired =
        "a: it could not be asked for too long: the 1 VRPs that it said do not count any more";
    assert!(told.iter().any(|text| text == expired), "{told:?}");
    assert_eq!(bed.judged(), [NotFound, NotFound]);
}

#[test]
fn own_intervals_stand_before_those_of_the_cache() {
    let own = CacheConfig {
        refresh: Some(Duration::from_secs(10)),
        ..config("a", 100)
    };
    let mut bed = Bed::new([own]);
    let conn = bed.open();
    bed.answer(conn, 1, 10, &[]);
    bed.done();
    bed.pass(10);
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::News(1, 1, 10))]);
    bed.answer(conn, 1, 10, &[]);
    // Without them those of the cache hold again, at once and on the same connection.
    bed.caches.set(bed.now, vec![config("a", 100)]);
    bed.pass(10);
    assert_eq!(bed.acts(), []);
    bed.pass(3590);
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::News(1, 1, 10))]);
}
