//! How many prefixes an UPDATE has, from its bytes, for a few nanoseconds a prefix. What they are is looked at
//! later; malformed messages count as nothing here and are found there.

use tapway_bgp_wire::{AttributeCode, HEADER_LEN};

/// Announced and withdrawn prefixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Announced.
    pub(crate) announced: usize,
    /// Withdrawn.
    pub(crate) withdrawn: usize,
}

const TYPE_UPDATE: u8 = 2;

/// Counts the whole messages at the beginning of `bytes`; says how many bytes they take.
pub(crate) fn messages(bytes: &[u8], count: &mut Count) -> usize {
    let mut used = 0;
    while let Some(header) = bytes.get(used..used + HEADER_LEN) {
        let len = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let Some(message) = bytes.get(used..used + len.max(HEADER_LEN)) else {
            break;
        };
        if header[18] == TYPE_UPDATE {
            let _ = update(&message[HEADER_LEN..], count);
        }
        used += len.max(HEADER_LEN);
    }
    used
}

fn update(body: &[u8], count: &mut Count) -> Option<()> {
    let (withdrawn, rest) = field(body)?;
    let (mut attributes, nlri) = field(rest)?;
    count.withdrawn += run(withdrawn);
    count.announced += run(nlri);
    while let [flags, code, ..] = *attributes {
        let (value, rest) = if flags & 0x10 == 0 {
            let (len, rest) = attributes.get(2..)?.split_first()?;
            rest.split_at_checked(usize::from(*len))?
        } else {
            field(attributes.get(2..)?)?
        };
        match AttributeCode(code) {
            AttributeCode::MP_REACH_NLRI => {
                let next_hop = usize::from(*value.get(3)?);
                count.announced += run(value.get(3 + 1 + next_hop + 1..)?);
            }
            AttributeCode::MP_UNREACH_NLRI => count.withdrawn += run(value.get(3..)?),
            _ => {}
        }
        attributes = rest;
    }
    Some(())
}

/// A field that begins with its length in two octets, and what follows.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

fn run(nlri: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(bits) = nlri.get(at) {
        at += 1 + usize::from(bits.div_ceil(8));
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use tapway_bgp_wire::encode_keepalive;

    use super::*;
    use crate::relay::load::Load;
    use crate::relay::scenario::{Scenario, Size};

    #[test]
    fn all_of_a_load_is_counted_whatever_the_segments() {
        for scenario in [Scenario::Table, Scenario::Table6] {
            let size = Size {
                prefixes: 5000,
                ..scenario.size(true)
            };
            let load = Load::new(scenario, size).unwrap();
            let mut bytes = load.said[0].announce.clone();
            encode_keepalive(&mut bytes);
            bytes.extend(&load.said[0].withdraw);
            let (mut count, mut used, mut end) = (Count::default(), 0, 0);
            while end < bytes.len() {
                end = (end + 1460).min(bytes.len());
                used += messages(&bytes[used..end], &mut count);
            }
            assert_eq!(used, bytes.len());
            let wanted = Count {
                announced: 5000,
                withdrawn: 5000,
            };
            assert_eq!(count, wanted);
        }
    }

    #[test]
    fn nonsense_counts_as_nothing() {
        let mut bytes = vec![0xff; 16];
        bytes.extend([0, 26, TYPE_UPDATE, 0, 9, 0, 0, 24, 1]);
        let mut count = Count::default();
        assert_eq!(messages(&bytes, &mut count), 0);
        bytes.push(2);
        assert_eq!(messages(&bytes, &mut count), 26);
        assert_eq!(count, Count::default());
    }
}
