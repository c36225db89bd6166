//! Best routes (the Loc-RIB, RFC 9069), each change of them for every reader, by groups of the RIB: a reader that is slow is
//! told what holds when it reads, and nothing is kept for it but bits.

use alloc::vec::Vec;

use tapway_bgp_wire::{EncodeContext, PerFamily};
use tapway_model::Family;
use tapway_rib::{Exported, GroupConfig, GroupId, MemberId, Next, Paths, RouteView, SourceId};

use super::pages::{block, own_next_hop};
use crate::speaker::Speaker;
use crate::speaker::shared::Shared;

/// Bytes that may wait for the slowest reader before it goes on by itself.
const BACKLOG: usize = 1 << 20;
/// Prefixes that are looked at together.
const BATCH: usize = 1024;

/// Somebody who reads best routes; to be given back with [`Speaker::stop_best`].
#[derive(Debug)]
pub struct BestReader {
    members: PerFamily<Option<MemberId>>,
    /// Families whose End-of-RIB was not told.
    open: PerFamily<bool>,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Best {
    /// UPDATEs with AS numbers of four octets.
    Updates(Vec<u8>),
    /// All routes of this family that there were at the beginning have been told.
    EndOfRib(Family),
    /// Nothing of what was looked at is to be told; ask again.
    More,
    /// Nothing now.
    Idle,
}

/// The group of each family, and its readers.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    groups: PerFamily<Option<GroupId>>,
    readers: u32,
}

impl Speaker {
    /// Begins to read best routes: all that there are, then what changes. At most one for each collector.
    pub fn read_best(&mut self) -> BestReader {
        let Shared { rib, monitor, .. } = &mut self.shared;
        let groups = &mut monitor.best;
        groups.readers += 1;
        let members = PerFamily::from_fn(|family| {
            let group = groups.groups[family].get_or_insert_with(|| {
                rib.add_group(GroupConfig {
                    family,
                    encode: EncodeContext::default(),
                    paths: Paths::Best,
                    backlog: BACKLOG,
                })
            });
            rib.join(*group, None)
        });
        BestReader {
            members,
            open: PerFamily::from_fn(|_| true),
        }
    }

    /// The reader reads no more.
    pub fn stop_best(&mut self, reader: &BestReader) {
        let Shared { rib, monitor, .. } = &mut self.shared;
        for family in Family::ALL {
            if let Some(member) = reader.members[family] {
                rib.leave(member);
            }
        }
        let groups = &mut monitor.best;
        groups.readers = groups.readers.saturating_sub(1);
        if groups.readers == 0 {
            // They ended with their last member.
            groups.groups = PerFamily::default();
        }
    }

    /// What a reader is to be told next.
    pub fn next_best(&mut self, reader: &mut BestReader) -> Best {
        let Shared { rib, own, .. } = &mut self.shared;
        let mut export = |_: GroupId, route: &RouteView<'_>, out: &mut Vec<u8>| {
            let local = route.source == SourceId::LOCAL;
            let Some(used) = route.used else {
                return Exported {
                    next_hop: None,
                    for_attributes: false,
                };
            };
            let next_hop = match local {
                true => own_next_hop(own, route),
                false => used.next_hop,
            };
            out.extend_from_slice(&block(used.raw, next_hop));
            Exported {
                next_hop: Some(next_hop),
                for_attributes: !local,
            }
        };
        let mut idle = true;
        for family in Family::ALL {
            let Some(member) = reader.members[family] else {
                continue;
            };
            match rib.next(member, BATCH, &mut export) {
                Next::Chunk(chunk) => return Best::Updates(chunk.bytes.to_vec()),
                Next::More => idle = false,
                Next::Idle => {}
            }
            if reader.open[family] && rib.is_complete(member) {
                reader.open[family] = false;
                return Best::EndOfRib(family);
            }
        }
        match idle {
            true => Best::Idle,
            false => Best::More,
        }
    }

    /// How many routes a reader was told.
    pub fn best_counts(&self, reader: &BestReader) -> PerFamily<usize> {
        let told = |member| self.shared.rib.told_count(member);
        PerFamily::from_fn(|family| reader.members[family].map_or(0, told))
    }

    /// Whether [`Speaker::next_best`] may have something.
    pub fn has_best(&self, reader: &BestReader) -> bool {
        Family::ALL.into_iter().any(|family| {
            let pending = |member| self.shared.rib.pending(member) > 0;
            reader.open[family] || reader.members[family].is_some_and(pending)
        })
    }
}
