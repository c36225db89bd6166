//! Prefixes in few bytes: keys of large tables, in the order of prefixes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Prefix;

/// A prefix of one family, packed. Its order is that of [`Prefix`]: address, then length.
pub trait Packed: Copy + Ord + core::fmt::Debug {
    /// Of a prefix of the family; `None` of the other one.
    fn pack(prefix: Prefix) -> Option<Self>;
    /// Back.
    fn unpack(self) -> Prefix;
}

/// IPv4: address and length in one number.
impl Packed for u64 {
    fn pack(prefix: Prefix) -> Option<u64> {
        match prefix.addr() {
            IpAddr::V4(addr) => Some(u64::from(addr.to_bits()) << 8 | u64::from(prefix.len())),
            IpAddr::V6(_) => None,
        }
    }

    fn unpack(self) -> Prefix {
        Prefix::truncated(Ipv4Addr::from_bits((self >> 8) as u32).into(), self as u8)
    }
}

/// IPv6: the octets of the address, then the length. Bytes, as a number of 128 bits would be padded to 32.
pub type Packed6 = [u8; 17];

impl Packed for Packed6 {
    fn pack(prefix: Prefix) -> Option<Packed6> {
        match prefix.addr() {
            IpAddr::V4(_) => None,
            IpAddr::V6(addr) => {
                let mut key = [prefix.len(); 17];
                key[..16].copy_from_slice(&addr.octets());
                Some(key)
            }
        }
    }

    fn unpack(self) -> Prefix {
        let [octets @ .., len] = self;
        Prefix::truncated(Ipv6Addr::from(octets).into(), len)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn packing_keeps_value_and_order() {
        let texts = [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.0.0.0/24",
            "10.0.0.1/32",
            "255.255.255.255/32",
            "::/0",
            "2001:db8::/32",
            "2001:db8::/48",
            "2001:db8::1/128",
        ];
        let all: Vec<Prefix> = texts.iter().map(|t| t.parse().unwrap()).collect();
        let v4: Vec<u64> = all.iter().filter_map(|p| u64::pack(*p)).collect();
        let v6: Vec<Packed6> = all.iter().filter_map(|p| Packed6::pack(*p)).collect();
        assert!(v4.is_sorted() && v6.is_sorted());
        let back = v4
            .iter()
            .map(|k| k.unpack())
            .chain(v6.iter().map(|k| k.unpack()));
        assert_eq!(back.collect::<Vec<_>>(), all);
    }
}
