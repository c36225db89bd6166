//! What there was before the session, page by page; and the Loc-RIB.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_bgp::{Best, InTables, MonitoredSession, Speaker, Table};
use tapway_bgp_wire::{EncodeContext, UpdateBuilder};
use tapway_model::{Family, PeerName, Prefix};

use super::{Session, Time, of_table};

/// Prefixes in a page.
const PAGE: usize = 512;
/// When it happened is not known (RFC 7854 §4.2).
const UNKNOWN: Duration = Duration::ZERO;

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to tell.
    More,
    /// Everything is told.
    Idle,
    /// The router is another one now: another session has to say so.
    Changed,
}

/// A part of what there was before.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Both tables of what peers sent.
    In(Family, Option<Prefix>),
    /// What one peer was sent.
    Out(PeerName, Family, Option<Prefix>),
    /// The end of a table of one peer.
    End(PeerName, Table, Family),
}

impl Session {
    /// Notes what is to be told of what there is.
    pub(super) fn plan(&mut self) {
        let tables = self.tables;
        let ends = |session: &mut Session, table| {
            for name in session.up.keys() {
                let ends = Family::ALL.map(|family| Task::End(name.clone(), table, family));
                session.tasks.extend(ends);
            }
        };
        if tables.received || tables.imported {
            let all = Family::ALL.map(|family| Task::In(family, None));
            self.tasks.extend(all);
        }
        if tables.received {
            ends(self, Table::Received);
        }
        if tables.imported {
            ends(self, Table::Imported);
        }
        if tables.sent {
            for name in self.up.keys() {
                let all = Family::ALL.map(|family| Task::Out(name.clone(), family, None));
                self.tasks.extend(all);
            }
            ends(self, Table::Sent);
        }
    }

    /// Tells a little more: a page of what there was, or of best routes.
    pub fn sync(&mut self, time: Time, speaker: &mut Speaker, out: &mut Vec<u8>) -> Progress {
        let us = speaker.config();
        if (us.asn, us.router_id) != (self.loc_rib.asn, self.loc_rib.router_id) {
            return Progress::Changed;
        }
        if let Some(task) = self.tasks.pop_front() {
            self.step(task, speaker, out);
            return Progress::More;
        }
        let Some(best) = &mut self.best else {
            return Progress::Idle;
        };
        let told = speaker.next_best(best);
        let peer = self.loc_rib_at(time.unix);
        match told {
            Best::Updates(updates) => self.updates(peer, &updates, out),
            Best::EndOfRib(family) => {
                self.best_open = self.best_open.saturating_sub(1);
                let mut end = Vec::new();
                UpdateBuilder::new(&mut end, EncodeContext::default()).end_of_rib(family);
                self.updates(peer, &end, out);
            }
            Best::More => {}
            Best::Idle => return Progress::Idle,
        }
        Progress::More
    }

    /// Whether [`Session::sync`] has something to tell.
    pub fn has_more(&self, speaker: &Speaker) -> bool {
        let best = self.best.as_ref();
        !self.tasks.is_empty() || best.is_some_and(|best| speaker.has_best(best))
    }

    fn step(&mut self, task: Task, speaker: &Speaker, out: &mut Vec<u8>) {
        match task {
            Task::In(family, after) => {
                let tables = InTables {
                    received: self.tables.received,
                    imported: self.tables.imported,
                };
                let mut told: Vec<(Arc<MonitoredSession>, Table, Vec<u8>)> = Vec::new();
                let last = speaker.in_page(tables, family, after, PAGE, |session, table, all| {
                    told.push((session.clone(), table, all));
                });
                for (session, table, updates) in told {
                    if self.knows(&session) {
                        self.updates(of_table(&session, table, UNKNOWN), &updates, out);
                    }
                }
                let next = last.map(|last| Task::In(family, Some(last)));
                self.first(next);
            }
            Task::Out(peer, family, after) => {
                let Some(session) = self.up.get(&peer).cloned() else {
                    return;
                };
                let (updates, last) = speaker.sent_page(&peer, family, after, PAGE);
                let mut header = of_table(&session, Table::Sent, UNKNOWN);
                header.two_octet = !session.encode.four_octet_asn;
                self.updates(header, &updates, out);
                let next = last.map(|last| Task::Out(peer, family, Some(last)));
                self.first(next);
            }
            Task::End(peer, table, family) => {
                let session = self.up.get(&peer).cloned();
                if let Some(session) = session.filter(|s| s.decode.families[family]) {
                    let mut end = Vec::new();
                    UpdateBuilder::new(&mut end, EncodeContext::default()).end_of_rib(family);
                    self.updates(of_table(&session, table, UNKNOWN), &end, out);
                }
            }
        }
    }

    fn first(&mut self, task: Option<Task>) {
        if let Some(task) = task {
            self.tasks.push_front(task);
        }
    }
}
