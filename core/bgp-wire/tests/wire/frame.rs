//! Messages out of a stream, and what wrong headers cost (RFC 4271 §6.1, RFC 8654).

use tapway_bgp_wire::{
    DecodeContext, ErrorCode, Frame, MAX_LEN, MAX_LEN_EXTENDED, Message, MessageType,
    NotificationError, RefreshSubtype, RouteRefresh, encode_keepalive,
};

use crate::bytes::message;

fn header(len: u16, kind: u8) -> Vec<u8> {
    [&[0xff; 16], &len.to_be_bytes()[..], &[kind]].concat()
}

fn error(buf: &[u8], max_len: usize) -> NotificationError {
    Frame::next(buf, max_len).expect_err("a bad header")
}

#[test]
fn a_stream_is_split() {
    let mut stream = message(2, &[0; 4]);
    encode_keepalive(&mut stream);
    stream.extend_from_slice(&message(3, &[6, 2, 9])[..20]);
    let (first, frame) = Frame::next(&stream, MAX_LEN).unwrap().unwrap();
    assert_eq!(
        (first, frame.kind(), frame.body()),
        (23, MessageType::Update, &[0; 4][..])
    );
    let (second, frame) = Frame::next(&stream[first..], MAX_LEN).unwrap().unwrap();
    assert_eq!(
        (second, frame.kind(), frame.body()),
        (19, MessageType::Keepalive, &[][..])
    );
    assert_eq!(Frame::next(&stream[first + second..], MAX_LEN), Ok(None));
    assert_eq!(
        frame.decode(&DecodeContext::default()),
        Ok(Message::Keepalive)
    );
}

#[test]
fn a_corrupt_marker() {
    for at in 0..16 {
        let mut bytes = header(19, 4);
        bytes[at] = 0xfe;
        let error = error(&bytes, MAX_LEN);
        assert_eq!(
            (error.code, error.data.as_slice()),
            (ErrorCode::NOT_SYNCHRONIZED, &[][..])
        );
    }
}

#[test]
fn lengths() {
    let rows: &[(u16, u8, usize, bool)] = &[
        (18, 4, MAX_LEN, false),
        (0, 2, MAX_LEN, false),
        (19, 4, MAX_LEN, true),
        (20, 4, MAX_LEN_EXTENDED, false),
        (28, 1, MAX_LEN, false),
        (29, 1, MAX_LEN, true),
        (4096, 1, MAX_LEN_EXTENDED, true),
        (4097, 1, MAX_LEN_EXTENDED, false),
        (22, 2, MAX_LEN, false),
        (23, 2, MAX_LEN, true),
        (4096, 2, MAX_LEN, true),
        (4097, 2, MAX_LEN, false),
        (4097, 2, MAX_LEN_EXTENDED, true),
        (65535, 2, MAX_LEN_EXTENDED, true),
        (20, 3, MAX_LEN, false),
        (21, 3, MAX_LEN, true),
        (65535, 3, MAX_LEN_EXTENDED, true),
        (22, 5, MAX_LEN, false),
        (23, 5, MAX_LEN, true),
    ];
    for (len, kind, max_len, good) in rows {
        match Frame::next(&header(*len, *kind), *max_len) {
            Ok(_) => assert!(good, "{len} of {kind}"),
            Err(error) => {
                assert!(!good, "{len} of {kind}: {error}");
                assert_eq!(error.code, ErrorCode::BAD_LENGTH);
                assert_eq!(error.data, len.to_be_bytes(), "the length is told");
            }
        }
    }
}

#[test]
fn unknown_types() {
    for kind in [0, 6, 255] {
        let error = error(&header(19, kind), MAX_LEN);
        assert_eq!(
            (error.code, error.data.as_slice()),
            (ErrorCode::BAD_TYPE, &[kind][..])
        );
    }
}

#[test]
fn route_refresh() {
    for (bytes, want) in [
        ([0, 1, 0, 1], Ok(RefreshSubtype::Request)),
        ([0, 1, 1, 1], Ok(RefreshSubtype::Begin)),
        ([0, 1, 2, 1], Ok(RefreshSubtype::End)),
        ([0, 1, 7, 1], Ok(RefreshSubtype::Unknown(7))),
    ] {
        let decoded = RouteRefresh::decode(&bytes);
        assert_eq!(decoded.clone().map(|refresh| refresh.subtype), want);
        let mut again = Vec::new();
        decoded.unwrap().encode(&mut again);
        assert_eq!(again, message(5, &bytes));
    }
    // RFC 7313 §5: the whole message is told.
    for body in [&[0, 1, 1, 1, 0][..], &[0, 1, 2, 1, 0, 0]] {
        let error = RouteRefresh::decode(body).unwrap_err();
        assert_eq!(error.code, ErrorCode::ROUTE_REFRESH_LENGTH);
        assert_eq!(error.data, message(5, body));
    }
    assert!(
        RouteRefresh::decode(&[0, 1, 0, 1, 1, 0x40]).is_ok(),
        "filters that were not asked for"
    );
}
