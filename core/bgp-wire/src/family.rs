//! Address families as they are on the wire (RFC 4760), and one value per family that we speak.

use core::fmt;
use core::ops::{Index, IndexMut};

use tapway_model::Family;

/// An (AFI, SAFI) pair, known to us or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AfiSafi {
    /// Address family identifier.
    pub afi: u16,
    /// Subsequent address family identifier.
    pub safi: u8,
}

impl AfiSafi {
    /// IPv4 unicast.
    pub const IPV4_UNICAST: AfiSafi = AfiSafi { afi: 1, safi: 1 };
    /// IPv6 unicast.
    pub const IPV6_UNICAST: AfiSafi = AfiSafi { afi: 2, safi: 1 };

    /// The family, when it is one that we speak.
    pub const fn family(self) -> Option<Family> {
        match (self.afi, self.safi) {
            (1, 1) => Some(Family::Ipv4),
            (2, 1) => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// Of three bytes: AFI, SAFI.
    pub(crate) const fn from_bytes(bytes: [u8; 3]) -> AfiSafi {
        AfiSafi {
            afi: u16::from_be_bytes([bytes[0], bytes[1]]),
            safi: bytes[2],
        }
    }

    /// AFI and SAFI in three bytes.
    pub(crate) const fn to_bytes(self) -> [u8; 3] {
        let [high, low] = self.afi.to_be_bytes();
        [high, low, self.safi]
    }
}

impl From<Family> for AfiSafi {
    fn from(family: Family) -> AfiSafi {
        match family {
            Family::Ipv4 => AfiSafi::IPV4_UNICAST,
            Family::Ipv6 => AfiSafi::IPV6_UNICAST,
        }
    }
}

impl fmt::Display for AfiSafi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family() {
            Some(family) => family.fmt(f),
            None => write!(f, "AFI {} SAFI {}", self.afi, self.safi),
        }
    }
}

/// One value for each family that we speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PerFamily<T> {
    /// For IPv4 unicast.
    pub ipv4: T,
    /// For IPv6 unicast.
    pub ipv6: T,
}

impl<T> PerFamily<T> {
    /// Both from one function.
    pub fn from_fn(mut f: impl FnMut(Family) -> T) -> PerFamily<T> {
        PerFamily {
            ipv4: f(Family::Ipv4),
            ipv6: f(Family::Ipv6),
        }
    }
}

impl<T> Index<Family> for PerFamily<T> {
    type Output = T;

    fn index(&self, family: Family) -> &T {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }
}

impl<T> IndexMut<Family> for PerFamily<T> {
    fn index_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}
