//! Serial numbers that begin anew after the largest (RFC 1982).

/// A serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

impl Serial {
    /// Whether this one came after `other`. Of two that are 2^31 apart neither did.
    pub const fn is_after(self, other: Serial) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let half = 1 << 31;
        for (a, b, after) in [
            (1, 0, true),
            (0, 1, false),
            (5, 5, false),
            (0, u32::MAX, true),
            (u32::MAX, 0, false),
            (100, u32::MAX - 100, true),
            (half - 1, 0, true),
            (half, 0, false),
            (0, half, false),
            (half + 1, 0, false),
            (0, half + 1, true),
        ] {
            assert_eq!(Serial(a).is_after(Serial(b)), after, "{a} after {b}");
        }
    }
}
