//! Messages and their parts, written by hand: the tests must not trust the encoder that they test.

use tapway_bgp_wire::{DecodeContext, NotificationError, Update};

pub(crate) const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
pub(crate) const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9];
pub(crate) const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
/// 198.51.100.0/24
pub(crate) const NLRI: &[u8] = &[24, 198, 51, 100];
/// 2001:db8:1::/48 by 2001:db8::1
pub(crate) const MP_REACH: &[u8] = &[
    0x80, 14, 28, 0, 2, 1, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 48, 0x20,
    1, 0xd, 0xb8, 0, 1,
];

/// Each byte of a text like `00 0a ff`; white space means nothing.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hex digit") as u8;
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// One attribute.
pub(crate) fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).expect("a short attribute");
    [&[flags, code, len], value].concat()
}

/// A whole message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len() + 19).expect("a short message");
    [&[0xff; 16], &len.to_be_bytes()[..], &[kind], body].concat()
}

/// The body of an UPDATE.
pub(crate) fn update(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let len = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    [
        &len(withdrawn)[..],
        withdrawn,
        &len(&attributes)[..],
        &attributes,
        nlri,
    ]
    .concat()
}

/// Decodes the body of an UPDATE from an external peer with four-octet AS numbers.
pub(crate) fn decode(body: &[u8]) -> Result<Update<'_>, NotificationError> {
    Update::decode(body, &DecodeContext::default())
}

/// What an UPDATE calls reachable, as text.
pub(crate) fn reach(update: &Update<'_>) -> Vec<String> {
    let run = |reach: &tapway_bgp_wire::Reach<'_>| {
        let next_hop = reach.next_hop;
        reach
            .nlri
            .iter()
            .map(move |entry| match entry.path_id {
                0 => format!("{} via {next_hop}", entry.prefix),
                id => format!("{} #{id} via {next_hop}", entry.prefix),
            })
            .collect::<Vec<_>>()
    };
    update.reach().flat_map(run).collect()
}

/// What it calls unreachable, as text.
pub(crate) fn unreach(update: &Update<'_>) -> Vec<String> {
    update
        .unreach()
        .flat_map(|nlri| nlri.iter())
        .map(|entry| match entry.path_id {
            0 => entry.prefix.to_string(),
            id => format!("{} #{id}", entry.prefix),
        })
        .collect()
}
