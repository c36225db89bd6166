use alloc::format;
use alloc::string::String;

use super::*;

fn seconds(refresh: u64, retry: u64, expire: u64) -> Timing {
    Timing {
        refresh: Duration::from_secs(refresh),
        retry: Duration::from_secs(retry),
        expire: Duration::from_secs(expire),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn vrp(prefix: &str, max_len: u8, asn: u32) -> Option<Vrp> {
    Vrp::new(prefix.parse().unwrap(), max_len, asn)
}

/// Layouts as the RFC draws them (§5).
#[test]
fn bytes_and_values() {
    let rows = [
        (
            "01 00 1234 0000000c 00000007",
            Pdu::SerialNotify {
                session: 0x1234,
                serial: Serial(7),
            },
        ),
        (
            "00 01 1234 0000000c 00000007",
            Pdu::SerialQuery {
                session: 0x1234,
                serial: Serial(7),
            },
        ),
        ("01 02 0000 00000008", Pdu::ResetQuery),
        (
            "01 03 beef 00000008",
            Pdu::CacheResponse { session: 0xbeef },
        ),
        (
            "01 04 0000 00000014 01 18 19 00 c0000200 0000fbf4",
            Pdu::Prefix {
                announce: true,
                vrp: vrp("192.0.2.0/24", 25, 64500),
            },
        ),
        (
            "00 06 0000 00000020 00 20 30 00 20010db8 00000000 00000000 00000000 fffffffe",
            Pdu::Prefix {
                announce: false,
                vrp: vrp("2001:db8::/32", 48, 0xffff_fffe),
            },
        ),
        (
            "01 07 beef 00000018 00000009 00000e10 00000258 00001c20",
            Pdu::EndOfData {
                session: 0xbeef,
                serial: Serial(9),
                timing: Some(seconds(3600, 600, 7200)),
            },
        ),
        (
            "00 07 beef 0000000c 00000009",
            Pdu::EndOfData {
                session: 0xbeef,
                serial: Serial(9),
                timing: None,
            },
        ),
        ("01 08 0000 00000008", Pdu::CacheReset),
        (
            "01 0a 0002 00000013 00000000 00000003 656d70",
            Pdu::ErrorReport {
                code: ErrorCode::NO_DATA,
                text: b"emp",
            },
        ),
    ];
    for (hex, pdu) in rows {
        let bytes = bytes(hex);
        let version = bytes[0];
        let frame = Frame {
            version,
            pdu: Some(pdu),
            bytes: &bytes,
        };
        assert_eq!(Frame::next(&bytes), Ok(Some(frame)), "{hex}");
        for len in 0..bytes.len() {
            assert_eq!(Frame::next(&bytes[..len]), Ok(None), "{len} of {hex}");
        }
        let mut written = Vec::new();
        pdu.write(version, &mut written);
        assert_eq!(written, bytes, "{hex}");
    }
}

#[test]
fn what_is_read_over() {
    for hex in [
        // A router key; an ASPA record; addresses that no route has.
        "01 09 0100 00000024 0102030405060708090a0b0c0d0e0f1011121314 0000fbf4 30590000",
        "01 0b 0100 00000010 0000fbf4 0000fbf5",
    ] {
        let bytes = bytes(hex);
        let frame = Frame::next(&bytes).unwrap().unwrap();
        assert_eq!(frame.pdu, Some(Pdu::Ignored), "{hex}");
        assert_eq!(frame.bytes.len(), bytes.len());
    }
    let mapped =
        bytes("01 06 0000 00000020 01 78 80 00 00000000 00000000 0000ffff c0000200 0000fbf4");
    let Ok(Some(Frame { pdu: Some(pdu), .. })) = Frame::next(&mapped) else {
        panic!("it is a PDU");
    };
    assert_eq!(
        pdu,
        Pdu::Prefix {
            announce: true,
            vrp: None
        }
    );
}

#[test]
fn other_versions_are_seen_but_not_read() {
    let two = bytes("02 03 0001 00000008");
    let frame = Frame::next(&two).unwrap().unwrap();
    assert_eq!(
        (frame.version, frame.pdu, frame.is_notify()),
        (2, None, false)
    );
    let notify = bytes("02 00 0001 0000000c 00000001");
    assert!(Frame::next(&notify).unwrap().unwrap().is_notify());
    let error = bytes("02 0a 0004 00000010 00000000 00000000");
    let pdu = Pdu::ErrorReport {
        code: ErrorCode::UNSUPPORTED_VERSION,
        text: b"",
    };
    assert_eq!(Frame::next(&error).unwrap().unwrap().pdu, Some(pdu));
}

#[test]
fn what_is_no_pdu() {
    let rows = [
        ("01 03 0000 00000007", "0 a PDU is shorter than its header"),
        ("01 09 0000 00010000", "0 a PDU is longer than 65535 bytes"),
        (
            "01 0a 0000 ffffffff",
            "0 a PDU is longer than 65535 bytes, an error",
        ),
        (
            "01 07 0000 0000000c",
            "0 a PDU has not the length of its type",
        ),
        (
            "00 07 0000 00000018",
            "0 a PDU has not the length of its type",
        ),
        (
            "01 04 0000 00000013",
            "0 a PDU has not the length of its type",
        ),
        (
            "01 05 0000 00000008",
            "5 a PDU has a type that is not known",
        ),
        (
            "01 04 0000 00000014 01 21 21 00 c0000200 00000001",
            "0 a prefix is longer than an address",
        ),
        (
            "01 04 0000 00000014 01 18 17 00 c0000200 00000001",
            "0 a maximum length does not fit to its prefix",
        ),
        (
            "01 04 0000 00000014 01 18 21 00 c0000200 00000001",
            "0 a maximum length does not fit to its prefix",
        ),
        (
            "01 04 0000 00000014 01 18 18 00 c0000201 00000001",
            "0 a prefix has bits behind its length",
        ),
        (
            "01 0a 0000 0000000c 00000001",
            "0 a PDU is too short, an error",
        ),
        (
            "01 0a 0000 00000010 00000000 00000001",
            "0 a PDU is too short, an error",
        ),
    ];
    for (hex, why) in rows {
        let bytes = bytes(hex);
        let found = Frame::next(&bytes).map_err(|fault| {
            let error = if fault.of_error { ", an error" } else { "" };
            format!("{} {}{error}", fault.code.0, fault.reason)
        });
        assert_eq!(found, Err(String::from(why)), "{hex}");
    }
}

#[test]
fn an_error_quotes_what_there_is_room_for() {
    let mut out = Vec::new();
    write_error(
        1,
        ErrorCode::CORRUPT_DATA,
        &[7; MAX_LEN],
        &[b'x'; 5000],
        &mut out,
    );
    assert_eq!(out.len(), MAX_LEN);
    let Ok(Some(frame)) = Frame::next(&out) else {
        panic!("it is a PDU");
    };
    let text = [b'x'; 1024];
    let pdu = Pdu::ErrorReport {
        code: ErrorCode::CORRUPT_DATA,
        text: &text,
    };
    assert_eq!(frame.pdu, Some(pdu));
}
