//! What the daemons are given to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_model::Family;

/// A scenario, by the letter that the command line uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// a: a full table from one to one.
    Table,
    /// b: a tenth of a table from each of ten, to ten.
    Mesh,
    /// c: host routes from one to twenty.
    FanOut,
    /// d: two say the same, and take it back one after the other.
    TwoPaths,
    /// e: a steady stream of changes.
    Churn,
    /// f: as a, with IPv6.
    Table6,
    /// g: into the kernel.
    Kernel,
    /// g: a full table into the kernel.
    KernelTable,
}

/// How many of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Of the prefixes and the sessions.
    pub(crate) family: Family,
    /// Those that announce.
    pub(crate) senders: u8,
    /// Those that are told.
    pub(crate) receivers: u8,
    /// Different prefixes, of all senders together.
    pub(crate) prefixes: usize,
}

impl Scenario {
    /// All, in the order of the table.
    pub(crate) const ALL: [Scenario; 8] = [
        Scenario::Table,
        Scenario::Mesh,
        Scenario::FanOut,
        Scenario::TwoPaths,
        Scenario::Churn,
        Scenario::Table6,
        Scenario::Kernel,
        Scenario::KernelTable,
    ];

    /// Its letter.
    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Scenario::Table => "a",
            Scenario::Mesh => "b",
            Scenario::FanOut => "c",
            Scenario::TwoPaths => "d",
            Scenario::Churn => "e",
            Scenario::Table6 => "f",
            Scenario::Kernel | Scenario::KernelTable => "g",
        }
    }

    /// Whether the routes go to the kernel, and to no receiver.
    pub(crate) const fn installs(self) -> bool {
        matches!(self, Scenario::Kernel | Scenario::KernelTable)
    }

    /// Its size, or a tenth of it.
    pub(crate) const fn size(self, quick: bool) -> Size {
        let (senders, receivers, prefixes) = match self {
            Scenario::Table | Scenario::Table6 => (1, 1, 1_000_000),
            Scenario::Mesh => (10, 10, 1_000_000),
            Scenario::FanOut => (1, 20, 200_000),
            Scenario::TwoPaths => (2, 1, 200_000),
            Scenario::Churn => (1, 1, 100_000),
            Scenario::Kernel => (1, 0, 100_000),
            Scenario::KernelTable => (1, 0, 1_000_000),
        };
        Size {
            family: match self {
                Scenario::Table6 => Family::Ipv6,
                _ => Family::Ipv4,
            },
            senders,
            receivers,
            prefixes: if quick { prefixes / 10 } else { prefixes },
        }
    }

    /// What the table calls it.
    pub(crate) fn title(self, size: Size) -> String {
        let count = thousands(size.prefixes);
        match self {
            Scenario::Table | Scenario::Table6 => format!("{count} {}, 1 -> 1", word(size.family)),
            Scenario::Mesh => format!("{count} {}, 10 -> 10", word(size.family)),
            Scenario::FanOut => format!("{count} /32, 1 -> 20"),
            Scenario::TwoPaths => format!("{count} from two"),
            Scenario::Churn => format!("5,000 changes/s of {count}"),
            Scenario::Kernel | Scenario::KernelTable => format!("{count} to the kernel"),
        }
    }

    /// What tapwayd's time is to be, as a part of the best peer's.
    pub(crate) const fn goal(self) -> f64 {
        match self {
            Scenario::Mesh => 0.25,
            Scenario::FanOut => 0.5,
            Scenario::Kernel | Scenario::KernelTable => 0.45,
            Scenario::Table | Scenario::TwoPaths | Scenario::Churn | Scenario::Table6 => 0.7,
        }
    }
}

/// The daemon's AS.
pub(crate) const ASN: u32 = 64612;

/// One of the tester's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Whether it announces; else it is told.
    pub(crate) sends: bool,
    /// Its number, from 0, among those that do the same.
    pub(crate) number: u8,
    /// Of its session.
    pub(crate) family: Family,
}

impl Peer {
    /// Its AS.
    pub(crate) fn asn(self) -> u32 {
        let first = if self.sends { 65001 } else { 65101 };
        first + u32::from(self.number)
    }

    /// Its BGP identifier.
    pub(crate) fn id(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 9, if self.sends { 1 } else { 2 }, self.number + 1)
    }

    /// Its address.
    pub(crate) fn address(self) -> IpAddr {
        let side = if self.sends { 1 } else { 2 };
        let number = u16::from(self.number) + 1;
        match self.family {
            Family::Ipv4 => self.id().into(),
            Family::Ipv6 => Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, side, number).into(),
        }
    }

    /// How configurations call it.
    pub(crate) fn name(self) -> String {
        let side = if self.sends { 's' } else { 'r' };
        format!("{side}{}", self.number + 1)
    }
}

impl Size {
    /// Those that announce.
    pub(crate) fn senders(self) -> Vec<Peer> {
        self.peers(true, self.senders)
    }

    /// Those that are told.
    pub(crate) fn receivers(self) -> Vec<Peer> {
        self.peers(false, self.receivers)
    }

    /// Both.
    pub(crate) fn all(self) -> Vec<Peer> {
        [self.senders(), self.receivers()].concat()
    }

    fn peers(self, sends: bool, count: u8) -> Vec<Peer> {
        let family = self.family;
        let peer = |number| Peer {
            sends,
            number,
            family,
        };
        (0..count).map(peer).collect()
    }
}

fn word(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// `1,000,000`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1234567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn no_two_peers_share_a_name_or_an_address() {
        for scenario in Scenario::ALL {
            let all = scenario.size(false).all();
            for (at, peer) in all.iter().enumerate() {
                for other in &all[..at] {
                    assert_ne!(peer.address(), other.address());
                    assert_ne!(peer.name(), other.name());
                    assert_ne!(peer.asn(), other.asn());
                }
            }
        }
    }
}
