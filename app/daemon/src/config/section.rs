//! `[router]`, `[api]` and `[source.*]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tapway_model::spec::SpecError;
use tapway_node::Listen;

use super::decision::{DecisionSpec, MaximumPathsSpec, decision};
use super::spec::{
    GracefulRestartSpec, as_number, each, graceful_restart, listen_address, refuse, wrong,
};
use super::value::{Count, NotYet, Switch, duration};
use super::{ApiConfig, FilesConfig, RouterConfig};

/// RTPROT_* of `linux/rtnetlink.h` and the numbers that other programs are known to use.
const TAKEN_PROTOCOLS: [(u8, &str); 22] = [
    (0, "the kernel"),
    (1, "the kernel"),
    (2, "the kernel"),
    (3, "the kernel"),
    (4, "\"static\" routes of administrators"),
    (8, "gated"),
    (9, "router advertisements"),
    (11, "zebra"),
    (12, "BIRD"),
    (14, "XORP"),
    (16, "DHCP clients"),
    (17, "mrouted"),
    (18, "keepalived"),
    (42, "babeld"),
    (84, "OVN"),
    (99, "Open/R"),
    (186, "FRR"),
    (187, "FRR"),
    (188, "FRR"),
    (189, "FRR"),
    (192, "FRR"),
    (196, "FRR"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouterSection {
    asn: i64,
    router_id: Option<String>,
    listen: Option<ListenSpec>,
    graceful_restart: Option<Switch<GracefulRestartSpec>>,
    protocol: Option<i64>,
    withdraw_without_carrier: Option<bool>,
    next_hop_via_default: Option<bool>,
    state_dir: Option<String>,
    cluster_id: Option<String>,
    decision: Option<DecisionSpec>,
    maximum_paths: Option<Count<MaximumPathsSpec>>,
}

/// `"auto"` or a list.
#[derive(Debug)]
struct ListenSpec(Option<Vec<String>>);

impl<'de> Deserialize<'de> for ListenSpec {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> serde::de::Visitor<'de> for Of {
            type Value = ListenSpec;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"auto\" or a list of addresses")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<ListenSpec, E> {
                match word {
                    "auto" => Ok(ListenSpec(None)),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                seq: A,
            ) -> Result<ListenSpec, A::Error> {
                let list = Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))?;
                Ok(ListenSpec(Some(list)))
            }
        }
        d.deserialize_any(Of)
    }
}

impl RouterSection {
    pub(super) fn parse(&self) -> Result<(RouterConfig, PathBuf), SpecError> {
        let listen = match &self.listen {
            None | Some(ListenSpec(None)) => Listen::Auto,
            Some(ListenSpec(Some(list))) if list.is_empty() => Listen::Never,
            Some(ListenSpec(Some(list))) => Listen::On(each(list, "listen", listen_address)?),
        };
        let config = RouterConfig {
            asn: as_number(self.asn).map_err(|e| wrong("asn", e))?,
            router_id: identifier("router_id", self.router_id.as_deref())?,
            cluster_id: identifier("cluster_id", self.cluster_id.as_deref())?,
            listen,
            graceful_restart: graceful_restart(self.graceful_restart.as_ref())?,
            decision: decision(self.decision.as_ref(), self.maximum_paths.as_ref())?,
            protocol: protocol(self.protocol).map_err(|e| wrong("protocol", e))?,
            withdraw_without_carrier: self.withdraw_without_carrier.unwrap_or(true),
            next_hop_via_default: self.next_hop_via_default.unwrap_or(false),
        };
        let state_dir = path(self.state_dir.as_deref(), "/var/lib/tapway", "state_dir")?;
        Ok((config, state_dir))
    }
}

/// A BGP identifier (RFC 6286) or that of a cluster (RFC 4456 §7).
fn identifier(key: &str, text: Option<&str>) -> Result<Option<Ipv4Addr>, SpecError> {
    let what = key.replace('_', " ");
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(Ipv4Addr::UNSPECIFIED) => Err(wrong(
            key,
            format!("0.0.0.0 is no {what} (RFC 6286); write another"),
        )),
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(wrong(
            key,
            format!("{text:?} is no {what}; write four numbers like \"192.0.2.11\""),
        )),
    }
}

fn protocol(number: Option<i64>) -> Result<u8, String> {
    let Some(number) = number else {
        return Ok(112);
    };
    let Ok(protocol) = u8::try_from(number) else {
        return Err(format!("{number} is no protocol number; write 5 to 255"));
    };
    match TAKEN_PROTOCOLS.iter().find(|(taken, _)| *taken == protocol) {
        Some((_, by)) => Err(format!(
            "{protocol} is used by {by}, whose routes would be taken for ours and removed; write another number"
        )),
        None => Ok(protocol),
    }
}

fn path(text: Option<&str>, default: &str, key: &str) -> Result<PathBuf, SpecError> {
    let path = Path::new(text.unwrap_or(default));
    if path.is_absolute() {
        Ok(path.to_path_buf())
    } else {
        Err(wrong(
            key,
            format!(
                "{:?} is not an absolute path; begin it with /",
                path.display().to_string()
            ),
        ))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiSection {
    socket: Option<String>,
    http: Option<String>,
}

impl ApiSection {
    pub(super) fn parse(&self) -> Result<ApiConfig, SpecError> {
        let socket = path(self.socket.as_deref(), "/run/tapway/tapway.sock", "socket")?;
        // sun_path in linux/un.h has 108 bytes, the last one 0.
        if socket.as_os_str().len() > 107 {
            return Err(wrong(
                "socket",
                "the path of a socket has at most 107 bytes; choose a shorter one",
            ));
        }
        let http = match &self.http {
            None => None,
            Some(text) => Some(text.parse::<SocketAddr>().map_err(|_| {
                wrong(
                    "http",
                    format!(
                        "{text:?} is not an address with a port; write one like \"127.0.0.1:9179\""
                    ),
                )
            })?),
        };
        Ok(ApiConfig { socket, http })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourcesSection {
    files: Option<FilesSection>,
    api: Option<ApiSourceSection>,
    local: Option<NotYet>,
    libvirt: Option<NotYet>,
    ganeti: Option<NotYet>,
    lxd: Option<NotYet>,
    ovn: Option<NotYet>,
    etcd: Option<NotYet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesSection {
    path: String,
    grace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiSourceSection {
    grace: Option<String>,
}

impl SourcesSection {
    pub(super) fn parse(&self) -> Result<(Option<FilesConfig>, Duration), SpecError> {
        refuse(&[
            ("local", self.local, "source for local addresses"),
            ("libvirt", self.libvirt, "source for libvirt"),
            ("ganeti", self.ganeti, "source for Ganeti"),
            ("lxd", self.lxd, "source for LXD and Incus"),
            ("ovn", self.ovn, "source for OVN"),
            ("etcd", self.etcd, "source for etcd"),
        ])?;
        let files = match &self.files {
            None => None,
            Some(section) => Some(FilesConfig {
                path: path(Some(&section.path), "", "files.path")?,
                grace: grace(section.grace.as_deref(), "files.grace")?,
            }),
        };
        // What the API applied is kept whole: its listing is complete from the start.
        let api = match self.api.as_ref().and_then(|s| s.grace.as_deref()) {
            Some(text) => grace(Some(text), "api.grace")?,
            None => Duration::ZERO,
        };
        Ok((files, api))
    }
}

fn grace(text: Option<&str>, key: &str) -> Result<Duration, SpecError> {
    let Some(text) = text else {
        return Ok(Duration::from_secs(30));
    };
    let grace = duration(text).map_err(|e| wrong(key, e))?;
    if grace > Duration::from_secs(3600) {
        return Err(wrong(key, "must be at most 1h"));
    }
    Ok(grace)
}
