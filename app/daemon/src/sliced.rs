//! What the API asks for that is too long for one turn: many instances at once, long lists.
//!
//! It is done in slices, and the loop takes everything else between two of them. Instances are written in
//! the order in which they were asked for. A list is the items that there were when it was asked for, each
//! as it was when its turn came; of routes, which may be a million, those that were there when their turn came.

use std::collections::VecDeque;
use std::time::Duration;
use std::vec;

use tapway_api::list::List;
use tapway_api::write::AppliedItem;
use tapway_api::{ApiError, ErrorCode};
use tapway_model::{Instance, InstanceName, Instant};
use tapway_node::Node;

use crate::daemon::{Daemon, now};
use crate::http::{ApiReply, Responder};

/// How long a slice may take; it ends after the item that is under way then.
const SLICE: Duration = Duration::from_millis(2);
/// Instances in a slice: what they change in the kernel is done in the same turn.
const INSTANCES: usize = 128;

/// The end of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(Instant);

impl Budget {
    /// For a slice that begins now.
    pub(crate) fn slice() -> Budget {
        Budget(now() + SLICE)
    }

    /// Whether the slice is over.
    pub(crate) fn is_spent(&self) -> bool {
        now() >= self.0
    }
}

/// A list under way: what is left to look at, and what came of the rest.
pub struct Rows<K, T> {
    keys: vec::IntoIter<K>,
    rows: Vec<T>,
    total: Option<u64>,
    row: fn(&Node, K) -> Option<T>,
    reply: Option<Reply<T>>,
}

/// Makes an answer of all items.
type Reply<T> = Box<dyn FnOnce(List<T>) -> ApiReply>;

impl<K, T> Rows<K, T> {
    /// All of a list. `row` makes an item; none: it is gone meanwhile.
    pub fn whole(
        keys: Vec<K>,
        row: fn(&Node, K) -> Option<T>,
        reply: impl FnOnce(List<T>) -> ApiReply + 'static,
    ) -> Rows<K, T> {
        Rows {
            rows: Vec::with_capacity(keys.len()),
            keys: keys.into_iter(),
            total: None,
            row,
            reply: Some(Box::new(reply)),
        }
    }

    /// A page of a list.
    pub fn page(
        page: List<K>,
        row: fn(&Node, K) -> Option<T>,
        reply: impl FnOnce(List<T>) -> ApiReply + 'static,
    ) -> Rows<K, T> {
        Rows {
            total: Some(page.total),
            ..Rows::whole(page.items, row, reply)
        }
    }
}

/// Something that can be done in slices.
pub trait Step {
    /// Does at least one more item; the answer when it was the last.
    fn step(&mut self, node: &Node, over: &dyn Fn() -> bool) -> Option<ApiReply>;
}

impl<K, T> Step for Rows<K, T> {
    fn step(&mut self, node: &Node, over: &dyn Fn() -> bool) -> Option<ApiReply> {
        for key in self.keys.by_ref() {
            self.rows.extend((self.row)(node, key));
            if over() {
                break;
            }
        }
        if self.keys.len() > 0 {
            return None;
        }
        let reply = self.reply.take()?;
        let items = std::mem::take(&mut self.rows);
        let total = self.total.unwrap_or(items.len() as u64);
        Some(reply(List { items, total }))
    }
}

struct Listing {
    rows: Box<dyn Step>,
    responder: Responder,
}

/// What is to be done with instances of the API.
enum Write {
    Apply {
        left: vec::IntoIter<Instance>,
        done: Vec<AppliedItem>,
        responder: Responder,
    },
    Remove(InstanceName, Responder),
}

/// What was begun.
#[derive(Default)]
pub(crate) struct Sliced {
    writes: VecDeque<Write>,
    listings: VecDeque<Listing>,
}

impl Sliced {
    /// Requests that are not answered to their end.
    pub(crate) fn len(&self) -> usize {
        self.writes.len() + self.listings.len()
    }

    /// Tells whoever still waits that nothing more comes.
    pub(crate) fn stop(&mut self) {
        let writers = self.writes.drain(..).map(|write| match write {
            Write::Apply { responder, .. } | Write::Remove(_, responder) => responder,
        });
        let readers = self.listings.drain(..).map(|listing| listing.responder);
        for responder in writers.chain(readers) {
            let error = ApiError::new(ErrorCode::Stopping, "the daemon is stopping");
            responder.send(Err(error));
        }
    }
}

impl Daemon {
    /// Applies instances, behind all that was asked for before.
    pub(crate) fn apply_instances(&mut self, instances: Vec<Instance>, responder: Responder) {
        self.sliced.writes.push_back(Write::Apply {
            done: Vec::with_capacity(instances.len()),
            left: instances.into_iter(),
            responder,
        });
        self.go_on_writing();
    }

    /// Removes an instance, behind all that was asked for before.
    pub(crate) fn remove_instance(&mut self, name: InstanceName, responder: Responder) {
        self.sliced.writes.push_back(Write::Remove(name, responder));
        self.go_on_writing();
    }

    /// Answers with a list.
    pub(crate) fn list(&mut self, rows: impl Step + 'static, responder: Responder) {
        self.sliced.listings.push_back(Listing {
            rows: Box::new(rows),
            responder,
        });
        self.go_on_listing();
    }

    /// Does a slice of what is left; the next turn follows at once while there is more.
    pub(crate) fn go_on(&mut self) {
        if !self.sliced.writes.is_empty() {
            self.go_on_writing();
        }
        if !self.sliced.listings.is_empty() {
            self.go_on_listing();
        }
        self.more |= !self.sliced.writes.is_empty() || !self.sliced.listings.is_empty();
    }

    fn go_on_writing(&mut self) {
        let budget = Budget::slice();
        let mut room = INSTANCES;
        while room > 0
            && !budget.is_spent()
            && let Some(write) = self.sliced.writes.pop_front()
        {
            match write {
                Write::Remove(name, responder) => {
                    room -= 1;
                    self.remove_now(&name, responder);
                }
                Write::Apply {
                    mut left,
                    mut done,
                    responder,
                } => {
                    while room > 0
                        && !budget.is_spent()
                        && let Some(instance) = left.next()
                    {
                        room -= 1;
                        done.push(self.apply_now(instance));
                    }
                    if left.len() == 0 {
                        self.drain();
                        self.applied(done, responder);
                    } else {
                        self.sliced.writes.push_front(Write::Apply {
                            left,
                            done,
                            responder,
                        });
                    }
                }
            }
        }
        self.drain();
        self.more |= !self.sliced.writes.is_empty();
    }

    fn go_on_listing(&mut self) {
        let budget = Budget::slice();
        while !budget.is_spent()
            && let Some(mut listing) = self.sliced.listings.pop_front()
        {
            if listing.responder.is_abandoned() {
                continue;
            }
            match listing.rows.step(&self.node, &|| budget.is_spent()) {
                Some(reply) => listing.responder.send(Ok(reply)),
                // Behind the others: a short list does not wait for a long one.
                None => self.sliced.listings.push_back(listing),
            }
        }
        self.more |= !self.sliced.listings.is_empty();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use tapway_api::write::Done;
    use tapway_bgp::config::SpeakerConfig;
    use tapway_node::{Listen, NodeConfig, Restored, Start};

    use super::*;

    /// A node that has nothing.
    pub(crate) fn node() -> Node {
        let config = NodeConfig {
            speaker: SpeakerConfig {
                asn: 64612,
                router_id: Ipv4Addr::new(192, 0, 2, 11),
                graceful_restart: None,
                cluster_id: None,
                decision: tapway_bgp::config::DECISION,
            },
            protocol: 112,
            listen: Listen::Never,
            networks: Vec::new(),
            peers: BTreeMap::new(),
            policies: Vec::new(),
            sources: BTreeMap::new(),
            withdraw_without_carrier: true,
            next_hop_via_default: false,
            seeds: 1.into(),
        };
        let start = Start::Cold;
        Node::new(
            Instant::ZERO,
            config,
            Restored::default(),
            Vec::new(),
            start,
        )
    }

    fn text(list: List<u32>) -> ApiReply {
        ApiReply::Done(Done {
            text: format!("{:?} of {}", list.items, list.total),
        })
    }

    /// The slices that it took, each of `length` items, and the answer.
    fn slices(mut rows: Rows<u32, u32>, length: u32) -> (u32, ApiReply) {
        let node = node();
        let mut count = 1;
        loop {
            let left = Cell::new(length);
            let over = || {
                left.set(left.get().saturating_sub(1));
                left.get() == 0
            };
            if let Some(reply) = rows.step(&node, &over) {
                return (count, reply);
            }
            count += 1;
        }
    }

    #[test]
    fn a_list_in_slices_is_the_list() {
        let odd = |_: &Node, key: u32| (key % 2 == 1).then_some(key * 10);
        let whole = || Rows::whole((0..7).collect(), odd, text);
        let said = ApiReply::done("[10, 30, 50] of 3");
        // A slice does one item at least, however late it is.
        for (length, count) in [(0, 7), (1, 7), (2, 4), (3, 3), (7, 1), (100, 1)] {
            assert_eq!(slices(whole(), length), (count, said.clone()), "{length}");
        }
        let page = List {
            items: vec![1, 3],
            total: 9,
        };
        let said = ApiReply::done("[10, 30] of 9");
        assert_eq!(slices(Rows::page(page, odd, text), 1), (2, said));
        let none = Rows::whole(Vec::new(), odd, text);
        assert_eq!(slices(none, 1), (1, ApiReply::done("[] of 0")));
    }
}
