//! The configuration file `/etc/tapway/tapway.toml`: read, checked whole, shown without secrets.
//!
//! [`check`] turns a text into a [`Config`] of checked values or into every problem that could be
//! found in it, each with its place; [`load`] does so with a file. Sections are read one by one: a
//! wrong one does not hide what is wrong in the others. Keys whose function this version lacks are
//! known, and refused. Peers, policies and networks have their [`spec`], which the API uses too.

mod cross;
mod decision;
mod places;
mod policies;
mod section;
mod show;
pub mod spec;
pub mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mrt::MrtConfig;
use tapway_bgp::config::{Decision, GracefulRestart, PeerConfig, Policy};
use tapway_bmp::CollectorConfig;
use tapway_document::{Problem, Sections, read_secret, read_text};
use tapway_model::{CacheName, CollectorName, Network, NetworkName, PeerName, PolicyName};
use tapway_node::Listen;
use tapway_rpki::CacheConfig;

pub use cross::policy_exists;
pub(crate) use places::between;
pub(crate) use policies::{Use, broken_calls, check_new};
use section::{ApiSection, RouterSection, SourcesSection};
pub use show::{cache_value, collector_value, mrt_value, network_value, peer_value, policy_value};
use spec::{
    CacheSpec, CollectorSpec, MrtSpec, NetworkSpec, PeerSpec, PolicySpec, policy_name, within,
    wrong,
};

/// Largest configuration file that is read: 4 MiB.
pub const FILE_LIMIT: u64 = 4 << 20;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[router]`.
    pub router: RouterConfig,
    /// `[peer.*]`.
    pub peers: BTreeMap<PeerName, PeerConfig>,
    /// `[network.*]`; `default` is added when it is not written.
    pub networks: Vec<Network>,
    /// `[policy.*]`.
    pub policies: Vec<Policy>,
    /// `[rpki.*]`.
    pub caches: BTreeMap<CacheName, CacheConfig>,
    /// `[mrt]`.
    pub mrt: Option<MrtConfig>,
    /// `[bmp.*]`.
    pub collectors: BTreeMap<CollectorName, CollectorConfig>,
    /// `[source.files]`, when written.
    pub source_files: Option<FilesConfig>,
    /// Start-up grace of the source `api`.
    pub api_grace: Duration,
    /// `[api]`.
    pub api: ApiConfig,
    /// Where state is kept across restarts.
    pub state_dir: PathBuf,
}

/// `[router]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Our AS.
    pub asn: u32,
    /// Our BGP identifier, when written.
    pub router_id: Option<Ipv4Addr>,
    /// Our cluster as a route reflector, when written.
    pub cluster_id: Option<Ipv4Addr>,
    /// Where to listen.
    pub listen: Listen,
    /// Graceful restart for peers that say nothing.
    pub graceful_restart: Option<GracefulRestart>,
    /// The switches of the decision process, with the number of paths.
    pub decision: Decision,
    /// The protocol number that marks our kernel objects.
    pub protocol: u8,
    /// Whether an interface without carrier stops the announcements of its claims.
    pub withdraw_without_carrier: bool,
    /// Whether the default route leads to next hops of received routes.
    pub next_hop_via_default: bool,
}

/// `[source.files]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesConfig {
    /// The watched directory.
    pub path: PathBuf,
    /// How long leftovers are kept after the start at least.
    pub grace: Duration,
}

/// `[api]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The read-only TCP listener.
    pub http: Option<SocketAddr>,
}

/// What exists beside the file and may be named in it: what the API applied.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Policies, by name.
    pub policies: BTreeSet<PolicyName>,
    /// The same, as far as they are at hand.
    pub defined: Vec<Policy>,
    /// Calls of theirs that are broken already, by key: no fault of a file that does not mend them.
    pub broken: Vec<String>,
    /// Peers.
    pub peers: BTreeSet<PeerName>,
    /// The same, with their settings: those that the API applied.
    pub applied: Vec<PeerConfig>,
    /// What exists is not known yet: any name may.
    pub any: bool,
}

/// Reads and checks a configuration file and the password files that it names.
///
/// # Errors
/// Everything that is wrong, in order of the lines.
pub fn load(path: &Path, known: &Known) -> Result<Config, Vec<Problem>> {
    let text = read_text(path, FILE_LIMIT).map_err(|problem| vec![problem])?;
    check(&path.display().to_string(), &text, known)
}

/// Checks the text of a configuration; `file` is its name in problems. Password files are read.
///
/// # Errors
/// Everything that is wrong, in order of the lines.
pub fn check(file: &str, text: &str, known: &Known) -> Result<Config, Vec<Problem>> {
    let examined = examine(file, text, known);
    match examined.config {
        Some(config) if examined.problems.is_empty() => Ok(config),
        _ => Err(examined.problems),
    }
}

/// What is to be said of a configuration file: everything that is wrong, and what could be read for all
/// that.
#[derive(Debug, Default)]
pub struct Examined {
    /// The configuration, as far as it is good; absent when that is too little.
    pub config: Option<Config>,
    /// `[source.files]`, when that is good.
    pub source_files: Option<FilesConfig>,
    /// What is wrong, in order of the lines.
    pub problems: Vec<Problem>,
}

/// Reads a configuration file as [`load`] does, for somebody who wants to hear of more than its mistakes.
pub fn examine_file(path: &Path, known: &Known) -> Examined {
    match read_text(path, FILE_LIMIT) {
        Ok(text) => examine(&path.display().to_string(), &text, known),
        Err(problem) => Examined {
            problems: vec![problem],
            ..Examined::default()
        },
    }
}

fn examine(file: &str, text: &str, known: &Known) -> Examined {
    let sections = match Sections::parse(file, text) {
        Ok(sections) => sections,
        Err(problem) => {
            return Examined {
                problems: vec![problem],
                ..Examined::default()
            };
        }
    };
    let mut checker = Checker {
        file,
        sections,
        source_files: None,
        problems: Vec::new(),
    };
    let config = checker.run(known);
    checker.problems.sort_by_key(|p| (p.line, p.column));
    Examined {
        config,
        source_files: checker.source_files,
        problems: checker.problems,
    }
}

/// A password file's content, or why there is none, as a sentence.
///
/// # Errors
/// See [`read_secret`].
pub fn secret_file(path: &Path) -> Result<String, String> {
    read_secret(path).map_err(|problem| problem.to_string())
}

struct Checker<'t> {
    file: &'t str,
    sections: Sections<'t>,
    source_files: Option<FilesConfig>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    /// `None` when something is missing without which nothing else makes sense; problems are noted.
    fn run(&mut self, known: &Known) -> Option<Config> {
        let router = self.router();
        let api = self.section::<ApiSection, _>("api", |s| s.parse());
        let mrt = self.section::<MrtSpec, _>("mrt", |s| s.parse());
        let sources = self.section::<SourcesSection, _>("source", |s| s.parse());
        self.source_files = sources.as_ref().and_then(|(files, _)| files.clone());
        let graceful = router.as_ref().and_then(|(r, _)| r.graceful_restart);
        let peers = self.named("peer", |name, spec: PeerSpec| {
            let name = PeerName::new(name).map_err(|e| wrong("", e))?;
            spec.parse(name, graceful, &secret_file)
        });
        let networks: Section<_, NetworkName> = self.named("network", |name, spec: NetworkSpec| {
            spec.parse(NetworkName::new(name).map_err(|e| wrong("", e))?)
        });
        let policies = self.named("policy", |name, spec: PolicySpec| {
            spec.parse(policy_name(name).map_err(|e| wrong("", e))?)
        });
        let caches: Section<_, CacheName> = self.named("rpki", |name, spec: CacheSpec| {
            spec.parse(CacheName::new(name).map_err(|e| wrong("", e))?)
        });
        let collectors: Section<_, CollectorName> =
            self.named("bmp", |name, spec: CollectorSpec| {
                spec.parse(CollectorName::new(name).map_err(|e| wrong("", e))?)
            });
        self.problems.extend(self.sections.rest());
        // Names that only a broken section defines are no second problem.
        let defined = Known {
            policies: known
                .policies
                .iter()
                .chain(&policies.names)
                .cloned()
                .collect(),
            peers: known.peers.iter().chain(&peers.names).cloned().collect(),
            applied: known
                .applied
                .iter()
                .filter(|peer| !peers.names.contains(&peer.name))
                .cloned()
                .collect(),
            defined: known.defined.clone(),
            broken: known.broken.clone(),
            any: known.any,
        };
        let found = cross::check(
            router.as_ref().map(|(router, _)| router.asn),
            &peers.values,
            &networks.values,
            &policies.values,
            &defined,
        );
        for error in found {
            self.problems.push(self.sections.problem(&error));
        }
        let (router, state_dir) = router?;
        let (source_files, api_grace) = sources?;
        Some(Config {
            router,
            peers: peers
                .values
                .into_iter()
                .map(|p| (p.name.clone(), p))
                .collect(),
            networks: networks.values,
            policies: policies.values,
            caches: caches
                .values
                .into_iter()
                .map(|c| (c.name.clone(), c))
                .collect(),
            mrt: mrt?,
            collectors: collectors
                .values
                .into_iter()
                .map(|c| (c.name.clone(), c))
                .collect(),
            source_files,
            api_grace,
            api: api?,
            state_dir,
        })
    }

    fn router(&mut self) -> Option<(RouterConfig, PathBuf)> {
        match self.sections.take::<RouterSection>("router") {
            Ok(Some(section)) => self.checked("router", section.parse()),
            Ok(None) => {
                let problem = Problem::new(self.file, "the section [router] is missing")
                    .with_remedy("add [router] with asn = …");
                self.problems.push(problem);
                None
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// A section that may be absent.
    fn section<S: serde::de::DeserializeOwned + Default, T>(
        &mut self,
        key: &str,
        parse: impl Fn(&S) -> Result<T, tapway_model::spec::SpecError>,
    ) -> Option<T> {
        match self.sections.take::<S>(key) {
            Ok(section) => self.checked(key, parse(&section.unwrap_or_default())),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn checked<T>(
        &mut self,
        path: &str,
        result: Result<T, tapway_model::spec::SpecError>,
    ) -> Option<T> {
        result
            .map_err(|error| {
                self.problems
                    .push(self.sections.problem(&within(path, error)))
            })
            .ok()
    }

    fn named<S: serde::de::DeserializeOwned, T, N: std::str::FromStr>(
        &mut self,
        key: &str,
        parse: impl Fn(&str, S) -> Result<T, tapway_model::spec::SpecError>,
    ) -> Section<T, N> {
        let mut section = Section {
            values: Vec::new(),
            names: Vec::new(),
        };
        let tables = match self.sections.take_named::<S>(key) {
            Ok(tables) => tables,
            Err(problem) => {
                self.problems.push(problem);
                return section;
            }
        };
        for (name, spec) in tables {
            section.names.extend(name.parse::<N>());
            match spec {
                Ok(spec) => {
                    let value = parse(&name, spec);
                    section
                        .values
                        .extend(self.checked(&format!("{key}.{name}"), value));
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        section
    }
}

/// What the tables of one kind gave.
struct Section<T, N> {
    /// The good ones.
    values: Vec<T>,
    /// The names of all.
    names: Vec<N>,
}

#[cfg(test)]
mod tests;
