//! `[rpki.NAME]`: a cache.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapway_model::CacheName;
use tapway_model::spec::SpecError;
use tapway_rpki::{CacheConfig, EXPIRE, REFRESH, RETRY, Server};

use super::server::{local_address, server};
use super::{no_word, wrong};
use crate::config::value::{duration, duration_text};

/// The port of the RPKI-to-router protocol (RFC 8210 §9).
const RTR_PORT: u16 = 323;
/// In the middle, so that caches can stand before and behind those that say nothing.
const PREFERENCE: u8 = 100;

/// A cache, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/rpki.md and in CacheConfig"
)]
pub struct CacheSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire: Option<String>,
}

impl CacheSpec {
    /// Checks every value.
    ///
    /// # Errors
    /// The first wrong value, with its key and the remedy.
    pub fn parse(&self, name: CacheName) -> Result<CacheConfig, SpecError> {
        let Some(text) = &self.server else {
            return Err(wrong(
                "",
                "the key \"server\" is missing; add server = \"…\" with the name or address of the cache",
            ));
        };
        match self.transport.as_deref() {
            None | Some("tcp") => {}
            Some(other @ ("tls" | "ssh" | "tcp-md5" | "tcp-ao")) => {
                return Err(wrong(
                    "transport",
                    format!(
                        "this version of tapway speaks plain TCP with caches, and no {other}; run the cache on this host or in a network that you trust, or bring {other} up beside tapway (stunnel, ssh -L) and write the near end as server"
                    ),
                ));
            }
            Some(other) => return Err(wrong("transport", no_word(other, "transport", &["tcp"]))),
        }
        let local_address = match &self.local_address {
            Some(text) => Some(local_address(text).map_err(|e| wrong("local_address", e))?),
            None => None,
        };
        let (host, port) =
            server(text, Some(RTR_PORT), "rpki.example.org:323").map_err(|e| wrong("server", e))?;
        let server = Server { host, port };
        if let (Some(local), Ok(addr)) = (local_address, server.host.parse::<IpAddr>())
            && local.is_ipv4() != addr.is_ipv4()
        {
            return Err(wrong(
                "local_address",
                format!("{local} and the server's {addr} are not of one family"),
            ));
        }
        let preference = match self.preference {
            None => PREFERENCE,
            Some(number) => u8::try_from(number).map_err(|_| {
                let text = format!("{number} is no preference; write 0 (asked first) to 255");
                wrong("preference", text)
            })?,
        };
        let config = CacheConfig {
            name,
            server,
            local_address,
            preference,
            refresh: interval(self.refresh.as_deref(), "refresh", REFRESH)?,
            retry: interval(self.retry.as_deref(), "retry", RETRY)?,
            expire: interval(self.expire.as_deref(), "expire", EXPIRE)?,
        };
        for (key, other) in [("refresh", config.refresh), ("retry", config.retry)] {
            if let (Some(expire), Some(other)) = (config.expire, other)
                && expire <= other
            {
                return Err(wrong(
                    "expire",
                    format!(
                        "{} is not longer than {key} = {:?}; what a cache said would be forgotten before it is asked again (RFC 8210 §6)",
                        duration_text(expire),
                        duration_text(other)
                    ),
                ));
            }
        }
        Ok(config)
    }
}

fn interval(
    text: Option<&str>,
    key: &str,
    allowed: RangeInclusive<Duration>,
) -> Result<Option<Duration>, SpecError> {
    let Some(text) = text else { return Ok(None) };
    let interval = duration(text).map_err(|e| wrong(key, e))?;
    if allowed.contains(&interval) {
        return Ok(Some(interval));
    }
    let (least, most) = (
        duration_text(*allowed.start()),
        duration_text(*allowed.end()),
    );
    Err(wrong(
        key,
        format!("must be from {least} to {most} (RFC 8210 §6)"),
    ))
}

impl From<&CacheConfig> for CacheSpec {
    fn from(cache: &CacheConfig) -> CacheSpec {
        CacheSpec {
            server: Some(cache.server.to_string()),
            transport: Some("tcp".into()),
            local_address: cache.local_address.map(|a| a.to_string()),
            preference: Some(cache.preference.into()),
            refresh: cache.refresh.map(duration_text),
            retry: cache.retry.map(duration_text),
            expire: cache.expire.map(duration_text),
        }
    }
}
