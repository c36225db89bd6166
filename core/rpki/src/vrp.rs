//! Validated ROA payloads.

use core::fmt;

use tapway_model::{Family, Prefix};

/// An AS that may announce a prefix, and how much longer prefixes inside it (RFC 6811 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrp {
    prefix: Prefix,
    max_len: u8,
    asn: u32,
}

impl Vrp {
    /// `None`: `max_len` is shorter than the prefix, or longer than an address.
    pub fn new(prefix: Prefix, max_len: u8, asn: u32) -> Option<Vrp> {
        let fits = (prefix.len()..=prefix.family().bits()).contains(&max_len);
        fits.then_some(Vrp {
            prefix,
            max_len,
            asn,
        })
    }

    /// What it is about.
    pub const fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// The family of it.
    pub const fn family(&self) -> Family {
        self.prefix.family()
    }

    /// The longest prefix inside it that is allowed.
    pub const fn max_len(&self) -> u8 {
        self.max_len
    }

    /// Who may announce it; 0: nobody (RFC 6483 §4).
    pub const fn asn(&self) -> u32 {
        self.asn
    }

    /// Whether a route that it covers is as it says.
    pub fn allows(&self, route: &Prefix, origin: Option<u32>) -> bool {
        route.len() <= self.max_len && self.asn != 0 && origin == Some(self.asn)
    }
}

impl fmt::Display for Vrp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.prefix)?;
        if self.max_len > self.prefix.len() {
            write!(f, " le {}", self.max_len)?;
        }
        write!(f, " AS{}", self.asn)
    }
}
