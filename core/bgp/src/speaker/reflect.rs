//! Route reflection (RFC 4456): what goes from one internal peer to another, and the marks it gets on its way.

use core::net::Ipv4Addr;

use tapway_bgp_wire::Attributes;

/// What a peer is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// In another AS.
    External,
    /// In our AS.
    Internal,
    /// In our AS, and we are its reflector.
    Client,
}

/// Whether what one peer sent goes to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// Whatever a policy says: internal peers tell each other (RFC 4271 §9.2).
    Never,
    /// Where a rule says so.
    ByRule,
    /// Unless a rule says otherwise: one of the two is our client (RFC 4456 §6).
    Reflected,
}

impl Relation {
    pub(crate) const fn of(external: bool, client: bool) -> Relation {
        match (external, client) {
            (true, _) => Relation::External,
            (false, true) => Relation::Client,
            (false, false) => Relation::Internal,
        }
    }

    pub(crate) const fn is_external(self) -> bool {
        matches!(self, Relation::External)
    }

    /// What this peer sent, towards another.
    pub(crate) const fn passes(self, to: Relation) -> Passing {
        match (self, to) {
            (Relation::External, _) | (_, Relation::External) => Passing::ByRule,
            (Relation::Internal, Relation::Internal) => Passing::Never,
            (Relation::Client, _) | (_, Relation::Client) => Passing::Reflected,
        }
    }
}

/// Marks a route as reflected: who sent it first, unless that is known, and by which cluster (RFC 4456 §8).
pub(crate) fn mark(attributes: &mut Attributes, sender: Ipv4Addr, cluster: Ipv4Addr) {
    attributes.originator_id.get_or_insert(sender);
    attributes.cluster_list.insert(0, cluster);
}

#[cfg(test)]
mod tests {
    use super::Passing::{ByRule, Never, Reflected};
    use super::Relation::{Client, External, Internal};
    use super::*;

    #[test]
    fn who_is_told_what_whom_sent() {
        // From external, internal, client; to the same.
        let table = [
            (External, [ByRule, ByRule, ByRule]),
            (Internal, [ByRule, Never, Reflected]),
            (Client, [ByRule, Reflected, Reflected]),
        ];
        for (from, expected) in table {
            let passes = [External, Internal, Client].map(|to| from.passes(to));
            assert_eq!(passes, expected, "{from:?}");
        }
        assert_eq!(Relation::of(true, true), External);
    }

    #[test]
    fn the_first_sender_stays_and_clusters_come_in_front() {
        let id = |n| Ipv4Addr::new(192, 0, 2, n);
        let mut attributes = Attributes::default();
        mark(&mut attributes, id(1), id(9));
        mark(&mut attributes, id(2), id(8));
        assert_eq!(attributes.originator_id, Some(id(1)));
        assert_eq!(attributes.cluster_list, [id(8), id(9)]);
    }
}
