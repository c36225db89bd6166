//! Patterns of communities (RFC 1997, RFC 8092, RFC 4360): a value of which parts may be anything.

use alloc::vec::Vec;

use tapway_bgp_wire::{Community, ExtendedCommunity, LargeCommunity};

/// A kind of community: a number of a fixed width.
pub trait Bits: Copy + Ord {
    /// All of it as a number, right-aligned.
    fn bits(self) -> u128;
}

impl Bits for Community {
    fn bits(self) -> u128 {
        self.0.into()
    }
}

impl Bits for LargeCommunity {
    fn bits(self) -> u128 {
        u128::from(self.global) << 64 | u128::from(self.local1) << 32 | u128::from(self.local2)
    }
}

impl Bits for ExtendedCommunity {
    fn bits(self) -> u128 {
        u64::from_be_bytes(self.0).into()
    }
}

/// One community, or all that agree with it in the bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    bits: u128,
    mask: u128,
}

impl Pattern {
    /// Exactly this one.
    pub fn exactly(community: impl Bits) -> Pattern {
        Pattern {
            bits: community.bits(),
            mask: u128::MAX,
        }
    }

    /// This one with anything in the bits that `any` has.
    pub fn except(community: impl Bits, any: u128) -> Pattern {
        Pattern {
            bits: community.bits() & !any,
            mask: !any,
        }
    }

    /// The value; zero where anything may stand.
    pub const fn bits(&self) -> u128 {
        self.bits
    }

    /// The bits in which anything may stand.
    pub const fn any(&self) -> u128 {
        !self.mask
    }

    /// Whether a community fits.
    pub fn fits(&self, community: impl Bits) -> bool {
        community.bits() & self.mask == self.bits
    }
}

/// Communities of one kind that a rule asks for: any of these groups, of a group every one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnyOf(pub Vec<Vec<Pattern>>);

impl AnyOf {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these communities are what is asked for.
    pub(super) fn holds<C: Bits, I: Iterator<Item = C>>(&self, has: impl Fn() -> I) -> bool {
        self.0.iter().any(|group| {
            group
                .iter()
                .all(|pattern| has().any(|community| pattern.fits(community)))
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const PART: u128 = 0xffff_ffff;

    #[test]
    fn patterns() {
        let one = Community(64612 << 16 | 90);
        let large = |global, local1, local2| LargeCommunity {
            global,
            local1,
            local2,
        };
        assert!(Pattern::exactly(one).fits(one));
        assert!(!Pattern::exactly(one).fits(Community(64612 << 16 | 91)));
        let any_low = Pattern::except(one, 0xffff);
        assert!(any_low.fits(Community(64612 << 16)));
        assert!(!any_low.fits(Community(64613 << 16 | 90)));
        let any_high = Pattern::except(one, 0xffff << 16);
        assert!(any_high.fits(Community(90)));
        assert!(!any_high.fits(Community(91)));
        let middle = Pattern::except(large(64612, 0, 7), PART << 32);
        assert!(middle.fits(large(64612, u32::MAX, 7)));
        assert!(!middle.fits(large(64612, 1, 8)));
        assert!(!middle.fits(large(64613, 1, 7)));
        let target = ExtendedCommunity([0, 2, 0xfc, 0x64, 0, 0, 0, 100]);
        assert!(Pattern::exactly(target).fits(target));
        assert!(
            Pattern::except(target, PART).fits(ExtendedCommunity([0, 2, 0xfc, 0x64, 1, 2, 3, 4]))
        );
        assert!(
            !Pattern::exactly(target).fits(ExtendedCommunity([2, 2, 0xfc, 0x64, 0, 0, 0, 100]))
        );
    }

    #[test]
    fn any_group_and_all_of_it() {
        let pattern = |value| Pattern::exactly(Community(value));
        let wanted = AnyOf(vec![vec![pattern(1)], vec![pattern(2), pattern(3)]]);
        for (has, holds) in [
            (&[][..], false),
            (&[1], true),
            (&[2], false),
            (&[3, 2], true),
            (&[4, 1], true),
        ] {
            assert_eq!(
                wanted.holds(|| has.iter().map(|v| Community(*v))),
                holds,
                "{has:?}"
            );
        }
        assert!(AnyOf::default().is_empty());
    }
}
