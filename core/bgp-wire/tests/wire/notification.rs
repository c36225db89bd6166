//! NOTIFICATIONs to and from bytes, and as people read them (RFC 9003, RFC 8538).

use tapway_bgp_wire::{ErrorCode, Notification};

use crate::bytes::message;

fn encoded(notification: &Notification) -> Vec<u8> {
    let mut out = Vec::new();
    notification.encode(&mut out);
    out
}

#[test]
fn for_people() {
    let rows: &[(&[u8], &str)] = &[
        (&[4, 0], "Hold Timer Expired"),
        (&[6, 7], "Cease: Connection Collision Resolution"),
        (&[6, 10], "Cease: BFD Down"),
        (&[8, 0], "Send Hold Timer Expired"),
        (&[2, 11], "OPEN Message Error: Role Mismatch"),
        (
            &[5, 3],
            "Finite State Machine Error: Unexpected Message in Established",
        ),
        (&[6, 99], "Cease: subcode 99"),
        (&[99, 3, 1], "error code 99 subcode 3 (data 01)"),
        (
            &[2, 1, 0, 4],
            "OPEN Message Error: Unsupported Version Number (data 00 04)",
        ),
        (&[6, 2], "Cease: Administrative Shutdown"),
        (b"\x06\x02\x00", "Cease: Administrative Shutdown (data 00)"),
        (
            b"\x06\x02\x07tonight",
            "Cease: Administrative Shutdown: \"tonight\"",
        ),
        (
            b"\x06\x04\x04a\xff\nb",
            "Cease: Administrative Reset: \"a\u{fffd}\u{fffd}b\"",
        ),
        (
            b"\x06\x02\x09short",
            "Cease: Administrative Shutdown (data 09 73 68 6f 72 74)",
        ),
        (
            b"\x06\x02\x01ab",
            "Cease: Administrative Shutdown (data 01 61 62)",
        ),
        (
            b"\x06\x01\x02ok",
            "Cease: Maximum Number of Prefixes Reached (data 02 6f 6b)",
        ),
        (&[6, 9], "Cease: Hard Reset"),
        (&[6, 9, 4, 0], "Cease: Hard Reset (Hold Timer Expired)"),
        (
            b"\x06\x09\x06\x02\x02ok",
            "Cease: Hard Reset (Cease: Administrative Shutdown): \"ok\"",
        ),
        (&[6, 9, 6, 9, 6, 9], "Cease: Hard Reset (Cease: Hard Reset)"),
    ];
    for (body, want) in rows {
        let decoded = Notification::decode(body).unwrap();
        assert_eq!(decoded.to_string(), *want);
        assert_eq!(encoded(&decoded), message(3, body), "bit for bit");
    }
    assert!(Notification::decode(&[]).is_err());
    assert!(Notification::decode(&[6]).is_err());
}

#[test]
fn a_shutdown_has_a_text_of_at_most_255_bytes() {
    let of = |text: &str| Notification::with_message(ErrorCode::CEASE_ADMIN_SHUTDOWN, text);
    assert_eq!(encoded(&of("moved")), message(3, b"\x06\x02\x05moved"));
    assert_eq!(encoded(&of("")), message(3, b"\x06\x02"));
    let long = "ä".repeat(200);
    let cut = of(&long);
    assert_eq!(
        cut.data.len(),
        255,
        "254 bytes, as a character is not split"
    );
    assert_eq!(cut.message().unwrap(), "ä".repeat(127));
    let hard = of("moved").into_hard_reset();
    assert_eq!(encoded(&hard), message(3, b"\x06\x09\x06\x02\x05moved"));
    assert_eq!(hard.enclosed(), Some(of("moved")));
    assert_eq!(hard.message().as_deref(), Some("moved"));
}

#[test]
fn long_data_is_cut() {
    let long = Notification {
        error: ErrorCode::MALFORMED_ATTRIBUTE_LIST,
        data: vec![7; 70_000],
    };
    let bytes = encoded(&long);
    assert_eq!(bytes.len(), 4096);
    assert_eq!(bytes[16..18], 4096u16.to_be_bytes());
    assert!(long.to_string().ends_with("07 …)"));
}

#[test]
fn every_code_has_one_name() {
    for (i, code) in ErrorCode::NAMED.iter().enumerate() {
        for other in &ErrorCode::NAMED[..i] {
            assert_ne!(code, other);
            assert_ne!(code.name(), other.name());
        }
    }
}
