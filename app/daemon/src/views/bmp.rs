//! Collectors.

use tapway_api::bmp::{Collector, CollectorState};
use tapway_api::list::List;
use tapway_model::Instant;

use super::age;
use crate::bmp::{CollectorState as State, CollectorStatus, Collectors};
use crate::config::spec::table_words;

/// The collectors, by name.
pub fn collectors(now: Instant, all: &Collectors) -> List<Collector> {
    List::whole(
        all.statuses()
            .map(|status| collector(now, status))
            .collect(),
    )
}

fn collector(now: Instant, status: CollectorStatus) -> Collector {
    let (state, since, next) = match status.state {
        State::Waiting(at) => (CollectorState::Waiting, None, Some(at.since(now).as_secs())),
        State::Connecting => (CollectorState::Connecting, None, None),
        State::Syncing(since) => (CollectorState::Syncing, Some(since), None),
        State::Synced(since) => (CollectorState::Synced, Some(since), None),
    };
    Collector {
        name: status.config.name,
        server: status.config.server.to_string(),
        tables: table_words(status.config.tables),
        state,
        connected_s: since.map(|since| age(now, since)),
        next_s: next,
        messages: status.messages,
        bytes: status.bytes,
        waiting_bytes: status.waiting as u64,
        buffer_bytes: status.config.buffer as u64,
        sessions: status.sessions,
        dropped: status.dropped,
        error: status.error,
    }
}
