//! RPKI caches, and what they say of a prefix.

use tapway_api::list::List;
use tapway_api::rpki::{CacheState, RpkiAnswer, RpkiCache, RpkiQuery, RpkiState, RpkiVrp};
use tapway_model::Instant;
use tapway_rpki::{CacheStatus, VrpTable};

use super::age;

/// The caches, by name.
pub fn caches(now: Instant, statuses: &[CacheStatus]) -> List<RpkiCache> {
    List::whole(statuses.iter().map(|status| cache(now, status)).collect())
}

fn cache(now: Instant, status: &CacheStatus) -> RpkiCache {
    use tapway_rpki::CacheState as State;
    let left = |at: Instant| at.since(now).as_secs();
    let [ipv4, ipv6] = status.records.map(|count| count as u64);
    RpkiCache {
        name: status.config.name.clone(),
        server: status.config.server.to_string(),
        preference: status.config.preference,
        state: match status.state {
            State::Resting => CacheState::Resting,
            State::Waiting => CacheState::Waiting,
            State::Connecting => CacheState::Connecting,
            State::Asked => CacheState::Asked,
            State::Receiving => CacheState::Receiving,
            State::Synced => CacheState::Synced,
        },
        version: status.version,
        session: status.session.map(|(session, _)| session),
        serial: status.session.map(|(_, serial)| serial.0),
        ipv4,
        ipv6,
        updated_s: status.updated.map(|then| age(now, then)),
        next_s: status.next.map(left),
        expires_s: status.expires.map(left),
        refresh_s: status.timing.refresh.as_secs(),
        retry_s: status.timing.retry.as_secs(),
        expire_s: status.timing.expire.as_secs(),
        error: status.failure.as_ref().map(ToString::to_string),
    }
}

/// What the caches say of a prefix, and of an AS that announces it.
pub fn answer(table: &VrpTable, query: &RpkiQuery) -> RpkiAnswer {
    let prefix = query.prefix;
    RpkiAnswer {
        prefix,
        asn: query.asn,
        state: query
            .asn
            .map(|asn| state(table.validate(&prefix, Some(asn)))),
        vrps: table
            .covering(prefix)
            .map(|vrp| RpkiVrp {
                prefix: vrp.prefix(),
                max_length: vrp.max_len(),
                asn: vrp.asn(),
                allows: query.asn.map(|asn| vrp.allows(&prefix, Some(asn))),
            })
            .collect(),
    }
}

/// A state as the API has it.
pub fn state(state: tapway_rpki::RpkiState) -> RpkiState {
    match state {
        tapway_rpki::RpkiState::Valid => RpkiState::Valid,
        tapway_rpki::RpkiState::Invalid => RpkiState::Invalid,
        tapway_rpki::RpkiState::NotFound => RpkiState::NotFound,
    }
}
