//! A steady stream of changes, each with its number in a community, and how long each took.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;
use tapway_bgp_wire::{AsPath, AttributeCode, Attributes, Community, EncodeContext, UpdateBuilder};
use tapway_model::Prefix;

use super::course::LIMIT;
use super::load::next_hop;
use super::log::Log;
use super::scenario::Peer;

/// How many changes are sent in one write, one write every millisecond.
const BATCH: usize = 5;
const TICK: Duration = Duration::from_millis(1);

/// The community of the first change; those below are not for use.
const FIRST: u32 = 1 << 16;

/// Changes, encoded.
pub(crate) struct Churn {
    bytes: Vec<u8>,
    /// Where each batch ends.
    ends: Vec<usize>,
    count: usize,
}

impl Churn {
    /// So many seconds of changes, to one prefix after the other.
    ///
    /// # Errors
    /// When they cannot be encoded.
    pub(crate) fn new(prefixes: &[Prefix], peer: Peer, seconds: usize) -> Result<Churn> {
        let count = seconds * 1000 * BATCH;
        let mut churn = Churn {
            bytes: Vec::new(),
            ends: Vec::new(),
            count,
        };
        let numbers = (0..count).zip(FIRST..);
        for ((at, community), prefix) in numbers.zip(prefixes.iter().cycle()) {
            let attributes = Attributes {
                as_path: AsPath::sequence([peer.asn(), 3356, 1299]),
                communities: vec![Community(community)],
                ..Attributes::default()
            };
            UpdateBuilder::new(&mut churn.bytes, EncodeContext::default()).announce(
                &attributes,
                next_hop(peer),
                [*prefix],
            )?;
            if (at + 1) % BATCH == 0 {
                churn.ends.push(churn.bytes.len());
            }
        }
        Ok(churn)
    }

    /// How many changes there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Sends them at their pace; says when each batch was written.
    ///
    /// # Errors
    /// When the session ends, or the daemon takes them much too slowly.
    pub(crate) fn send(&self, stream: &mut TcpStream) -> io::Result<Vec<Instant>> {
        let start = Instant::now();
        let mut sent = Vec::with_capacity(self.ends.len());
        let mut from = 0;
        for (end, number) in self.ends.iter().zip(0..) {
            let due = start + TICK * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            if now > due + LIMIT {
                return Err(io::Error::other("it does not keep the pace"));
            }
            sent.push(now);
            stream.write_all(&self.bytes[from..*end])?;
            from = *end;
        }
        Ok(sent)
    }
}

/// The time that each change took to the receiver, sorted, from what is in its log from the offset `from` on. A
/// change that never came is not in it.
///
/// # Errors
/// What is wrong with the log.
pub(crate) fn delays(log: &Log, from: usize, sent: &[Instant]) -> Result<Vec<Duration>, String> {
    let mut delays: Vec<Option<Duration>> = vec![None; sent.len() * BATCH];
    log.updates(from, |at, update| {
        let Some(number) = number(update) else {
            return Ok(());
        };
        if let (Some(delay), Some(sent)) = (delays.get_mut(number), sent.get(number / BATCH)) {
            delay.get_or_insert(at.saturating_duration_since(*sent));
        }
        Ok(())
    })?;
    let mut seen: Vec<Duration> = delays.into_iter().flatten().collect();
    seen.sort();
    Ok(seen)
}

/// The number of a change, when the UPDATE is one.
fn number(update: &tapway_bgp_wire::Update) -> Option<usize> {
    let attribute = update.attributes().get(AttributeCode::COMMUNITIES)?;
    let value: [u8; 4] = attribute.value.try_into().ok()?;
    let number = u32::from_be_bytes(value).checked_sub(FIRST)?;
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapway_model::Family;

    #[test]
    fn every_change_is_matched_with_its_time() {
        let peer = Peer {
            sends: true,
            number: 0,
            family: Family::Ipv4,
        };
        let prefixes = ["198.51.100.0/24", "203.0.113.0/24"].map(|p| p.parse().unwrap());
        let churn = Churn::new(&prefixes, peer, 1).unwrap();
        assert_eq!((churn.count(), churn.ends.len()), (5000, 1000));
        let start = Instant::now();
        let sent: Vec<Instant> = (0..1000).map(|n| start + TICK * n).collect();
        let mut log = Log::default();
        // Before the changes, something else.
        log.push(start, &churn.bytes[..churn.ends[0]]);
        let from = churn.ends[0];
        // The second batch takes 3 ms, the third 7 ms, the others never come.
        let mut end = from;
        for (batch, delay) in [(1, 3), (2, 7)] {
            let at = sent[batch] + TICK * delay;
            log.push(at, &churn.bytes[end..churn.ends[batch]]);
            end = churn.ends[batch];
        }
        let wanted: Vec<Duration> = [TICK * 3; 5].into_iter().chain([TICK * 7; 5]).collect();
        assert_eq!(delays(&log, from, &sent).unwrap(), wanted);
        assert_eq!(log.count.announced, 15);
    }
}
