//! Which of two connections with one peer stays (RFC 4271 §6.8, RFC 6286 §2.3).

use core::net::Ipv4Addr;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    /// We did.
    Us,
    /// The peer did.
    Peer,
}

/// A speaker in this comparison: the higher one's connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// BGP identifier.
    pub(crate) router_id: Ipv4Addr,
    /// AS; decides between equal identifiers.
    pub(crate) asn: u32,
}

/// Whose connection stays.
pub(crate) fn survivor(us: Rank, peer: Rank) -> Opener {
    if us > peer { Opener::Us } else { Opener::Peer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree() {
        let rank = |last, asn| Rank {
            router_id: Ipv4Addr::new(192, 0, 2, last),
            asn,
        };
        for (a, b) in [
            (rank(1, 9), rank(2, 1)),
            (rank(200, 1), rank(3, 1)),
            (rank(1, 64512), rank(1, 64513)),
        ] {
            assert_ne!(survivor(a, b), survivor(b, a), "{a:?} {b:?}");
        }
        assert_eq!(survivor(rank(2, 1), rank(1, 2)), Opener::Us);
        assert_eq!(survivor(rank(1, 1), rank(1, 2)), Opener::Peer);
    }
}
