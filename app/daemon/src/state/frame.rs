//! Records as bytes: a marker, a length, a checksum, the payload. Pure.
//!
//! The payload is UTF-8, in which the marker's first byte cannot occur. So the next frame behind a
//! damaged place is found by looking for markers, and what looks like a frame and has the right
//! checksum is one.

use std::ops::Range;

/// 0xF5 is in no UTF-8 text.
const MARKER: [u8; 4] = [0xf5, b'T', b'W', b'1'];

/// Marker, length and checksum (CRC-32 of length and payload), little-endian.
const HEADER: usize = 12;

/// No payload is longer. The API takes bodies of 4 MiB.
pub(super) const MAX_PAYLOAD: usize = 16 << 20;

/// Appends a frame around `payload`; false when it is too long.
pub(super) fn push(out: &mut Vec<u8>, payload: &[u8]) -> bool {
    let Some(len) = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= MAX_PAYLOAD)
    else {
        return false;
    };
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&checksum(len, payload).to_le_bytes());
    out.extend_from_slice(payload);
    true
}

/// How many bytes a frame around a payload of this length has.
pub(super) fn framed(payload: usize) -> u64 {
    (HEADER + payload) as u64
}

fn checksum(len: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// What is next in a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'b> {
    /// A good frame.
    Frame {
        /// Where it begins.
        at: usize,
        /// What is in it.
        payload: &'b [u8],
    },
    /// Bytes that are no frame, up to the next good one or the end.
    Damage(Range<usize>),
}

/// Goes through the bytes of a log.
#[derive(Debug)]
pub(super) struct Pieces<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// All pieces of `bytes` from `at` on.
pub(super) fn pieces(bytes: &[u8], at: usize) -> Pieces<'_> {
    Pieces { bytes, at }
}

impl<'b> Pieces<'b> {
    fn frame_at(&self, at: usize) -> Option<&'b [u8]> {
        let rest = self.bytes.get(at..)?;
        let (header, rest) = rest.split_at_checked(HEADER)?;
        if header[..4] != MARKER {
            return None;
        }
        let len = u32::from_le_bytes(header[4..8].try_into().ok()?);
        let sum = u32::from_le_bytes(header[8..12].try_into().ok()?);
        let payload = rest.get(..len as usize)?;
        (payload.len() <= MAX_PAYLOAD && checksum(len, payload) == sum).then_some(payload)
    }

    /// The next good frame behind `at`, or the end.
    fn next_frame_behind(&self, at: usize) -> usize {
        (at + 1..self.bytes.len())
            .filter(|i| self.bytes[*i] == MARKER[0])
            .find(|i| self.frame_at(*i).is_some())
            .unwrap_or(self.bytes.len())
    }
}

impl<'b> Iterator for Pieces<'b> {
    type Item = Piece<'b>;

    fn next(&mut self) -> Option<Piece<'b>> {
        let at = self.at;
        if at >= self.bytes.len() {
            return None;
        }
        if let Some(payload) = self.frame_at(at) {
            self.at += HEADER + payload.len();
            return Some(Piece::Frame { at, payload });
        }
        self.at = self.next_frame_behind(at);
        Some(Piece::Damage(at..self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<u8> {
        let mut bytes = Vec::new();
        for payload in ["one", "", "three and more"] {
            assert!(push(&mut bytes, payload.as_bytes()));
        }
        bytes
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        pieces(bytes, 0)
            .map(|piece| match piece {
                Piece::Frame { payload, .. } => String::from_utf8_lossy(payload).into_owned(),
                Piece::Damage(range) => format!("damage {range:?}"),
            })
            .collect()
    }

    #[test]
    fn frames_are_found_again() {
        assert_eq!(texts(&log()), ["one", "", "three and more"]);
        assert_eq!(texts(b""), [""; 0]);
        assert_eq!(texts(b"rubbish"), ["damage 0..7"]);
    }

    #[test]
    fn a_log_cut_anywhere_keeps_what_is_whole() {
        let bytes = log();
        let ends = [15, 27, 53];
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|e| **e <= cut).count();
            let found = texts(&bytes[..cut]);
            assert_eq!(found[..whole], texts(&bytes)[..whole], "{cut}");
            let start = if whole == 0 { 0 } else { ends[whole - 1] };
            let damage = (start < cut).then(|| format!("damage {start}..{cut}"));
            assert_eq!(found.get(whole), damage.as_ref(), "{cut}");
        }
    }

    #[test]
    fn a_flipped_bit_costs_one_frame_only() {
        let bytes = log();
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            let (hit, range) = match bit / 8 {
                0..15 => (0, "0..15"),
                15..27 => (1, "15..27"),
                _ => (2, "27..53"),
            };
            let mut expected = texts(&bytes);
            expected[hit] = format!("damage {range}");
            assert_eq!(texts(&broken), expected, "bit {bit}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert!(!push(&mut Vec::new(), &vec![b'x'; MAX_PAYLOAD + 1]));
    }
}
