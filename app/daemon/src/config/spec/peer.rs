//! `[peer.NAME]`.

mod as_path;
mod limit;
mod paths;
mod relation;
mod tcp_ao;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapway_bgp::config::{
    GracefulRestart, Install, InstallChange, PeerAddress, PeerConfig, PeerRange, Reach, Secret,
};
use tapway_model::spec::SpecError;
use tapway_model::{Domain, Family, IfName, PeerName, PolicyName, Prefix};
use tapway_node::{CLAIM_METRIC, LAST_RESORT_METRIC};

use super::address::{BGP_PORT, host_address, is_link_local, of_family, peer_address, peer_asn};
use super::network::table;
use super::policy::policy_name;
use super::{HIDDEN, each, refuse, wrong};
use crate::config::value::{Count, NotYet, NumberOrWord, Switch, Word, duration};
pub use as_path::LocalAsnSpec;
pub(super) use as_path::{local_asn_spec, remove_private_word};
pub use limit::PrefixLimitSpec;
use limit::prefix_limit;
pub(super) use paths::add_paths_spec;
pub use paths::{AddPathsSpec, PeerNextHopSpec, SendPathsSpec};
pub(crate) use relation::fits_our_as;

/// A peer, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/guide.md and in PeerConfig"
)]
pub struct PeerSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<NumberOrWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub families: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_security: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multihop: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_paths: Option<Word<AddPathsSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<Word<PeerNextHopSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_asn: Option<Count<LocalAsnSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_own_as: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_first_as: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_override: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_private_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<Switch<InstallSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_limit: Option<Count<PrefixLimitSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful_restart: Option<Switch<GracefulRestartSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    #[serde(skip_serializing)]
    pub bfd: Option<NotYet>,
    #[serde(skip_serializing)]
    pub tcp_ao: Option<NotYet>,
}

/// `install = { table = …, metric = …, prefsrc = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallSpec {
    /// Kernel table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<NumberOrWord>,
    /// Metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<i64>,
    /// Preferred source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefsrc: Option<String>,
}

/// `graceful_restart = { time = …, notification = …, long_lived = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GracefulRestartSpec {
    /// How long a peer should keep our routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// RFC 8538.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<bool>,
    /// RFC 9494.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_lived: Option<String>,
}

/// A password as written. Shown as `"***"` when debugged; serialised as it is, for the state log only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HIDDEN:?}")
    }
}

/// Peers of a range when nothing is said.
const RANGE_LIMIT: u32 = 1000;
/// The longest name of a range: its peers' are `NAME@ADDRESS@INTERFACE` at the longest.
const RANGE_NAME: usize = 64;

/// Graceful restart when nothing is said: on, 120 s.
const GRACEFUL_RESTART: GracefulRestart = GracefulRestart {
    time: Duration::from_secs(120),
    notification: false,
    long_lived: None,
};

impl PeerSpec {
    /// Checks every value. `graceful_restart` is the router's, for a peer that says nothing;
    /// `read_secret` reads a password file.
    ///
    /// # Errors
    /// The first wrong value, with its key and the remedy.
    pub fn parse(
        &self,
        name: PeerName,
        graceful: Option<GracefulRestart>,
        read_secret: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<PeerConfig, SpecError> {
        refuse(&[("bfd", self.bfd, "BFD")])?;
        tcp_ao::refuse(self.tcp_ao)?;
        let address = self.address()?;
        if matches!(address, PeerAddress::Range(_)) && name.as_str().len() > RANGE_NAME {
            return Err(wrong(
                "",
                format!(
                    "the name of a range has at most {RANGE_NAME} characters: those of its peers begin with it"
                ),
            ));
        }
        let asn = self.asn.as_ref().ok_or_else(|| {
            wrong(
                "",
                "the key \"asn\" is missing; add asn = 65000, \"internal\" or \"external\"",
            )
        })?;
        let (hold_time, keepalive) = self.timers()?;
        let client = self.client.unwrap_or(false);
        // What a client announces is to be reflected.
        let import = if client { "all" } else { "default-route" };
        let import = policy(self.import.as_deref(), import, "import")?;
        let export = policy(self.export.as_deref(), "claims", "export")?;
        let peer = PeerConfig {
            name,
            port: port(self.port)?,
            local_address: self.local_address(&address)?,
            asn: peer_asn(asn).map_err(|e| wrong("asn", e))?,
            families: self.families()?,
            password: self.password(read_secret)?,
            hold_time,
            keepalive,
            connect_retry: self.connect_retry()?,
            passive: self.passive.unwrap_or(false) || matches!(address, PeerAddress::Range(_)),
            reach: self.reach(&address)?,
            add_paths: self.add_paths()?,
            next_hop: self.next_hop()?,
            client,
            role: self.role()?,
            as_path: self.as_path()?,
            install: self.install(&import)?,
            import,
            export,
            prefix_limit: prefix_limit(self.prefix_limit.as_ref())?,
            graceful_restart: match &self.graceful_restart {
                None => graceful,
                some => graceful_restart(some.as_ref())?,
            },
            disabled: self.disabled.unwrap_or(false),
            address,
            range: None,
        };
        fits_our_as(&peer, None)?;
        Ok(peer)
    }

    fn address(&self) -> Result<PeerAddress, SpecError> {
        if let Some(range) = &self.range {
            return self.range(range);
        }
        if self.range_limit.is_some() {
            return Err(wrong(
                "range_limit",
                "only a peer with range has a limit; remove the key",
            ));
        }
        match (&self.address, &self.interface) {
            (Some(address), None) => peer_address(address).map_err(|e| wrong("address", e)),
            (None, Some(interface)) => IfName::new(interface)
                .map(PeerAddress::Interface)
                .map_err(|e| wrong("interface", e)),
            (Some(address), Some(interface)) => Err(wrong(
                "interface",
                format!(
                    "a peer has an address or an interface, not both; remove one, or write address = \"{address}%{interface}\" for a link-local address"
                ),
            )),
            (None, None) => Err(wrong(
                "",
                "it is not said where the peer is; add address = \"198.51.100.1\" or interface = \"eth0\"",
            )),
        }
    }

    fn range(&self, texts: &[String]) -> Result<PeerAddress, SpecError> {
        let others = [
            ("address", self.address.is_some()),
            ("interface", self.interface.is_some()),
            ("passive", self.passive == Some(false)),
        ];
        if let Some((key, _)) = others.into_iter().find(|(_, there)| *there) {
            return Err(wrong(
                key,
                "peers of a range connect from wherever they are; remove this key or range",
            ));
        }
        let prefixes = each(texts, "range", |text| {
            let prefix: Prefix = text.parse().map_err(|e| format!("{e}"))?;
            match prefix.addr() {
                addr if addr.is_multicast() => Err(format!("{prefix} is multicast; peers are not")),
                _ => Ok(prefix),
            }
        })?;
        if prefixes.is_empty() {
            return Err(wrong(
                "range",
                "a range without a prefix lets nobody in; write range = [\"10.0.0.0/24\"]",
            ));
        }
        let limit = match self.range_limit {
            None => RANGE_LIMIT,
            Some(limit) => u32::try_from(limit)
                .ok()
                .filter(|l| *l > 0)
                .ok_or_else(|| {
                    wrong(
                        "range_limit",
                        format!("{limit} is no limit; write 1 to 4294967295"),
                    )
                })?,
        };
        Ok(PeerAddress::Range(PeerRange { prefixes, limit }))
    }

    fn local_address(&self, peer: &PeerAddress) -> Result<Option<IpAddr>, SpecError> {
        let Some(text) = &self.local_address else {
            return Ok(None);
        };
        let local = match peer {
            PeerAddress::Ip { addr, .. } => of_family(text, Family::of(addr)),
            PeerAddress::Interface(_) => of_family(text, Family::Ipv6),
            PeerAddress::Range(_) => host_address(text),
        };
        let local = local.map_err(|e| wrong("local_address", e))?;
        let on_link = match peer {
            PeerAddress::Ip { addr, .. } if *addr == local => {
                return Err(wrong(
                    "local_address",
                    format!("{local} is the peer's own address"),
                ));
            }
            PeerAddress::Ip { addr, .. } => is_link_local(addr),
            PeerAddress::Interface(_) => true,
            PeerAddress::Range(range) => {
                let of_its = |p: &Prefix| p.family() == Family::of(&local);
                if !range.prefixes.iter().any(of_its) {
                    return Err(wrong(
                        "local_address",
                        format!("{local} is not of the family of the range"),
                    ));
                }
                is_link_local(&local)
            }
        };
        if on_link != is_link_local(&local) {
            return Err(wrong(
                "local_address",
                format!(
                    "{local} and the peer's address must both be link-local or neither; remove the key"
                ),
            ));
        }
        Ok(Some(local))
    }

    fn families(&self) -> Result<Vec<Family>, SpecError> {
        let Some(texts) = &self.families else {
            return Ok(Family::ALL.to_vec());
        };
        let mut families = each(texts, "families", |text| match text {
            "ipv4-unicast" => Ok(Family::Ipv4),
            "ipv6-unicast" => Ok(Family::Ipv6),
            other => Err(format!(
                "{other:?} is no family; write \"ipv4-unicast\" or \"ipv6-unicast\""
            )),
        })?;
        if families.is_empty() {
            return Err(wrong(
                "families",
                "a session without a family carries nothing; remove the key for both families",
            ));
        }
        families.sort_unstable();
        families.dedup();
        Ok(families)
    }

    fn password(
        &self,
        read_secret: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Option<Secret>, SpecError> {
        let (key, text) = match (&self.password, &self.password_file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "password_file",
                    "password and password_file exclude each other; remove one",
                ));
            }
            (Some(password), None) => ("password", password.0.clone()),
            (None, Some(file)) => {
                let path = absolute(file, "password_file")?;
                (
                    "password_file",
                    read_secret(path).map_err(|e| wrong("password_file", e))?,
                )
            }
        };
        // TCP_MD5SIG_MAXKEYLEN in linux/tcp.h.
        if text.is_empty() || text.len() > 80 {
            return Err(wrong(
                key,
                format!(
                    "a TCP MD5 password has 1 to 80 bytes, this one {}",
                    text.len()
                ),
            ));
        }
        if text == HIDDEN {
            return Err(wrong(
                key,
                "*** is how passwords are shown, not a password; write the password itself",
            ));
        }
        Ok(Some(Secret::new(text)))
    }

    fn timers(&self) -> Result<(Duration, Option<Duration>), SpecError> {
        let hold = match &self.hold_time {
            Some(text) => whole_seconds(text).map_err(|e| wrong("hold_time", e))?,
            None => Duration::from_secs(90),
        };
        if !(hold.is_zero() || (3..=65_535).contains(&hold.as_secs())) {
            return Err(wrong(
                "hold_time",
                "a hold time is \"0s\" (never) or from 3s to 65535s (RFC 4271 §4.2)",
            ));
        }
        let Some(text) = &self.keepalive else {
            return Ok((hold, None));
        };
        let keepalive = whole_seconds(text).map_err(|e| wrong("keepalive", e))?;
        if hold.is_zero() {
            return Err(wrong(
                "keepalive",
                "no keepalives are sent with hold_time = \"0s\"; remove one of the keys",
            ));
        }
        if keepalive.is_zero() || keepalive >= hold {
            return Err(wrong(
                "keepalive",
                format!(
                    "keepalives must come from every 1s to less than the hold time of {}s; a third of it is usual",
                    hold.as_secs()
                ),
            ));
        }
        Ok((hold, Some(keepalive)))
    }

    fn connect_retry(&self) -> Result<Duration, SpecError> {
        let Some(text) = &self.connect_retry else {
            return Ok(Duration::from_secs(5));
        };
        let retry = duration(text).map_err(|e| wrong("connect_retry", e))?;
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&retry) {
            return Err(wrong("connect_retry", "must be from 100ms to 1h"));
        }
        Ok(retry)
    }

    fn reach(&self, address: &PeerAddress) -> Result<Reach, SpecError> {
        match (self.ttl_security.unwrap_or(false), self.multihop) {
            (false, None) => Ok(Reach::Direct),
            (true, None) => Ok(Reach::TtlSecurity),
            (true, Some(_)) => Err(wrong(
                "multihop",
                "ttl_security and multihop exclude each other; remove one",
            )),
            (false, Some(hops)) => {
                let on_link = match address {
                    PeerAddress::Interface(_) => true,
                    PeerAddress::Ip { addr, .. } => is_link_local(addr),
                    PeerAddress::Range(range) => {
                        range.prefixes.iter().any(|p| is_link_local(&p.addr()))
                    }
                };
                if on_link {
                    return Err(wrong(
                        "multihop",
                        "a link-local peer is one hop away; remove the key",
                    ));
                }
                match u8::try_from(hops) {
                    Ok(hops) if hops > 0 => Ok(Reach::Multihop(hops)),
                    _ => Err(wrong(
                        "multihop",
                        format!("{hops} hops are not possible; write 1 to 255"),
                    )),
                }
            }
        }
    }

    fn install(&self, import: &PolicyName) -> Result<Option<Install>, SpecError> {
        let spec = match &self.install {
            None if import.as_str() == "default-route" => &InstallSpec::default(),
            None | Some(Switch::Flag(false)) => return Ok(None),
            Some(Switch::Flag(true)) => &InstallSpec::default(),
            Some(Switch::Table(spec)) => spec,
        };
        let said = spec.parse()?;
        Ok(Some(Install {
            table: said.table.unwrap_or(Domain::MAIN.0),
            metric: said.metric,
            prefsrc: said.prefsrc,
        }))
    }
}

impl InstallSpec {
    /// Keys in errors begin with `install`.
    pub(super) fn parse(&self) -> Result<InstallChange, SpecError> {
        let metric = |metric: i64| match u32::try_from(metric) {
            // A received route with their metric would take the place of a guest's.
            Ok(taken @ (CLAIM_METRIC | LAST_RESORT_METRIC)) => Err(wrong(
                "install.metric",
                format!("{taken} is the metric of claims' own routes; write another"),
            )),
            Ok(metric) if metric > 0 => Ok(metric),
            _ => Err(wrong(
                "install.metric",
                format!("{metric} is no metric; write 1 to 4294967294, but not {CLAIM_METRIC}"),
            )),
        };
        let prefsrc = |text: &String| host_address(text).map_err(|e| wrong("install.prefsrc", e));
        let in_table = |spec| table(Some(spec)).map_err(|e| wrong("install.table", e));
        Ok(InstallChange {
            enabled: None,
            table: self.table.as_ref().map(in_table).transpose()?.map(|t| t.0),
            metric: self.metric.map(metric).transpose()?,
            prefsrc: self.prefsrc.as_ref().map(prefsrc).transpose()?,
        })
    }
}

fn policy(text: Option<&str>, default: &str, key: &str) -> Result<PolicyName, SpecError> {
    policy_name(text.unwrap_or(default)).map_err(|e| wrong(key, e))
}

fn port(port: Option<i64>) -> Result<u16, SpecError> {
    match port {
        None => Ok(BGP_PORT),
        Some(port) => u16::try_from(port)
            .ok()
            .filter(|p| *p > 0)
            .ok_or_else(|| wrong("port", format!("{port} is no TCP port; write 1 to 65535"))),
    }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.subsec_nanos() == 0 {
        Ok(time)
    } else {
        Err(format!(
            "{text} is not a whole number of seconds, and BGP knows no others"
        ))
    }
}

fn absolute<'t>(text: &'t str, key: &str) -> Result<&'t Path, SpecError> {
    let path = Path::new(text);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(wrong(
            key,
            format!("{text:?} is not an absolute path; begin it with /"),
        ))
    }
}

/// What `graceful_restart = …` says; on when nothing is said. Keys in errors begin with
/// `graceful_restart`.
///
/// # Errors
/// When the time is not from 1 s to 4095 s.
pub fn graceful_restart(
    spec: Option<&Switch<GracefulRestartSpec>>,
) -> Result<Option<GracefulRestart>, SpecError> {
    let spec = match spec {
        None | Some(Switch::Flag(true)) => return Ok(Some(GRACEFUL_RESTART)),
        Some(Switch::Flag(false)) => return Ok(None),
        Some(Switch::Table(spec)) => spec,
    };
    let key = "graceful_restart.time";
    let time = match &spec.time {
        Some(text) => whole_seconds(text).map_err(|e| wrong(key, e))?,
        None => GRACEFUL_RESTART.time,
    };
    // The field has 12 bits (RFC 4724 §3).
    if !(1..=4095).contains(&time.as_secs()) {
        return Err(wrong(
            key,
            "must be from 1s to 4095s (RFC 4724 §3); graceful_restart = false turns it off",
        ));
    }
    let key = "graceful_restart.long_lived";
    let long_lived = match &spec.long_lived {
        Some(text) => Some(whole_seconds(text).map_err(|e| wrong(key, e))?),
        None => None,
    };
    if long_lived.is_some_and(|time| time.is_zero() || time > GracefulRestart::LONG_LIVED_MAX) {
        return Err(wrong(
            key,
            "must be from 1s to 16777215s, which is 194 days (RFC 9494 §3.1); without it nothing is kept beyond graceful_restart.time",
        ));
    }
    Ok(Some(GracefulRestart {
        time,
        notification: spec.notification.unwrap_or(false),
        long_lived,
    }))
}
