//! AS_PATH as a value (RFC 4271 §4.3, 5.1.2; RFC 5065 segments are understood on receive).

mod text;
mod wire;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

pub use text::AsPathTextError;
pub(crate) use wire::{AsnWidth, PathFault};

/// The kind of an AS_PATH segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// AS_SET: no order.
    Set,
    /// AS_SEQUENCE.
    Sequence,
    /// AS_CONFED_SEQUENCE (RFC 5065).
    ConfedSequence,
    /// AS_CONFED_SET (RFC 5065).
    ConfedSet,
}

impl SegmentKind {
    pub(crate) const fn from_code(code: u8) -> Option<SegmentKind> {
        Some(match code {
            1 => SegmentKind::Set,
            2 => SegmentKind::Sequence,
            3 => SegmentKind::ConfedSequence,
            4 => SegmentKind::ConfedSet,
            _ => return None,
        })
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            SegmentKind::Set => 1,
            SegmentKind::Sequence => 2,
            SegmentKind::ConfedSequence => 3,
            SegmentKind::ConfedSet => 4,
        }
    }

    /// Whether it is one of a confederation.
    pub const fn is_confederation(self) -> bool {
        matches!(self, SegmentKind::ConfedSequence | SegmentKind::ConfedSet)
    }
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsSegment {
    /// Its kind.
    pub kind: SegmentKind,
    /// Its AS numbers; never empty on the wire.
    pub asns: Vec<u32>,
}

impl AsSegment {
    /// What it counts in the decision process: a set is one, a confederation's is none.
    pub fn length(&self) -> usize {
        match self.kind {
            SegmentKind::Sequence => self.asns.len(),
            SegmentKind::Set => 1,
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
        }
    }
}

/// An AS_PATH. The default is the empty path of a route of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsPath {
    /// Its segments, nearest first.
    pub segments: Vec<AsSegment>,
}

impl AsPath {
    /// One sequence.
    pub fn sequence(asns: impl Into<Vec<u32>>) -> AsPath {
        let asns = asns.into();
        if asns.is_empty() {
            return AsPath::default();
        }
        AsPath {
            segments: vec![AsSegment {
                kind: SegmentKind::Sequence,
                asns,
            }],
        }
    }

    /// Puts `asn` in front, `times` times.
    pub fn prepend(&mut self, asn: u32, times: usize) {
        if times == 0 {
            return;
        }
        match self.segments.first_mut() {
            Some(first) if first.kind == SegmentKind::Sequence => {
                first.asns.splice(0..0, core::iter::repeat_n(asn, times));
            }
            _ => self.segments.insert(
                0,
                AsSegment {
                    kind: SegmentKind::Sequence,
                    asns: vec![asn; times],
                },
            ),
        }
    }

    /// Changes every AS number, or takes it out (`None`). A segment that has none left goes.
    pub fn rewrite(&mut self, mut each: impl FnMut(u32) -> Option<u32>) {
        for segment in &mut self.segments {
            segment.asns.retain_mut(|asn| match each(*asn) {
                Some(new) => {
                    *asn = new;
                    true
                }
                None => false,
            });
        }
        self.segments.retain(|segment| !segment.asns.is_empty());
    }

    /// Its length in the decision process.
    pub fn length(&self) -> usize {
        self.segments.iter().map(AsSegment::length).sum()
    }

    /// Whether it has no segment.
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether some segment is one of a confederation (RFC 5065).
    pub fn has_confederation(&self) -> bool {
        self.segments.iter().any(|s| s.kind.is_confederation())
    }

    /// The neighbouring AS: the first of a leading sequence.
    pub fn first(&self) -> Option<u32> {
        let first = self.segments.iter().find(|s| !s.kind.is_confederation())?;
        match first.kind {
            SegmentKind::Sequence => first.asns.first().copied(),
            _ => None,
        }
    }

    /// The originating AS: the last of a final sequence.
    pub fn origin(&self) -> Option<u32> {
        let last = self.segments.last()?;
        match last.kind {
            SegmentKind::Sequence => last.asns.last().copied(),
            _ => None,
        }
    }

    /// Every AS number, nearest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.segments.iter().flat_map(|s| s.asns.iter().copied())
    }

    /// Whether `asn` is in it.
    pub fn contains(&self, asn: u32) -> bool {
        self.iter().any(|a| a == asn)
    }
}

impl fmt::Display for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.segments.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            let (open, close) = match segment.kind {
                SegmentKind::Sequence => ("", ""),
                SegmentKind::Set => ("{", "}"),
                SegmentKind::ConfedSequence => ("(", ")"),
                SegmentKind::ConfedSet => ("[", "]"),
            };
            f.write_str(open)?;
            for (i, asn) in segment.asns.iter().enumerate() {
                if i > 0 {
                    f.write_str(" ")?;
                }
                write!(f, "{asn}")?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}
