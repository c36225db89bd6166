//! Communities as text, and back: standard (RFC 1997), large (RFC 8092), extended (RFC 4360).
//!
//! In conditions and in what is removed a part may be `*`, and one text may hold several communities
//! that must all be there.

use tapway_bgp::policy::Pattern;
use tapway_bgp::{Community, ExtendedCommunity, LargeCommunity};
use tapway_document::nearest;

/// Communities with names (RFC 1997, RFC 3765, RFC 7611, RFC 7999, RFC 8326, RFC 9494).
const NAMED: [(&str, u32); 9] = [
    ("graceful-shutdown", 0xffff_0000),
    ("accept-own", 0xffff_0001),
    ("llgr-stale", 0xffff_0006),
    ("no-llgr", 0xffff_0007),
    ("blackhole", 0xffff_029a),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
    ("no-peer", 0xffff_ff04),
];

/// A number in plain digits.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// One part of a pattern: a number, or `*` for any.
fn part<T: std::str::FromStr + Default>(text: &str) -> Option<(T, bool)> {
    match text {
        "*" => Some((T::default(), true)),
        text => Some((number(text)?, false)),
    }
}

/// Any bit of a part `bits` wide that begins at bit `at`.
const fn any(at: u32, bits: u32) -> u128 {
    ((1 << bits) - 1) << at
}

/// `64612:90` or a name.
pub(crate) fn standard(text: &str) -> Result<Community, String> {
    exact(standard_pattern(text)?, text).map(|bits| Community(bits as u32))
}

/// `64612:90`, `64612:*`, `*:90` or a name.
pub(super) fn standard_pattern(text: &str) -> Result<Pattern, String> {
    if let Some((_, value)) = NAMED.iter().find(|(name, _)| *name == text) {
        return Ok(Pattern::exactly(Community(*value)));
    }
    let parts = text.split_once(':').and_then(|(high, low)| {
        let ((high, any_high), (low, any_low)) = (part::<u16>(high)?, part::<u16>(low)?);
        let anything = [(any_high, any(16, 16)), (any_low, any(0, 16))];
        let value = Community(u32::from(high) << 16 | u32::from(low));
        Some(Pattern::except(value, union(&anything)))
    });
    parts.ok_or_else(|| {
        let names = NAMED.map(|(name, _)| name);
        match nearest(text, &names) {
            Some(meant) => format!("{text:?} is no community; did you mean {meant:?}?"),
            None => format!("{text:?} is no community; write two numbers up to 65535 like \"64612:90\", or a name like \"no-export\""),
        }
    })
}

/// `64612:1:2`.
pub(crate) fn large(text: &str) -> Result<LargeCommunity, String> {
    exact(large_pattern(text)?, text).map(|bits| LargeCommunity {
        global: (bits >> 64) as u32,
        local1: (bits >> 32) as u32,
        local2: bits as u32,
    })
}

/// `64612:1:2`, with `*` for any part.
pub(super) fn large_pattern(text: &str) -> Result<Pattern, String> {
    let parts: Option<Vec<(u32, bool)>> = text.split(':').map(part).collect();
    match parts.as_deref() {
        Some([global, local1, local2]) => {
            let value = LargeCommunity {
                global: global.0,
                local1: local1.0,
                local2: local2.0,
            };
            let anything = [
                (global.1, any(64, 32)),
                (local1.1, any(32, 32)),
                (local2.1, any(0, 32)),
            ];
            Ok(Pattern::except(value, union(&anything)))
        }
        _ => Err(format!(
            "{text:?} is no large community; write three numbers up to 4294967295 like \"64612:1:2\""
        )),
    }
}

/// `rt:64612:100`, `soo:192.0.2.1:5`, or all octets like `0x0002fc6400000064`.
pub(crate) fn extended(text: &str) -> Result<ExtendedCommunity, String> {
    exact(extended_pattern(text)?, text).map(|bits| ExtendedCommunity((bits as u64).to_be_bytes()))
}

/// The same; the last part may be `*`.
pub(super) fn extended_pattern(text: &str) -> Result<Pattern, String> {
    extended_parts(text).ok_or_else(|| {
        format!("{text:?} is no extended community; write one like \"rt:64612:100\", \"soo:192.0.2.1:5\" or \"0x0002fc6400000064\"")
    })
}

fn extended_parts(text: &str) -> Option<Pattern> {
    if let Some(digits) = text.strip_prefix("0x") {
        let plain = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let bits = u64::from_str_radix(digits, 16).ok().filter(|_| plain)?;
        return Some(Pattern::exactly(ExtendedCommunity(bits.to_be_bytes())));
    }
    let (label, rest) = text.split_once(':')?;
    let sub = match label {
        "rt" => 2,
        "soo" => 3,
        _ => return None,
    };
    let (administrator, assigned) = rest.split_once(':')?;
    let (kind, value, any_value): (u8, u64, u128) =
        if let Ok(addr) = administrator.parse::<std::net::Ipv4Addr>() {
            let (low, anything) = part::<u16>(assigned)?;
            let high = u64::from(addr.to_bits()) << 16;
            (1, high | u64::from(low), union(&[(anything, any(0, 16))]))
        } else if let Some(asn) = number::<u16>(administrator) {
            let (low, anything) = part::<u32>(assigned)?;
            let high = u64::from(asn) << 32;
            (0, high | u64::from(low), union(&[(anything, any(0, 32))]))
        } else {
            let (low, anything) = part::<u16>(assigned)?;
            let high = u64::from(number::<u32>(administrator)?) << 16;
            (2, high | u64::from(low), union(&[(anything, any(0, 16))]))
        };
    let bits = u64::from(kind) << 56 | u64::from(sub as u8) << 48 | value;
    Some(Pattern::except(
        ExtendedCommunity(bits.to_be_bytes()),
        any_value,
    ))
}

fn union(parts: &[(bool, u128)]) -> u128 {
    parts
        .iter()
        .filter(|(anything, _)| *anything)
        .fold(0, |all, (_, bits)| all | bits)
}

/// The one community that a pattern without `*` stands for.
fn exact(pattern: Pattern, text: &str) -> Result<u128, String> {
    if is_exact(&pattern) {
        Ok(pattern.bits())
    } else {
        Err(format!(
            "{text:?} is many communities; write one, since only conditions and what is removed take \"*\""
        ))
    }
}

fn is_exact(pattern: &Pattern) -> bool {
    pattern.any() == 0
}

/// One or several patterns, all of which must be there.
pub(super) fn group(
    text: &str,
    one: impl Fn(&str) -> Result<Pattern, String>,
) -> Result<Vec<Pattern>, String> {
    let words = text.split_ascii_whitespace();
    let all = words.map(&one).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        return one(text).map(|pattern| vec![pattern]);
    }
    Ok(all)
}

pub(crate) fn standard_text(community: Community) -> String {
    standard_pattern_text(&Pattern::exactly(community))
}

pub(super) fn standard_pattern_text(pattern: &Pattern) -> String {
    let bits = pattern.bits();
    let name = NAMED.iter().find(|(_, value)| u128::from(*value) == bits);
    match name {
        Some((name, _)) if is_exact(pattern) => (*name).to_string(),
        _ => format!(
            "{}:{}",
            part_text(pattern, 16, 16),
            part_text(pattern, 0, 16)
        ),
    }
}

pub(crate) fn large_text(community: LargeCommunity) -> String {
    large_pattern_text(&Pattern::exactly(community))
}

pub(super) fn large_pattern_text(pattern: &Pattern) -> String {
    [64, 32, 0].map(|at| part_text(pattern, at, 32)).join(":")
}

pub(crate) fn extended_text(community: ExtendedCommunity) -> String {
    extended_pattern_text(&Pattern::exactly(community))
}

pub(super) fn extended_pattern_text(pattern: &Pattern) -> String {
    let bits = pattern.bits();
    let label = match (bits >> 48) as u8 {
        2 => "rt",
        3 => "soo",
        _ => return format!("0x{bits:016x}"),
    };
    let four_octets = ((bits >> 16) & any(0, 32)) as u32;
    match (bits >> 56) as u8 {
        0 => format!(
            "{label}:{}:{}",
            (bits >> 32) & 0xffff,
            part_text(pattern, 0, 32)
        ),
        1 => format!(
            "{label}:{}:{}",
            std::net::Ipv4Addr::from_bits(four_octets),
            part_text(pattern, 0, 16)
        ),
        // A small AS number would be read back as the kind for small ones.
        2 if four_octets > 0xffff => {
            format!("{label}:{four_octets}:{}", part_text(pattern, 0, 16))
        }
        _ => format!("0x{bits:016x}"),
    }
}

fn part_text(pattern: &Pattern, at: u32, bits: u32) -> String {
    if pattern.any() & any(at, bits) != 0 {
        "*".to_string()
    } else {
        ((pattern.bits() >> at) & any(0, bits)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "64612:90",
            "0:0",
            "64612:*",
            "*:666",
            "*:*",
            "no-export",
            "65535:1234",
        ] {
            let pattern = standard_pattern(text).unwrap();
            assert_eq!(standard_pattern_text(&pattern), text);
        }
        for (name, value) in NAMED {
            assert_eq!(standard(name).unwrap(), Community(value));
            let numbers = format!("{}:{}", value >> 16, value & 0xffff);
            assert_eq!(standard(&numbers).unwrap(), Community(value));
            assert_eq!(standard_text(Community(value)), name);
        }
        for text in ["64612:1:2", "4294967295:0:0", "64612:*:2", "*:*:*", "*:1:*"] {
            assert_eq!(large_pattern_text(&large_pattern(text).unwrap()), text);
        }
        for text in [
            "rt:64612:100",
            "rt:64612:*",
            "soo:192.0.2.1:5",
            "rt:192.0.2.1:*",
            "rt:4200000000:7",
            "rt:4200000000:*",
            "0x0002000500000007",
            "0x4002fc6400000064",
            "0x0202000000050007",
            "0x0600000000000000",
        ] {
            let written = extended_pattern_text(&extended_pattern(text).unwrap());
            let expected = if text == "0x0002000500000007" {
                "rt:5:7"
            } else {
                text
            };
            assert_eq!(written, expected);
        }
        let target = ExtendedCommunity([0, 2, 0xfc, 0x64, 0, 0, 0, 100]);
        assert_eq!(extended("rt:64612:100").unwrap(), target);
        let all = LargeCommunity {
            global: 1,
            local1: 2,
            local2: 3,
        };
        assert_eq!(large("1:2:3").unwrap(), all);
    }

    #[test]
    fn mistakes() {
        for (result, part) in [
            (
                standard("65536:1").map(|_| ()),
                "\"65536:1\" is no community; write two",
            ),
            (standard("+1:1").map(|_| ()), "is no community"),
            (standard("64612").map(|_| ()), "is no community"),
            (
                standard("no-exprot").map(|_| ()),
                "did you mean \"no-export\"?",
            ),
            (
                standard("64612:*").map(|_| ()),
                "is many communities; write one",
            ),
            (large("1:2").map(|_| ()), "is no large community"),
            (large("1:2:*").map(|_| ()), "is many communities"),
            (large("1:2:4294967296").map(|_| ()), "is no large community"),
            (extended("rt:1").map(|_| ()), "is no extended community"),
            (extended("rt:192.0.2.1:65536").map(|_| ()), "is no extended"),
            (extended("rt:70000:65536").map(|_| ()), "is no extended"),
            (extended("ab:1:2").map(|_| ()), "is no extended"),
            (extended("0x12").map(|_| ()), "is no extended"),
            (extended("rt:1:*").map(|_| ()), "is many communities"),
            (
                group("", standard_pattern).map(|_| ()),
                "\"\" is no community",
            ),
            (
                group("1:2 x", standard_pattern).map(|_| ()),
                "\"x\" is no community",
            ),
        ] {
            let error = result.unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(group("1:2  3:4", standard_pattern).unwrap().len(), 2);
    }
}
