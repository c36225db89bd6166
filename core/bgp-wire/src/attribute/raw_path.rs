//! An AS_PATH read where it lies: no segment is copied.

use core::slice;

use super::{AsPath, AttributeCode, RawAttributes, SegmentKind};
use crate::reader::Reader;

/// An AS_PATH, borrowed: decoded, or the content of the attribute. The default is the empty path.
#[derive(Clone, Copy, Debug)]
pub struct AsPathRef<'a>(Inner<'a>);

#[derive(Clone, Copy, Debug)]
enum Inner<'a> {
    Value(&'a AsPath),
    Bytes(&'a [u8]),
}

/// The AS numbers of one segment, nearest first.
#[derive(Clone, Debug)]
pub struct Asns<'a>(Numbers<'a>);

#[derive(Clone, Debug)]
enum Numbers<'a> {
    Values(slice::Iter<'a, u32>),
    Bytes(slice::Iter<'a, [u8; 4]>),
}

impl Default for AsPathRef<'_> {
    fn default() -> Self {
        AsPathRef(Inner::Bytes(&[]))
    }
}

impl<'a> From<&'a AsPath> for AsPathRef<'a> {
    fn from(path: &'a AsPath) -> Self {
        AsPathRef(Inner::Value(path))
    }
}

impl<'a> RawAttributes<'a> {
    /// The AS_PATH; empty when there is none.
    pub fn as_path(&self) -> AsPathRef<'a> {
        let bytes = self.get(AttributeCode::AS_PATH).map(|a| a.value);
        AsPathRef(Inner::Bytes(bytes.unwrap_or_default()))
    }
}

impl<'a> AsPathRef<'a> {
    /// Its segments, nearest first. Bytes that are no segment end them.
    pub fn segments(&self) -> impl Iterator<Item = (SegmentKind, Asns<'a>)> + use<'a> {
        let (mut values, mut bytes) = match self.0 {
            Inner::Value(path) => (path.segments.iter(), Reader::new(&[])),
            Inner::Bytes(bytes) => ([].iter(), Reader::new(bytes)),
        };
        core::iter::from_fn(move || match values.next() {
            Some(segment) => Some((segment.kind, Asns(Numbers::Values(segment.asns.iter())))),
            None => {
                let [kind, count] = bytes.array()?;
                let asns = bytes.take(usize::from(count) * 4)?;
                let numbers = Numbers::Bytes(asns.as_chunks::<4>().0.iter());
                Some((SegmentKind::from_code(kind)?, Asns(numbers)))
            }
        })
    }

    /// Its length in the decision process: a set is one, a confederation's segment none.
    pub fn length(&self) -> usize {
        self.segments()
            .map(|(kind, asns)| match kind {
                SegmentKind::Sequence => asns.count(),
                SegmentKind::Set => 1,
                SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
            })
            .sum()
    }

    /// The neighbouring AS: the first of a leading sequence.
    pub fn first(&self) -> Option<u32> {
        match self.segments().find(|(kind, _)| !kind.is_confederation())? {
            (SegmentKind::Sequence, mut asns) => asns.next(),
            _ => None,
        }
    }

    /// The originating AS: the last of a final sequence.
    pub fn origin(&self) -> Option<u32> {
        match self.segments().last()? {
            (SegmentKind::Sequence, asns) => asns.last(),
            _ => None,
        }
    }

    /// How many times `asn` is in it.
    pub fn count(&self, asn: u32) -> usize {
        let times = |(_, asns): (SegmentKind, Asns<'_>)| asns.filter(|a| *a == asn).count();
        self.segments().map(times).sum()
    }

    /// Whether `asn` is in it.
    pub fn contains(&self, asn: u32) -> bool {
        self.segments().any(|(_, mut asns)| asns.any(|a| a == asn))
    }
}

impl Iterator for Asns<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match &mut self.0 {
            Numbers::Values(values) => values.next().copied(),
            Numbers::Bytes(bytes) => bytes.next().map(|b| u32::from_be_bytes(*b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::as_path::AsnWidth;
    use super::super::{AsSegment, RawAttributes};
    use super::*;

    fn segment(kind: SegmentKind, asns: &[u32]) -> AsSegment {
        AsSegment {
            kind,
            asns: asns.into(),
        }
    }

    fn path(segments: impl Into<Vec<AsSegment>>) -> AsPath {
        AsPath {
            segments: segments.into(),
        }
    }

    #[test]
    fn bytes_and_values_say_the_same() {
        use SegmentKind::{ConfedSequence, ConfedSet, Sequence, Set};
        for path in [
            AsPath::default(),
            AsPath::sequence([65000, 64512, 4_200_000_001]),
            path([segment(Set, &[1, 2])]),
            path([segment(Sequence, &[1, 2]), segment(Set, &[3, 4])]),
            path([
                segment(ConfedSequence, &[9]),
                segment(ConfedSet, &[8]),
                segment(Sequence, &[7, 6]),
            ]),
            path([segment(ConfedSequence, &[9]), segment(Set, &[5])]),
        ] {
            let mut content = Vec::new();
            path.encode(AsnWidth::Four, &mut content);
            let mut bytes = Vec::from([0x40, 2, content.len() as u8]);
            bytes.extend(content);
            let raw = RawAttributes::new(&bytes).as_path();
            for borrowed in [AsPathRef::from(&path), raw] {
                let segments: Vec<AsSegment> = borrowed
                    .segments()
                    .map(|(kind, asns)| AsSegment {
                        kind,
                        asns: asns.collect(),
                    })
                    .collect();
                assert_eq!(segments, path.segments);
                assert_eq!(borrowed.length(), path.length(), "{path}");
                assert_eq!(borrowed.first(), path.first(), "{path}");
                assert_eq!(borrowed.origin(), path.origin(), "{path}");
                for asn in 0..10 {
                    assert_eq!(borrowed.contains(asn), path.contains(asn), "{path} {asn}");
                    let times = path.iter().filter(|a| *a == asn).count();
                    assert_eq!(borrowed.count(asn), times, "{path} {asn}");
                }
            }
        }
    }

    #[test]
    fn without_a_path_it_is_empty() {
        assert_eq!(AsPathRef::default().segments().count(), 0);
        assert_eq!(RawAttributes::new(&[]).as_path().length(), 0);
        // Cut short: what can be read is.
        let raw = RawAttributes::new(&[0x40, 2, 8, 2, 1, 0, 0, 0, 5, 2, 1]);
        assert_eq!(raw.as_path().length(), 1);
    }
}
