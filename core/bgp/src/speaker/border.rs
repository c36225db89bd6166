//! How AS_PATH looks from the other side of our AS.
//!
//! RFC 4271 §5.1.2 (our AS goes in front), RFC 7705 §3 (another one does), RFC 6996 (private AS numbers).

use core::ops::RangeInclusive;

use tapway_bgp_wire::AsPath;

use crate::config::{LocalAs, PeerConfig, RemovePrivate};

/// AS numbers for private use (RFC 6996 §5).
const PRIVATE: [RangeInclusive<u32>; 2] = [64512..=65534, 4_200_000_000..=4_294_967_294];

/// What is done to the paths of what goes to external peers. Equal for peers that see the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Border {
    local: Option<LocalAs>,
    /// The AS of the peer, where it becomes ours.
    overridden: Option<u32>,
    /// What becomes of private AS numbers, but for the peer's own.
    private: Option<(RemovePrivate, u32)>,
}

impl Border {
    /// Towards this peer, whose AS is `theirs`.
    pub(crate) fn of(peer: &PeerConfig, theirs: u32) -> Border {
        let rules = peer.as_path;
        Border {
            local: rules.local,
            overridden: rules.override_peer.then_some(theirs),
            private: rules.remove_private.map(|how| (how, theirs)),
        }
    }

    /// What the peer takes for our AS, `router`.
    pub(crate) fn seen(&self, router: u32) -> u32 {
        self.local.map_or(router, |local| local.asn)
    }

    /// What policies mean by our AS: not one that the peer must not see.
    pub(crate) fn own(&self, router: u32) -> u32 {
        let replaced = self.local.filter(|local| local.replace);
        replaced.map_or(router, |local| local.asn)
    }

    /// Takes out of a path, or changes, what should not go to the peer; before a policy adds anything.
    pub(crate) fn clean(&self, path: &mut AsPath, router: u32) {
        let ours = self.seen(router);
        if let Some((how, theirs)) = self.private {
            let goes = |asn: u32| asn != theirs && is_private(asn);
            let whole = path.iter().all(is_private);
            match how {
                RemovePrivate::Replace => {
                    path.rewrite(|asn| Some(if goes(asn) { ours } else { asn }))
                }
                RemovePrivate::IfAll if !whole => {}
                RemovePrivate::All | RemovePrivate::IfAll => {
                    path.rewrite(|asn| (!goes(asn)).then_some(asn));
                }
            }
        }
        if let Some(theirs) = self.overridden {
            path.rewrite(|asn| Some(if asn == theirs { ours } else { asn }));
        }
    }

    /// Puts our AS in front, and before it the one that the peer takes for ours.
    pub(crate) fn put_in_front(&self, path: &mut AsPath, router: u32) {
        if self.local.is_none_or(|local| !local.replace) {
            path.prepend(router, 1);
        }
        if let Some(local) = self.local {
            path.prepend(local.asn, 1);
        }
    }
}

fn is_private(asn: u32) -> bool {
    PRIVATE.iter().any(|range| range.contains(&asn))
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    const US: u32 = 65001;
    const THEM: u32 = 65002;

    fn cleaned(border: Border, path: &str) -> String {
        let mut path: AsPath = path.parse().unwrap();
        border.clean(&mut path, US);
        path.to_string()
    }

    fn private(how: RemovePrivate) -> Border {
        Border {
            private: Some((how, THEM)),
            ..Border::default()
        }
    }

    #[test]
    fn the_bounds_of_private_use() {
        for (asn, expected) in [
            (64511, false),
            (64512, true),
            (65534, true),
            (65535, false),
            (4_199_999_999, false),
            (4_200_000_000, true),
            (4_294_967_294, true),
            (4_294_967_295, false),
        ] {
            assert_eq!(is_private(asn), expected, "{asn}");
        }
    }

    #[test]
    fn private_numbers_go_or_become_ours() {
        use RemovePrivate::{All, IfAll, Replace};
        for (how, path, expected) in [
            (All, "64512 100 65534 200", "100 200"),
            (All, "64512 65534", ""),
            (All, "64512 65002", "65002"),
            (All, "64512 {65534 100} {64513}", "{100}"),
            (IfAll, "64512 100 65534 200", "64512 100 65534 200"),
            (IfAll, "64512 65534 4200000000", ""),
            (IfAll, "64512 65002", "65002"),
            (Replace, "64512 100 65534 65002", "65001 100 65001 65002"),
        ] {
            assert_eq!(cleaned(private(how), path), expected, "{how:?} {path}");
        }
    }

    #[test]
    fn the_as_of_the_peer_becomes_ours_wherever_it_is() {
        let border = Border {
            overridden: Some(THEM),
            ..Border::default()
        };
        assert_eq!(
            cleaned(border, "100 65002 65002 {65002 7}"),
            "100 65001 65001 {65001 7}"
        );
        // Both together: what is private and not the peer's goes first.
        let both = Border {
            overridden: Some(THEM),
            ..private(RemovePrivate::All)
        };
        assert_eq!(cleaned(both, "64512 65002 100"), "65001 100");
    }

    #[test]
    fn what_is_in_front() {
        let local = |replace| Border {
            local: Some(LocalAs {
                asn: 300,
                replace,
                prepend: true,
            }),
            ..Border::default()
        };
        for (border, front, own, seen) in [
            (Border::default(), "65001 100", US, US),
            (local(false), "300 65001 100", US, 300),
            (local(true), "300 100", 300, 300),
        ] {
            let mut path: AsPath = "100".parse().unwrap();
            border.put_in_front(&mut path, US);
            assert_eq!(path.to_string(), front);
            assert_eq!((border.own(US), border.seen(US)), (own, seen));
        }
    }
}
