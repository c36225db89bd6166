//! Records: the common header (RFC 6396 §2 and 3).

use alloc::vec::Vec;
use core::time::Duration;

/// Types (RFC 6396 §4).
pub(crate) mod kind {
    pub(crate) const TABLE_DUMP_V2: u16 = 13;
    pub(crate) const BGP4MP_ET: u16 = 17;
}

/// Begins a record; [`finish`] fills in its length.
pub(crate) fn begin(out: &mut Vec<u8>, time: Duration, kind: u16, subtype: u16) -> usize {
    let start = out.len();
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&subtype.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    start
}

/// Fills in the length of the record that began at `start`.
pub(crate) fn finish(out: &mut [u8], start: usize) {
    let len = (out.len() - start - 12) as u32;
    out[start + 8..start + 12].copy_from_slice(&len.to_be_bytes());
}
