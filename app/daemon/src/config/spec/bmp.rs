//! `[bmp.NAME]`: a collector.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapway_bmp::{BUFFER_MIB, CollectorConfig, RETRY, STATISTICS, Server, Tables};
use tapway_model::CollectorName;
use tapway_model::spec::SpecError;

use super::server::{local_address, server};
use super::{no_word, wrong};
use crate::config::value::{duration, duration_text};

/// The tables, as they are written.
const TABLES: [&str; 4] = [
    "adj-rib-in-pre",
    "adj-rib-in-post",
    "adj-rib-out",
    "loc-rib",
];
const EVERY: Duration = Duration::from_secs(60);
/// RFC 7854 §3.2.
const FIRST_RETRY: Duration = Duration::from_secs(30);
/// Instead of an interval.
const NEVER: &str = "never";
const BUFFER: i64 = 64;
const MIB: usize = 1 << 20;

/// A collector, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/monitoring.md and in CollectorConfig"
)]
pub struct CollectorSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_mib: Option<i64>,
}

impl CollectorSpec {
    /// Checks every value.
    ///
    /// # Errors
    /// The first wrong value, with its key and the remedy.
    pub fn parse(&self, name: CollectorName) -> Result<CollectorConfig, SpecError> {
        let Some(text) = &self.server else {
            return Err(wrong(
                "",
                "the key \"server\" is missing; add server = \"…\" with the name or address of the collector and its port",
            ));
        };
        let (host, port) =
            server(text, None, "bmp.example.org:11019").map_err(|e| wrong("server", e))?;
        let local_address = match &self.local_address {
            Some(text) => Some(local_address(text).map_err(|e| wrong("local_address", e))?),
            None => None,
        };
        if let (Some(local), Ok(addr)) = (local_address, host.parse::<IpAddr>())
            && local.is_ipv4() != addr.is_ipv4()
        {
            return Err(wrong(
                "local_address",
                format!("{local} and the server's {addr} are not of one family"),
            ));
        }
        let statistics = match self.statistics.as_deref() {
            None => Some(EVERY),
            Some(NEVER) => None,
            Some(text) => Some(within("statistics", text, STATISTICS)?),
        };
        let retry = match &self.retry {
            None => FIRST_RETRY,
            Some(text) => within("retry", text, RETRY)?,
        };
        let mib = self.buffer_mib.unwrap_or(BUFFER);
        let buffer = usize::try_from(mib)
            .ok()
            .filter(|_| BUFFER_MIB.contains(&mib))
            .ok_or_else(|| {
                let (least, most) = (BUFFER_MIB.start(), BUFFER_MIB.end());
                wrong("buffer_mib", format!("must be from {least} to {most}"))
            })?;
        Ok(CollectorConfig {
            name,
            server: Server { host, port },
            local_address,
            tables: self.tables()?,
            statistics,
            retry,
            buffer: buffer * MIB,
        })
    }

    fn tables(&self) -> Result<Tables, SpecError> {
        let Some(words) = &self.tables else {
            return Ok(Tables {
                received: true,
                ..Tables::default()
            });
        };
        if words.is_empty() {
            let text = "no table; remove the section if the collector is to be told nothing";
            return Err(wrong("tables", text));
        }
        let mut tables = Tables::default();
        for (at, word) in words.iter().enumerate() {
            let table = match word.as_str() {
                "adj-rib-in-pre" => &mut tables.received,
                "adj-rib-in-post" => &mut tables.imported,
                "adj-rib-out" => &mut tables.sent,
                "loc-rib" => &mut tables.best,
                other => {
                    let key = format!("tables[{at}]");
                    return Err(wrong(key, no_word(other, "table", &TABLES)));
                }
            };
            *table = true;
        }
        Ok(tables)
    }
}

fn within(
    key: &str,
    text: &str,
    allowed: std::ops::RangeInclusive<Duration>,
) -> Result<Duration, SpecError> {
    let time = duration(text).map_err(|e| wrong(key, e))?;
    if allowed.contains(&time) {
        return Ok(time);
    }
    let (least, most) = (
        duration_text(*allowed.start()),
        duration_text(*allowed.end()),
    );
    Err(wrong(key, format!("must be from {least} to {most}")))
}

/// Tables as they are written.
pub fn table_words(tables: Tables) -> Vec<String> {
    let Tables {
        received,
        imported,
        sent,
        best,
    } = tables;
    let all = TABLES.into_iter().zip([received, imported, sent, best]);
    all.filter(|(_, on)| *on)
        .map(|(w, _)| w.to_owned())
        .collect()
}

impl From<&CollectorConfig> for CollectorSpec {
    fn from(collector: &CollectorConfig) -> CollectorSpec {
        CollectorSpec {
            server: Some(collector.server.to_string()),
            local_address: collector.local_address.map(|a| a.to_string()),
            tables: Some(table_words(collector.tables)),
            statistics: Some(match collector.statistics {
                Some(every) => duration_text(every),
                None => NEVER.to_owned(),
            }),
            retry: Some(duration_text(collector.retry)),
            buffer_mib: i64::try_from(collector.buffer / MIB).ok(),
        }
    }
}
