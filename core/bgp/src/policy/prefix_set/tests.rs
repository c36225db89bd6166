use alloc::string::ToString;
use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn entry(prefix: &str, ge: u8, le: u8) -> PrefixMatch {
    PrefixMatch {
        prefix: prefix.parse().unwrap(),
        ge,
        le,
    }
}

/// What the set means.
fn naive(entries: &[PrefixMatch], prefix: &Prefix) -> bool {
    entries
        .iter()
        .any(|e| e.prefix.contains(prefix) && (e.ge..=e.le).contains(&prefix.len()))
}

#[test]
fn rows() {
    let set = PrefixSet::new(
        [
            entry("10.0.0.0/8", 24, 28),
            entry("10.1.0.0/16", 16, 16),
            entry("10.1.2.0/24", 32, 32),
            entry("0.0.0.0/0", 0, 0),
            entry("2001:db8::/32", 64, 128),
            entry("::/0", 128, 128),
            entry("10.0.0.0/8", 8, 8),
        ]
        .into(),
    );
    for (prefix, is_in) in [
        ("10.0.0.0/8", true),
        ("10.0.0.0/9", false),
        ("10.255.0.0/24", true),
        ("10.1.0.0/16", true),
        ("10.1.2.0/24", true),
        ("10.1.2.16/28", true),
        ("10.1.2.16/29", false),
        ("10.1.2.3/32", true),
        ("10.1.3.3/32", false),
        ("0.0.0.0/0", true),
        ("0.0.0.0/1", false),
        ("11.0.0.0/24", false),
        ("::/0", false),
        ("::1/128", true),
        ("2001:db8::/32", false),
        ("2001:db8:1::/64", true),
        ("2001:db8::1/128", true),
        ("2001:db9::/64", false),
        ("ffff::1/128", true),
    ] {
        assert_eq!(set.contains(&prefix.parse().unwrap()), is_in, "{prefix}");
    }
}

#[test]
fn addresses() {
    let set = PrefixSet::new([entry("192.0.2.0/24", 24, 32), entry("fe80::/10", 10, 128)].into());
    for (addr, is_in) in [
        ("192.0.2.7", true),
        ("192.0.3.7", false),
        ("fe80::1", true),
        ("2001:db8::1", false),
    ] {
        assert_eq!(set.contains_addr(addr.parse().unwrap()), is_in, "{addr}");
    }
}

#[test]
fn an_empty_one_has_nothing() {
    let empty = PrefixSet::new(Vec::new());
    assert!(empty.is_empty() && empty == PrefixSet::default());
    assert!(!empty.contains(&Prefix::DEFAULT_V4) && empty.written().is_empty());
    let one = PrefixSet::new([entry("0.0.0.0/0", 0, 0)].into());
    assert_ne!(one, empty);
    assert_eq!(one, PrefixSet::new([entry("0.0.0.0/0", 0, 0)].into()));
    assert!(!one.contains(&Prefix::DEFAULT_V6));
}

/// Prefixes crowded into few bits, so that they nest.
fn prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        (0u32..64, 0u8..=32).prop_map(|(bits, len)| Prefix::truncated(
            Ipv4Addr::from(bits << 26 | bits).into(),
            len
        )),
        (0u128..64, 0u8..=128).prop_map(|(bits, len)| Prefix::truncated(
            Ipv6Addr::from(bits << 122 | bits).into(),
            len
        )),
    ]
}

fn entries() -> impl Strategy<Value = Vec<PrefixMatch>> {
    let entry = (prefix(), any::<u8>(), any::<u8>()).prop_map(|(prefix, a, b)| {
        let room = prefix.family().bits() - prefix.len();
        let ge = prefix.len() + a % (room + 1);
        let le = ge + b % (prefix.family().bits() - ge + 1);
        PrefixMatch { prefix, ge, le }
    });
    proptest::collection::vec(entry, 0..40)
}

proptest! {
    #[test]
    fn says_what_the_list_says(entries in entries(), asked in proptest::collection::vec(prefix(), 40)) {
        let set = PrefixSet::new(entries.clone());
        let written = entries.iter().map(|e| e.prefix);
        for prefix in asked.into_iter().chain(written) {
            prop_assert_eq!(set.contains(&prefix), naive(&entries, &prefix), "{}", prefix.to_string());
        }
    }
}
