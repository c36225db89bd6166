//! AS_PATH and AS4_PATH as bytes: check, decode, encode, and the merge of the two (RFC 6793).

use alloc::vec::Vec;

use super::{AsPath, AsSegment, SegmentKind};
use crate::open::AS_TRANS;
use crate::reader::Reader;

/// How many octets an AS number has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsnWidth {
    Two,
    Four,
}

/// Why bytes are no AS_PATH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathFault(pub(crate) &'static str);

impl AsnWidth {
    pub(crate) const fn octets(self) -> usize {
        match self {
            AsnWidth::Two => 2,
            AsnWidth::Four => 4,
        }
    }

    fn read(self, bytes: &[u8]) -> u32 {
        bytes
            .iter()
            .fold(0, |asn, byte| asn << 8 | u32::from(*byte))
    }

    pub(crate) fn write(self, asn: u32, out: &mut Vec<u8>) {
        match self {
            AsnWidth::Two => {
                let asn = u16::try_from(asn).unwrap_or(AS_TRANS as u16);
                out.extend_from_slice(&asn.to_be_bytes());
            }
            AsnWidth::Four => out.extend_from_slice(&asn.to_be_bytes()),
        }
    }
}

/// Reads one segment: its kind and the bytes of its AS numbers.
fn segment<'a>(
    read: &mut Reader<'a>,
    width: AsnWidth,
) -> Result<(SegmentKind, &'a [u8]), PathFault> {
    let [kind, count] = read
        .array()
        .ok_or(PathFault("a lone octet follows its last segment"))?;
    let kind = SegmentKind::from_code(kind).ok_or(PathFault("a segment has an unknown type"))?;
    if count == 0 {
        return Err(PathFault("a segment is empty"));
    }
    let asns = read
        .take(usize::from(count) * width.octets())
        .ok_or(PathFault("a segment is longer than the attribute"))?;
    Ok((kind, asns))
}

impl AsPath {
    /// Checks the content of an AS_PATH (RFC 7606 §7.2, RFC 7607); returns its first AS number where it
    /// begins with a sequence.
    ///
    /// Confederation segments are refused unless `confederation`.
    pub(crate) fn check(
        bytes: &[u8],
        width: AsnWidth,
        confederation: bool,
    ) -> Result<Option<u32>, PathFault> {
        let mut read = Reader::new(bytes);
        let mut first = None;
        let mut leading = true;
        while !read.is_empty() {
            let (kind, asns) = segment(&mut read, width)?;
            if kind.is_confederation() && !confederation {
                return Err(PathFault("a confederation segment comes from outside"));
            }
            if leading && kind == SegmentKind::Sequence {
                first = asns.get(..width.octets()).map(|asn| width.read(asn));
            }
            leading &= kind.is_confederation();
            if asns
                .chunks_exact(width.octets())
                .any(|asn| width.read(asn) == 0)
            {
                return Err(PathFault("it contains AS 0"));
            }
        }
        Ok(first)
    }

    /// Decodes the content of an AS_PATH; `None` when it is malformed.
    pub(crate) fn decode(bytes: &[u8], width: AsnWidth) -> Option<AsPath> {
        let mut read = Reader::new(bytes);
        let mut segments = Vec::new();
        while !read.is_empty() {
            let (kind, asns) = segment(&mut read, width).ok()?;
            let asns = asns
                .chunks_exact(width.octets())
                .map(|asn| width.read(asn))
                .collect();
            segments.push(AsSegment { kind, asns });
        }
        Some(AsPath { segments })
    }

    /// Appends the content of a well-formed AS_PATH with two-octet AS numbers as one with four.
    pub(crate) fn widen(bytes: &[u8], out: &mut Vec<u8>) {
        let mut read = Reader::new(bytes);
        while let Ok((kind, asns)) = segment(&mut read, AsnWidth::Two) {
            let pairs = asns.as_chunks::<2>().0;
            out.extend_from_slice(&[kind.code(), pairs.len() as u8]);
            for [high, low] in pairs {
                out.extend_from_slice(&[0, 0, *high, *low]);
            }
        }
    }

    /// Appends the content of an AS_PATH. With two octets, larger numbers become AS_TRANS.
    pub(crate) fn encode(&self, width: AsnWidth, out: &mut Vec<u8>) {
        for segment in &self.segments {
            for asns in segment.asns.chunks(255) {
                out.extend_from_slice(&[segment.kind.code(), asns.len() as u8]);
                for asn in asns {
                    width.write(*asn, out);
                }
            }
        }
    }

    /// What AS4_PATH must say beside a two-octet AS_PATH; `None` when nothing is lost without it.
    pub(crate) fn as4_path(&self) -> Option<AsPath> {
        let wide = self.iter().any(|asn| asn > u32::from(u16::MAX));
        wide.then(|| AsPath {
            segments: self
                .segments
                .iter()
                .filter(|s| !s.kind.is_confederation())
                .cloned()
                .collect(),
        })
    }

    /// The path that a two-octet AS_PATH and its AS4_PATH stand for (RFC 6793 §4.2.3): what AS_PATH has
    /// more in front, then AS4_PATH. An AS4_PATH that is longer is ignored.
    pub(crate) fn merged(self, as4_path: AsPath) -> AsPath {
        let as4_path = AsPath {
            segments: as4_path
                .segments
                .into_iter()
                .filter(|s| !s.kind.is_confederation())
                .collect(),
        };
        let Some(mut missing) = self.length().checked_sub(as4_path.length()) else {
            return self;
        };
        if as4_path.is_empty() {
            return self;
        }
        let mut merged = AsPath::default();
        for mut segment in self.segments {
            let length = segment.length();
            if length > missing {
                // Only a sequence can be cut; a set of length 1 fits or is AS4_PATH's to tell.
                if segment.kind == SegmentKind::Sequence && missing > 0 {
                    segment.asns.truncate(missing);
                    merged.segments.push(segment);
                }
                break;
            }
            missing -= length;
            merged.segments.push(segment);
        }
        let mut rest = as4_path.segments.into_iter();
        if let Some(next) = rest.next() {
            match merged.segments.last_mut() {
                Some(last)
                    if last.kind == SegmentKind::Sequence && next.kind == SegmentKind::Sequence =>
                {
                    last.asns.extend(next.asns);
                }
                _ => merged.segments.push(next),
            }
        }
        merged.segments.extend(rest);
        merged
    }
}
