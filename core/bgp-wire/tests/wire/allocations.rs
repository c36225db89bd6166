//! What decoding an UPDATE of 500 prefixes may allocate: at most twice, and nothing at all for the usual one.

use tapway_bgp_wire::{DecodeContext, PerFamily, Update};

use crate::bytes::{AS_PATH, NEXT_HOP, ORIGIN, attribute, hex, update};

const MED: &[u8] = &[0x80, 4, 4, 0, 0, 0, 50];

/// 500 times 10.x.y.0/24, with path identifiers where they are asked for.
fn nlri(add_path: bool) -> Vec<u8> {
    let entry = |n: u16| {
        let [high, low] = n.to_be_bytes();
        let id: &[u8] = if add_path { &[0, 0, high, low] } else { &[] };
        [id, &[24, 10, high, low]].concat()
    };
    (0..500).flat_map(entry).collect()
}

/// 500 times 2001:db8:n::/48, by 2001:db8::1.
fn mp_reach() -> Vec<u8> {
    let mut value = hex("0002 01 10 20010db8000000000000000000000001 00");
    for n in 0..500u16 {
        let [high, low] = n.to_be_bytes();
        value.extend([48, 0x20, 1, 0xd, 0xb8, high, low]);
    }
    let len = u16::try_from(value.len()).expect("short");
    [&[0x90, 14], &len.to_be_bytes()[..], &value].concat()
}

/// Decodes, and reads all that is reachable. How many prefixes that were, and how many allocations it took.
fn measured(body: &[u8], cx: &DecodeContext) -> (usize, u64) {
    let mut count = 0;
    let allocations = allocation_counter::measure(|| {
        let update = Update::decode(body, cx).expect("no reset");
        count = update.reach().flat_map(|reach| reach.nlri.iter()).count();
    });
    (count, allocations.count_total)
}

#[test]
fn decoding_500_prefixes_allocates_twice_at_most() {
    let communities = attribute(0xc0, 8, &[1; 16]);
    let large = attribute(0xc0, 32, &[1; 12]);
    let usual = [ORIGIN, AS_PATH, NEXT_HOP, MED, &communities, &large];
    let (plain, with_ids) = (nlri(false), nlri(true));
    let mp = mp_reach();

    let new = DecodeContext::default();
    let ids = DecodeContext {
        add_path: PerFamily {
            ipv4: true,
            ipv6: true,
        },
        ..new
    };
    let old = DecodeContext {
        four_octet_asn: false,
        ..new
    };
    let narrow = attribute(0x40, 2, &[2, 4, 0xfd, 0xe9, 0, 1, 0, 2, 0, 3]);
    // Segments without end: each AS number gets wider.
    let longest = [&[0x50, 2, 0x0f, 0xf0][..], &[2, 254].repeat(2040)].concat();
    let old_usual = [ORIGIN, &narrow, NEXT_HOP, MED, &communities, &large];
    let local_pref = attribute(0x40, 5, &[0, 0, 0, 1]);
    let rows: [(&str, Vec<u8>, &DecodeContext, u64); 6] = [
        ("IPv4", update(&[], &usual, &plain), &new, 0),
        ("path identifiers", update(&[], &usual, &with_ids), &ids, 0),
        (
            "IPv6",
            update(&[], &[&mp, ORIGIN, AS_PATH, MED, &communities, &large], &[]),
            &new,
            0,
        ),
        (
            "IPv6, not in front: the block is copied",
            update(&[], &[ORIGIN, AS_PATH, &mp, MED, &communities, &large], &[]),
            &new,
            1,
        ),
        (
            "two-octet AS numbers: the block is written anew",
            update(&[], &old_usual, &plain),
            &old,
            1,
        ),
        (
            "an attribute is discarded: the block is copied, the fault is told",
            update(&[], &[ORIGIN, AS_PATH, &local_pref, NEXT_HOP, MED], &plain),
            &new,
            2,
        ),
    ];
    for (what, body, cx, most) in &rows {
        let (count, allocations) = measured(body, cx);
        assert_eq!(count, 500, "{what}");
        assert!(allocations <= *most, "{what}: {allocations} allocations");
    }
    let body = update(&[], &[ORIGIN, &longest, NEXT_HOP], &plain);
    assert_eq!(measured(&body, &old), (500, 1), "a path of 4080 octets");
}
