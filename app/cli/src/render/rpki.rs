//! `tapway rpki`.

use tapway_api::list::List;
use tapway_api::rpki::{CacheState, RpkiAnswer, RpkiCache, RpkiState};

use super::word;
use crate::human::{count, duration};
use crate::style::{Style, Tone};
use crate::table::{Cell, Table};

pub(crate) fn caches(caches: &List<RpkiCache>, style: Style) -> String {
    let mut table = Table::new(&[
        "CACHE",
        "SERVER",
        ">PREFERENCE",
        "STATE",
        ">VERSION",
        ">SERIAL",
        ">IPV4",
        ">IPV6",
        ">LAST UPDATE",
        ">NEXT",
        ">EXPIRES",
        "NOTE",
    ]);
    for cache in &caches.items {
        let tone = match cache.state {
            CacheState::Synced => Tone::Good,
            CacheState::Resting => Tone::Dim,
            CacheState::Waiting => Tone::Bad,
            CacheState::Connecting | CacheState::Asked | CacheState::Receiving => Tone::Warn,
        };
        let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        let within = |s: Option<u64>| s.map(|s| format!("in {}", duration(s))).unwrap_or_default();
        table.row([
            (&cache.name).into(),
            (&cache.server).into(),
            cache.preference.into(),
            Cell::new(tone, word(cache.state)),
            number(cache.version.map(u32::from)).into(),
            number(cache.serial).into(),
            count(cache.ipv4).into(),
            count(cache.ipv6).into(),
            match cache.updated_s {
                Some(s) => format!("{} ago", duration(s)).into(),
                None => "never".into(),
            },
            within(cache.next_s).into(),
            within(cache.expires_s).into(),
            Cell::new(Tone::Warn, cache.error.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(style, "No RPKI caches.")
}

pub(crate) fn answer(answer: &RpkiAnswer, style: Style) -> String {
    let prefix = style.paint(Tone::Strong, &answer.prefix.to_string());
    let mut out = match (answer.asn, answer.state) {
        (Some(asn), Some(state)) => {
            format!(
                "{prefix} from AS{asn}: {}\n",
                style.paint(tone(state), &word(state))
            )
        }
        _ => format!("{prefix}\n"),
    };
    if answer.vrps.is_empty() {
        out.push_str("  no VRP covers it\n");
    }
    for vrp in &answer.vrps {
        let longer = if vrp.max_length > vrp.prefix.len() {
            format!(" le {}", vrp.max_length)
        } else {
            String::new()
        };
        let line = format!("{}{longer} AS{}", vrp.prefix, vrp.asn);
        let (line, note) = match vrp.allows {
            Some(true) => (style.paint(Tone::Good, &line), " allows it"),
            _ if vrp.asn == 0 => (line, " nobody may announce it"),
            _ => (line, ""),
        };
        out.push_str(&format!("  {line}{note}\n"));
    }
    out
}

/// How good a state is.
pub(crate) fn tone(state: RpkiState) -> Tone {
    match state {
        RpkiState::Valid => Tone::Good,
        RpkiState::Invalid => Tone::Bad,
        RpkiState::NotFound => Tone::Dim,
    }
}
