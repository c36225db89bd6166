//! Caches that are broken or hostile: what they are answered, and that the last good set counts on.

use RpkiState::{NotFound, Valid};

use super::*;
use crate::cache::MAX_RECORDS;

const RESPONSE: Pdu<'_> = Pdu::CacheResponse { session: 1 };

fn prefix(announce: bool, vrp: Vrp) -> Pdu<'static> {
    Pdu::Prefix {
        announce,
        vrp: Some(vrp),
    }
}

fn host(number: u32) -> Vrp {
    let addr = core::net::Ipv4Addr::from_bits(number);
    Vrp::new(Prefix::host(addr.into()), 32, 1).unwrap()
}

/// What a synced cache with A says when it is asked for news, what it is answered, and the failure.
#[test]
fn nonsense_is_answered_with_its_code_and_changes_nothing() {
    let unasked = "nothing was asked that this is an answer to";
    let rows: [(&[Pdu<'_>], ErrorCode, &str); 9] = [
        (
            &[RESPONSE, prefix(false, vrp(B, 1)), end(1, 11)],
            ErrorCode::UNKNOWN_WITHDRAWAL,
            "198.51.100.0/24 AS1 is withdrawn, and was not there",
        ),
        (
            &[RESPONSE, prefix(true, vrp(A, 1)), end(1, 11)],
            ErrorCode::DUPLICATE,
            "192.0.2.0/24 AS1 is announced twice",
        ),
        (
            &[
                RESPONSE,
                prefix(true, vrp(B, 1)),
                prefix(true, vrp(B, 1)),
                end(1, 11),
            ],
            ErrorCode::DUPLICATE,
            "198.51.100.0/24 AS1 is announced twice",
        ),
        (&[prefix(true, vrp(B, 1))], ErrorCode::CORRUPT_DATA, unasked),
        (&[end(1, 11)], ErrorCode::CORRUPT_DATA, unasked),
        (&[RESPONSE, RESPONSE], ErrorCode::CORRUPT_DATA, unasked),
        (
            &[RESPONSE, end(2, 11)],
            ErrorCode::CORRUPT_DATA,
            "its session id is another than at its beginning",
        ),
        (
            &[RESPONSE, Pdu::CacheReset],
            ErrorCode::CORRUPT_DATA,
            unasked,
        ),
        (
            &[Pdu::ResetQuery],
            ErrorCode::CORRUPT_DATA,
            "only a router asks that",
        ),
    ];
    for (said, code, reason) in rows {
        let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
        bed.pass(3600);
        bed.done();
        bed.say(conn, 1, said);
        let text = format!(
            "a: it sent what cannot be ({code}): {reason}; the connection is closed; asked again in "
        );
        match bed.done().as_slice() {
            [Did::Error(_, told), Did::Close(closed), Did::Told(why)] => {
                assert_eq!((*told, *closed), (code, conn), "{said:?}");
                assert!(why.starts_with(&text), "{why}");
            }
            other => panic!("{said:?}: {other:?}"),
        }
        assert_eq!(bed.judged(), [Valid, NotFound], "{said:?}");
        // More of the same is nobody's.
        bed.say(conn, 1, said);
        assert_eq!(bed.done(), []);
        // It is asked again, not before the retry interval.
        let again = bed.caches.poll_timeout().unwrap().since(bed.now);
        assert!(again > Duration::from_secs(449) && again <= Duration::from_secs(600));
    }
}

#[test]
fn after_records_that_cannot_be_all_is_asked_for() {
    let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
    bed.pass(3600);
    bed.done();
    bed.answer(conn, 1, 11, &[(true, vrp(A, 1))]);
    bed.pass(600);
    let conn = bed.open();
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::All(1))]);
    bed.answer(conn, 1, 11, &[(true, vrp(B, 1))]);
    assert_eq!(bed.judged(), [NotFound, Valid]);
}

#[test]
fn bytes_that_are_no_pdu() {
    for (bytes, code) in [
        (&[1, 9, 0, 0, 0, 1, 0, 0][..], ErrorCode::CORRUPT_DATA),
        (&[1, 3, 0, 0, 0, 0, 0, 0], ErrorCode::CORRUPT_DATA),
        (&[1, 77, 0, 0, 0, 0, 0, 8], ErrorCode::UNSUPPORTED_PDU),
        (&[2, 3, 0, 1, 0, 0, 0, 8], ErrorCode::UNSUPPORTED_VERSION),
    ] {
        let mut bed = Bed::new([config("a", 100)]);
        let conn = bed.open();
        bed.done();
        bed.caches.handle_data(bed.now, conn, bytes);
        let acts = bed.acts();
        assert_eq!(
            acts,
            [Did::Error(conn, code), Did::Close(conn)],
            "{bytes:?}"
        );
    }
    // An error that is none is not answered with one.
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    bed.done();
    let bytes = [1, 10, 0, 0, 0, 1, 0, 0];
    bed.caches.handle_data(bed.now, conn, &bytes);
    assert_eq!(bed.acts(), [Did::Close(conn)]);
}

#[test]
fn another_version_all_at_once() {
    let (mut bed, conn) = Bed::synced(&[]);
    let notify = Pdu::SerialNotify {
        session: 1,
        serial: Serial(11),
    };
    bed.say(conn, 0, &[notify]);
    let code = ErrorCode::UNEXPECTED_VERSION;
    assert_eq!(bed.acts(), [Did::Error(conn, code), Did::Close(conn)]);
}

#[test]
fn half_a_pdu_and_then_silence() {
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    bed.say(conn, 1, &[RESPONSE]);
    bed.caches.handle_data(bed.now, conn, &[1, 4, 0, 0, 0, 0]);
    bed.done();
    bed.pass(59);
    assert_eq!(bed.done(), []);
    bed.pass(1);
    let told = bed.done();
    let [Did::Close(_), Did::Told(why)] = told.as_slice() else {
        panic!("{told:?}");
    };
    let text = "a: silent for 60 s in the middle of an answer; asked again in ";
    assert!(why.starts_with(text), "{why}");
}

#[test]
fn no_answer_at_all() {
    let mut bed = Bed::new([config("a", 100)]);
    let Some(Did::Connect(conn, _)) = bed.done().pop() else {
        panic!("nobody connects");
    };
    bed.pass(30);
    let told = "a: cannot be reached: no answer within 30 s; asked again in 1 s";
    assert_eq!(bed.done(), [Did::Close(conn), Did::Told(told.to_owned())]);
    bed.pass(1);
    let conn = bed.open();
    bed.done();
    // Serial Notify is no answer.
    let notify = Pdu::SerialNotify {
        session: 1,
        serial: Serial(1),
    };
    bed.say(conn, 1, &[notify]);
    bed.pass(60);
    let told = bed.told();
    let text = "a: no answer to a question within 60 s; ";
    assert!(told[0].starts_with(text), "{told:?}");
}

#[test]
fn a_drip_of_records_ends() {
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    bed.say(conn, 1, &[RESPONSE]);
    bed.done();
    let mut told = Vec::new();
    for n in 0..40 {
        bed.say(conn, 1, &[prefix(true, host(n))]);
        bed.pass(30);
        told.extend(bed.told());
    }
    let text = "a: an answer was not at its end after 15 minutes; ";
    assert!(told[0].starts_with(text), "{told:?}");
}

#[test]
fn records_without_end() {
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    bed.say(conn, 1, &[RESPONSE]);
    bed.done();
    let mut bytes = Vec::new();
    for n in 0..1000 {
        prefix(true, host(n)).write(1, &mut bytes);
    }
    let mut said = 0;
    let receiving = |bed: &Bed| bed.states() == [CacheState::Receiving];
    while receiving(&bed) {
        bed.caches.handle_data(bed.now, conn, &bytes);
        said += 1000;
        assert!(said <= MAX_RECORDS + 1000);
    }
    assert_eq!(said, MAX_RECORDS + 1000);
    let done = bed.done();
    let code = ErrorCode::INTERNAL;
    assert_eq!(done[..2], [Did::Error(conn, code), Did::Close(conn)]);
    assert_eq!(bed.judged(), [NotFound, NotFound]);
}

#[test]
fn errors_that_a_cache_tells() {
    let (mut bed, conn) = Bed::synced(&[vrp(A, 1)]);
    bed.pass(3600);
    bed.done();
    let error = |code, text| Pdu::ErrorReport { code, text };
    let text = b"no\x1b[31m\xffsuch";
    bed.say(conn, 1, &[error(ErrorCode::INVALID_REQUEST, text)]);
    let done = bed.done();
    let [Did::Close(_), Did::Told(why)] = done.as_slice() else {
        panic!("{done:?}");
    };
    let text =
        "a: it told an error: invalid request: \"no\\u{1b}[31m\u{fffd}such\"; asked again in";
    assert!(why.starts_with(text), "{why}");
    // It may be the serial that it does not like.
    bed.pass(600);
    let conn = bed.open();
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::All(1))]);
    bed.say(conn, 1, &[error(ErrorCode::NO_DATA, b"")]);
    let told = bed.told();
    let text = "a: it told an error: no data available; asked";
    assert!(told[0].starts_with(text), "{told:?}");
    assert_eq!(bed.judged(), [Valid, NotFound]);
}

#[test]
fn a_cache_that_answers_in_version_0() {
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    bed.done();
    bed.say(conn, 0, &[RESPONSE, prefix(true, vrp(A, 1)), end(1, 10)]);
    assert_eq!(bed.judged(), [Valid, NotFound]);
    bed.pass(3600);
    assert_eq!(bed.acts(), [Did::Asked(conn, Query::News(0, 1, 10))]);
}

#[test]
fn a_cache_that_tells_that_it_knows_only_version_0_is_asked_again_at_once() {
    let mut bed = Bed::new([config("a", 100)]);
    let conn = bed.open();
    bed.done();
    let error = Pdu::ErrorReport {
        code: ErrorCode::UNSUPPORTED_VERSION,
        text: b"",
    };
    bed.say(conn, 0, &[error]);
    let acts = bed.acts();
    let [Did::Close(_), Did::Connect(next, _)] = acts.as_slice() else {
        panic!("{acts:?}");
    };
    bed.caches.handle_connected(bed.now, *next);
    assert_eq!(bed.acts(), [Did::Asked(*next, Query::All(0))]);
    // A second error of that kind is a failure.
    bed.say(*next, 0, &[error]);
    assert_eq!(bed.acts(), [Did::Close(*next)]);
}

#[test]
fn to_a_cache_that_just_hangs_up_both_versions_are_spoken_in_turn() {
    let mut bed = Bed::new([config("a", 100)]);
    for version in [1, 0, 1] {
        let conn = bed.open();
        assert_eq!(bed.acts(), [Did::Asked(conn, Query::All(version))]);
        bed.caches.handle_closed(bed.now, conn, "end of stream");
        bed.pass(600);
    }
}
