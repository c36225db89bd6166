//! How much is written to peers in one turn of the loop.
//!
//! The speaker hands out bytes for one peer after another, a batch to each: who is told a million routes holds up no other
//! peer. And when a turn has written its share, the rest waits until all other input was looked at; but what is withdrawn goes
//! out before the kernel forgets it, so those who are owed withdraws are written to beyond the share.

use tapway_bgp::Transmit;
use tapway_node::Node;

use crate::daemon::now;

/// Session bytes written in one turn, about: the last batch may go beyond it.
const SHARE: usize = 512 * 1024;
/// The same while somebody is owed a withdraw.
const WITH_WITHDRAWS: usize = 8 * SHARE;

/// What was written in this turn.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    bytes: usize,
}

impl Writes {
    /// A new turn has its own share.
    pub(crate) fn begin_turn(&mut self) {
        self.bytes = 0;
    }

    /// Gives `write` what the node has for its peers. False: the share is used up, and there may be more for the next turn.
    pub(crate) fn all_written(
        &mut self,
        node: &mut Node,
        mut write: impl FnMut(Transmit, &mut Node),
    ) -> bool {
        while self.bytes < SHARE {
            let Some(transmit) = node.poll_transmit(now()) else {
                return true;
            };
            self.bytes += transmit.bytes.len();
            write(transmit, node);
        }
        // Withdraws come first in each batch: who is owed more of them after one may wait, too.
        let mut first = None;
        while self.bytes < WITH_WITHDRAWS
            && let Some(transmit) = node.poll_withdraw(now())
        {
            let round_over = first == Some(transmit.conn);
            first.get_or_insert(transmit.conn);
            self.bytes += transmit.bytes.len();
            write(transmit, node);
            if round_over {
                break;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
