//! What the loop keeps across restarts: the node's records, what the API applied, whether it ran.
//!
//! Records go to the state log's thread and never hold up the loop. When its queue is full, the latest
//! record of each key waits here, so that what waits is bounded by what there is to know; whoever waits
//! for the disk is told that it is not working.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::Value;
use tapway_api::problem::{Problem as ApiProblem, ProblemKind};
use tapway_api::{ApiError, ErrorCode};
use tapway_document::Problem;
use tapway_intent::OrderRecord;
use tapway_model::{PeerName, PolicyName, SourceName};
use tapway_node::{Record as NodeRecord, Restored};

use crate::settings::Settings;
use crate::state::{self, OldSysctl, Progress, Record, State, Writer};

/// Records that the log's thread may have before it.
const QUEUE: usize = 65_536;
/// Counter: 1 while the kernel holds what is ours, 0 after it was taken out.
const WIRED: &str = "wired";
/// Counter: 1 while our routes are the last choice.
const DRAINING: &str = "draining";
/// Counter: which boot of the host that was.
const BOOT: &str = "boot";

/// What to do about a disk that fails.
pub const MEND: &str = "make the state directory writable (mount, owner, room on the disk), or choose another with \
    state_dir under [router]; it is tried again by itself";

/// What an earlier run kept.
pub struct Kept {
    /// Peers applied through the API, as written.
    pub peers: BTreeMap<PeerName, Value>,
    /// Peers that an operator disabled.
    pub disabled: BTreeSet<PeerName>,
    /// Policies applied through the API, as written.
    pub policies: BTreeMap<PolicyName, Value>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// The router id it had.
    pub router_id: Option<Ipv4Addr>,
    /// It ran on this boot of the host, and left the kernel wired.
    pub warm: bool,
    state: State,
    boot_id: String,
}

impl Kept {
    /// What the node is to know again.
    pub fn restored(&self) -> Restored {
        let instances = self.state.instances.iter();
        let order = self.state.order.iter();
        let sysctls = self
            .state
            .sysctls
            .iter()
            .filter(|(_, old)| old.boot_id == self.boot_id);
        Restored {
            instances: instances
                .flat_map(|(source, all)| all.values().map(|i| (source.clone(), i.clone())))
                .collect(),
            order: order
                .map(|(key, number)| OrderRecord {
                    key: key.clone(),
                    number: *number,
                })
                .collect(),
            draining: self.state.counters.get(DRAINING) == Some(&1),
            disabled: self.disabled.iter().cloned().collect(),
            sysctls: sysctls
                .map(|(path, old)| (path.clone(), old.value.clone()))
                .collect(),
        }
    }

    /// What the source `files` said last.
    pub fn remembered(
        &self,
        settings: &Settings,
    ) -> BTreeMap<tapway_model::InstanceName, std::sync::Arc<tapway_model::Instance>> {
        let source: Option<SourceName> = settings.files().map(|(name, _)| name);
        source
            .and_then(|name| self.state.instances.get(&name))
            .cloned()
            .unwrap_or_default()
    }
}

/// Something that the API did.
pub enum Write {
    /// A peer.
    Peer(PeerName, Option<Value>),
    /// Whether our routes are the last choice.
    Draining(bool),
    /// Whether a peer is disabled.
    Disabled(PeerName, bool),
    /// A policy.
    Policy(PolicyName, Option<Value>),
}

/// The way to the state log.
pub struct Store {
    writer: Option<Writer>,
    /// Records of this turn, handed over together: the log's thread wakes up once, after the network
    /// was told.
    fresh: Vec<Record>,
    /// Latest records that found the queue full, by key.
    waiting: BTreeMap<Box<str>, Record>,
    /// Whether `waiting` has something.
    wants_room: Arc<AtomicBool>,
    progress: Receiver<Progress>,
    problem: Option<String>,
    boot_id: String,
    sysctls: Vec<String>,
}

impl Store {
    /// Opens the state directory. `wake` is called when the log's thread has news.
    ///
    /// # Errors
    /// When another daemon uses the directory. One that cannot be written is a problem, not an error:
    /// the network goes on, and nothing is kept until it can.
    pub fn open(dir: &Path, wake: impl Fn() + Send + 'static) -> anyhow::Result<(Store, Kept)> {
        let (sender, progress) = sync_channel(64);
        let wants_room = Arc::new(AtomicBool::new(false));
        let (asked, mut failing) = (wants_room.clone(), false);
        let opened = state::open(dir, QUEUE, move |news| {
            // That all is well is no reason to wake the loop, unless somebody waits for it.
            let expected = asked.load(Ordering::Acquire) || failing;
            let well = news == Progress::Kept;
            if well && !expected {
                return;
            }
            failing |= matches!(news, Progress::Failing(_));
            // News are for people; the oldest are as good as the latest. That all is well again is said until
            // it gets through.
            let told = sender.try_send(news).is_ok();
            failing &= !(well && told);
            wake();
        })?;
        for problem in &opened.problems {
            tracing::warn!("{problem}");
        }
        let boot_id = state::boot_id().unwrap_or_default();
        let boot = u64::from(crc32fast::hash(boot_id.as_bytes()));
        let counter = |name: &str| opened.state.counters.get(name).copied();
        let warm = counter(WIRED) == Some(1) && counter(BOOT) == Some(boot);
        let kept = Kept {
            peers: opened.state.peers.clone(),
            disabled: opened.state.disabled.clone(),
            policies: opened.state.policies.clone(),
            problems: opened.problems,
            router_id: opened.state.router_id,
            warm,
            boot_id: boot_id.clone(),
            state: opened.state,
        };
        let mut store = Store {
            writer: Some(opened.writer),
            fresh: Vec::new(),
            waiting: BTreeMap::new(),
            wants_room,
            progress,
            problem: None,
            boot_id,
            sysctls: kept.state.sysctls.keys().cloned().collect(),
        };
        store.append(Record::Counter(BOOT.to_owned(), boot));
        store.append(Record::Counter(WIRED.to_owned(), 1));
        Ok((store, kept))
    }

    /// Keeps what the node says.
    pub fn record(&mut self, record: NodeRecord) {
        match record {
            NodeRecord::Intent(record) => self.append(Record::Intent(record)),
            NodeRecord::Sysctl { path, old } => {
                self.sysctls.push(path.clone());
                let old = OldSysctl {
                    value: old,
                    boot_id: self.boot_id.clone(),
                };
                self.append(Record::Sysctl(path, Some(old)));
            }
        }
    }

    /// Keeps what the API did.
    pub fn write(&mut self, write: Write) {
        self.append(match write {
            Write::Peer(name, value) => Record::Peer(name, value),
            Write::Draining(draining) => Record::Counter(DRAINING.to_owned(), u64::from(draining)),
            Write::Disabled(name, disabled) => Record::Disabled(name, disabled),
            Write::Policy(name, value) => Record::Policy(name, value),
        });
    }

    /// Keeps the router id.
    pub fn remember_router_id(&mut self, id: Ipv4Addr) {
        self.append(Record::RouterId(id));
    }

    /// Calls `then` when everything up to now is on disk, or cannot be.
    pub fn when_kept(&mut self, then: impl FnOnce(Result<(), ApiError>) + Send + 'static) {
        self.flush();
        self.retry();
        let Some(writer) = self.writer.as_ref().filter(|_| self.waiting.is_empty()) else {
            return then(Err(not_kept("too much waits to be written already")));
        };
        let ack: state::Ack = Box::new(move |written: Result<(), String>| {
            then(written.map_err(|why| not_kept(&why)));
        });
        if let Err(full) = writer.append(Vec::new(), Some(ack))
            && let Some(ack) = full.ack
        {
            ack(Err("too much waits to be written already".to_owned()));
        }
    }

    /// Takes news of the log's thread.
    pub fn poll(&mut self) {
        while let Ok(news) = self.progress.try_recv() {
            match news {
                Progress::Kept => {
                    if self.problem.take().is_some() {
                        tracing::info!("state is kept again");
                    }
                }
                Progress::Failing(why) => {
                    if self.problem.is_none() {
                        tracing::error!("nothing is kept across restarts: {why}; {MEND}");
                    }
                    self.problem = Some(why);
                }
                Progress::Notice(text) => tracing::warn!("{text}"),
            }
        }
        self.flush();
        if !self.waiting.is_empty() {
            self.retry();
        }
    }

    /// Why nothing is kept at present.
    pub fn trouble(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What is wrong with the disk.
    pub fn problem(&self) -> Option<ApiProblem> {
        self.problem.as_ref().map(|why| ApiProblem {
            kind: ProblemKind::State,
            subject: "state.log".to_owned(),
            message: format!("nothing is kept across restarts: {why}; the network goes on, but a restart may forget"),
            place: None,
            source: None,
            remedy: Some(MEND.to_owned()),
        })
    }

    /// Everything of ours is out of the kernel.
    pub fn gone(&mut self) {
        self.append(Record::Counter(WIRED.to_owned(), 0));
        for path in std::mem::take(&mut self.sysctls) {
            self.append(Record::Sysctl(path, None));
        }
    }

    /// Writes what is left.
    pub fn close(&mut self) {
        self.flush();
        self.retry();
        if let Some(writer) = self.writer.take()
            && let Err(why) = writer.close()
        {
            tracing::error!("the state log was not written to its end: {why}");
        }
    }

    fn append(&mut self, record: Record) {
        self.fresh.push(record);
        if self.fresh.len() >= QUEUE / 4 {
            self.flush();
        }
    }

    /// Hands the records of this turn to the log's thread.
    pub fn flush(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.fresh);
        // Before the attempt: what makes room after a failure must not go by unnoticed.
        self.wants_room.store(true, Ordering::Release);
        let left = match &self.writer {
            Some(writer) if self.waiting.is_empty() => match writer.append(records, None) {
                Ok(()) => return self.wants_room.store(false, Ordering::Release),
                Err(full) => full.records,
            },
            Some(_) => records,
            None => return,
        };
        self.waiting
            .extend(left.into_iter().map(|r| (state::key(&r), r)));
    }

    fn retry(&mut self) {
        let Some(writer) = self.writer.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return;
        };
        let records: Vec<Record> = std::mem::take(&mut self.waiting).into_values().collect();
        for chunk in records.chunks(QUEUE / 4) {
            if let Err(full) = writer.append(chunk.to_vec(), None) {
                self.waiting
                    .extend(full.records.into_iter().map(|r| (state::key(&r), r)));
            }
        }
        self.wants_room
            .store(!self.waiting.is_empty(), Ordering::Release);
    }
}

fn not_kept(why: &str) -> ApiError {
    ApiError::new(
        ErrorCode::Internal,
        format!("it is in effect, but a restart may forget it: {why}"),
    )
    .with_remedy(MEND)
}
