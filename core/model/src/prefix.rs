//! IP prefixes without host bits.

use alloc::string::{String, ToString};
use core::cmp::Ordering;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// IPv4 or IPv6; for BGP, the unicast address family of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4 (BGP: AFI 1, SAFI 1).
    #[serde(rename = "ipv4-unicast")]
    Ipv4,
    /// IPv6 (BGP: AFI 2, SAFI 1).
    #[serde(rename = "ipv6-unicast")]
    Ipv6,
}

impl Family {
    /// Both, IPv4 first.
    pub const ALL: [Family; 2] = [Family::Ipv4, Family::Ipv6];

    /// The family that `addr` is of.
    pub const fn of(addr: &IpAddr) -> Family {
        match addr {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// Bits in an address: 32 or 128.
    pub const fn bits(self) -> u8 {
        match self {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Family::Ipv4 => "ipv4-unicast",
            Family::Ipv6 => "ipv6-unicast",
        })
    }
}

/// An IP prefix. All bits after the length are zero.
///
/// Ordered by family, then address, then length, so a prefix sorts directly before all it contains.
///
/// ```
/// # use tapway_model::Prefix;
/// let p: Prefix = "198.51.100.64/28".parse().unwrap();
/// assert!(p.contains(&"198.51.100.70/32".parse().unwrap()));
/// assert!("198.51.100.65/28".parse::<Prefix>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    addr: IpAddr,
    len: u8,
}

/// Why a text or a pair is no prefix. The message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Not an address with an optional length.
    #[error(
        "{0:?} is not an IP prefix; write an address like 203.0.113.1 or a prefix like 198.51.100.64/28 or 2001:db8::/64"
    )]
    Syntax(String),
    /// The length is longer than the address.
    #[error("prefix length /{len} is too long for {addr}; at most /{max}")]
    Length {
        /// The address as given.
        addr: IpAddr,
        /// The length as given.
        len: u8,
        /// The longest length of the family.
        max: u8,
    },
    /// Bits after the length are set.
    #[error(
        "{addr}/{len} has host bits set; write {network}/{len} for the network or {addr}/{max} for the one address"
    )]
    HostBits {
        /// The address as given.
        addr: IpAddr,
        /// The length as given.
        len: u8,
        /// The address with the host bits cleared.
        network: IpAddr,
        /// The length of a host prefix.
        max: u8,
    },
    /// An IPv4-mapped IPv6 address.
    #[error("{0} is an IPv4-mapped IPv6 address; write the IPv4 address")]
    V4Mapped(IpAddr),
}

impl Prefix {
    /// The IPv4 default route's prefix.
    pub const DEFAULT_V4: Prefix = Prefix {
        addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        len: 0,
    };
    /// The IPv6 default route's prefix.
    pub const DEFAULT_V6: Prefix = Prefix {
        addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        len: 0,
    };

    /// `addr/len`.
    ///
    /// # Errors
    /// When `len` is too long, a host bit is set, or the address is IPv4-mapped.
    pub fn new(addr: IpAddr, len: u8) -> Result<Prefix, PrefixError> {
        let max = Family::of(&addr).bits();
        if len > max {
            return Err(PrefixError::Length { addr, len, max });
        }
        if let IpAddr::V6(v6) = addr
            && v6.to_ipv4_mapped().is_some()
        {
            return Err(PrefixError::V4Mapped(addr));
        }
        let cut = Prefix::truncated(addr, len);
        if cut.addr != addr {
            return Err(PrefixError::HostBits {
                addr,
                len,
                network: cut.addr,
                max,
            });
        }
        Ok(cut)
    }

    /// The prefix of length `len` (at most the family's) that contains `addr`.
    #[inline]
    pub fn truncated(addr: IpAddr, len: u8) -> Prefix {
        let len = len.min(Family::of(&addr).bits());
        let addr = match addr {
            IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & mask32(len))),
            IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & mask128(len))),
        };
        Prefix { addr, len }
    }

    /// The /32 or /128 of `addr`.
    pub const fn host(addr: IpAddr) -> Prefix {
        Prefix {
            addr,
            len: Family::of(&addr).bits(),
        }
    }

    /// The default route's prefix of a family.
    pub const fn default_of(family: Family) -> Prefix {
        match family {
            Family::Ipv4 => Prefix::DEFAULT_V4,
            Family::Ipv6 => Prefix::DEFAULT_V6,
        }
    }

    /// The first address.
    pub const fn addr(&self) -> IpAddr {
        self.addr
    }

    /// The length in bits.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a length in bits, not of a collection"
    )]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// The address family.
    pub const fn family(&self) -> Family {
        Family::of(&self.addr)
    }

    /// Whether this is one address: /32 or /128.
    pub const fn is_host(&self) -> bool {
        self.len == self.family().bits()
    }

    /// Whether every address of `other` is in `self`. True for equal prefixes.
    pub fn contains(&self, other: &Prefix) -> bool {
        self.len <= other.len && self.contains_addr(&other.addr)
    }

    /// Whether `addr` is in `self`.
    pub fn contains_addr(&self, addr: &IpAddr) -> bool {
        match (self.addr, addr) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits() == b.to_bits() & mask32(self.len),
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() == b.to_bits() & mask128(self.len),
            _ => false,
        }
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The last address.
    pub fn last_addr(&self) -> IpAddr {
        match self.addr {
            IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() | !mask32(self.len))),
            IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() | !mask128(self.len))),
        }
    }
}

const fn mask32(len: u8) -> u32 {
    match len {
        0 => 0,
        n => u32::MAX << (32 - n as u32),
    }
}

const fn mask128(len: u8) -> u128 {
    match len {
        0 => 0,
        n => u128::MAX << (128 - n as u32),
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Prefix {
    fn cmp(&self, other: &Self) -> Ordering {
        self.addr.cmp(&other.addr).then(self.len.cmp(&other.len))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Through a fixed buffer, so that width and alignment work.
        let mut text = String::with_capacity(48);
        fmt::Write::write_fmt(&mut text, format_args!("{}/{}", self.addr, self.len))?;
        f.pad(&text)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let syntax = || PrefixError::Syntax(text.to_string());
        let (addr, len) = match text.split_once('/') {
            Some((addr, len)) => {
                let plain =
                    !len.is_empty() && len.len() <= 3 && len.bytes().all(|b| b.is_ascii_digit());
                let len = if plain { len.parse::<u8>().ok() } else { None };
                (addr, Some(len.ok_or_else(syntax)?))
            }
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| syntax())?;
        Prefix::new(addr, len.unwrap_or(Family::of(&addr).bits()))
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn p(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn parse_rows() {
        for (text, want) in [
            ("203.0.113.1", "203.0.113.1/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::/64", "2001:db8::/64"),
            ("2001:db8::1", "2001:db8::1/128"),
        ] {
            assert_eq!(p(text).to_string(), want);
        }
        for (text, part) in [
            ("203.0.113.1/24", "write 203.0.113.0/24 for the network"),
            ("203.0.113.0/33", "at most /32"),
            ("::1/129", "at most /128"),
            ("::ffff:192.0.2.1", "IPv4-mapped"),
            ("203.0.113.0/", "not an IP prefix"),
            ("203.0.113.0/+24", "not an IP prefix"),
            ("203.0.113.0/256", "not an IP prefix"),
            ("203.0.113", "not an IP prefix"),
            ("", "not an IP prefix"),
        ] {
            let error = text.parse::<Prefix>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn containment() {
        assert!(p("0.0.0.0/0").contains(&p("203.0.113.1")));
        assert!(!p("0.0.0.0/0").contains(&p("::/0")));
        assert!(p("2001:db8::/64").overlaps(&p("2001:db8::1")));
        assert!(p("2001:db8::1").overlaps(&p("2001:db8::/64")));
        assert!(!p("10.0.0.0/25").overlaps(&p("10.0.0.128/25")));
        assert_eq!(p("10.0.0.0/25").last_addr().to_string(), "10.0.0.127");
    }

    #[test]
    fn a_prefix_sorts_before_what_it_contains() {
        let mut all = vec![p("::/0"), p("10.0.0.0/24"), p("10.0.0.0/8"), p("9.0.0.0/8")];
        all.sort();
        assert_eq!(
            all,
            vec![p("9.0.0.0/8"), p("10.0.0.0/8"), p("10.0.0.0/24"), p("::/0")]
        );
    }
}
