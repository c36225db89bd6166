//! From the command line to a running loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::{Context, bail};
use tapway_bmp::Us;
use tapway_fib::KernelEvent;
use tapway_model::Instant;
use tapway_netlink::{Monitor, MonitorConfig, Writer};
use tapway_node::{Node, Start};
use tapway_sys::notify::Notifier;
use tapway_sys::poll::{Interest, Poller};
use tapway_sys::signal::Signals;
use tapway_sys::wake::Waker;

use crate::args::Args;
use crate::bmp::Collectors;
use crate::daemon::{Daemon, Exit, Files, Parts, now};
use crate::http::{EventSink, HttpConfig, Server, queue};
use crate::instance_lock::InstanceLock;
use crate::logging::Log;
use crate::monitors::Monitors;
use crate::rtr::Rtr;
use crate::settings::Settings;
use crate::store::Store;
use crate::token;

/// Requests of the API that may wait.
const CALLS: usize = 64;
/// Events of a source that may wait; the source stops reading when it is full.
const SOURCE_EVENTS: usize = 1024;
/// Events of the kernel in one slice of the first scan.
const SLICE: usize = 4096;
/// How long the first scan may take before the start is given up.
const FIRST_SCAN: Duration = Duration::from_secs(60);

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// When it cannot start: a wrong configuration, a second daemon, no permission.
pub fn run(args: &Args, log: &Log) -> anyhow::Result<Exit> {
    // Before the first thread, so that every thread has them blocked.
    let signals = Signals::take().context("cannot take signals")?;
    log.begin().context("cannot start the log's thread")?;
    let settings = Settings::load(args)?;
    let protocol = settings.protocol();
    let _lock = InstanceLock::take(protocol)?;

    let waker = Arc::new(Waker::new()?);
    let wake = |waker: &Arc<Waker>| {
        let waker = waker.clone();
        move || waker.wake()
    };
    let (mut store, kept) = Store::open(settings.state_dir(), wake(&waker))?;
    let settings = settings.with_kept(&kept);

    let writer = Writer::open().context("needs CAP_NET_ADMIN")?;
    let mut monitor = Monitor::open(MonitorConfig::new(protocol, writer.port()))?;
    let scan = first_scan(&mut monitor)?;
    let config = settings.node_config(&kept, &scan)?;
    store.remember_router_id(config.speaker.router_id);
    let start = if kept.warm { Start::Warm } else { Start::Cold };
    let remembered = kept.remembered(&settings);
    let mut node = Node::new(now(), config, kept.restored(), scan, start);
    tell_api_source(&mut node, &settings);

    let poller = Poller::new()?;
    poller.add(&monitor, token::MONITOR, Interest::READ)?;
    poller.add(&*waker, token::WAKE, Interest::READ)?;
    poller.add(&signals, token::SIGNALS, Interest::READ)?;

    let sink = EventSink::new();
    let (gate, inbox) = queue(CALLS, wake(&waker));
    let http = HttpConfig {
        socket: settings.socket(),
        http: settings.http(),
    };
    let server = Server::start(&http, gate, sink.clone())?;
    let files = match settings.files() {
        Some((name, path)) => Some(start_files(name, path, remembered, wake(&waker))?),
        None => None,
    };

    let mut rtr = Rtr::new(waker.clone());
    rtr.set(settings.caches());
    let loop_waker = waker.clone();

    let (collectors, mrt) = (settings.collectors(), settings.mrt());
    let mut daemon = Daemon::new(Parts {
        node,
        settings,
        poller,
        waker,
        signals,
        writer,
        monitor,
        store,
        inbox,
        sink,
        files,
        rtr,
        monitors: Monitors::new(Collectors::new(us(), loop_waker.clone()), loop_waker),
        notifier: Notifier::from_env()?,
        scan_interval: (args.scan_interval > 0).then(|| Duration::from_secs(args.scan_interval)),
        warm: kept.warm,
        realtime: args.realtime,
    });
    daemon.set_monitors(collectors, mrt);
    let exit = daemon.run()?;
    server.stop();
    Ok(exit)
}

/// Who we are, for collectors.
fn us() -> Us {
    let name = rustix::system::uname();
    Us {
        name: name.nodename().to_string_lossy().into_owned(),
        description: format!(
            "tapway {} on {} {}",
            env!("CARGO_PKG_VERSION"),
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy()
        ),
    }
}

/// What the kernel holds, from `ScanBegin` to `ScanEnd`.
fn first_scan(monitor: &mut Monitor) -> anyhow::Result<Vec<KernelEvent>> {
    let deadline: Instant = now() + FIRST_SCAN;
    let mut poller = Poller::new()?;
    poller.add(&*monitor, token::MONITOR, Interest::READ)?;
    let mut ready = Vec::new();
    let mut events = Vec::new();
    loop {
        let status = monitor.read(now(), SLICE, &mut events)?;
        if let Some(end) = events.iter().rposition(|e| *e == KernelEvent::ScanEnd) {
            // Notifications that came with the last slice stay in order behind it.
            tracing::debug!(events = events.len(), end, "the kernel is known");
            return Ok(events);
        }
        if now() > deadline {
            bail!(
                "the kernel's state could not be read within {} s",
                FIRST_SCAN.as_secs()
            );
        }
        if !status.more {
            // The dump is made on a thread of its own; its slices make the descriptor readable.
            poller.wait(Some(Duration::from_millis(100)), &mut ready)?;
        }
    }
}

/// The API's instances are all known: they were kept.
fn tell_api_source(node: &mut Node, settings: &Settings) {
    use tapway_intent::SourceEvent;
    let source = settings.api_source();
    let instances: Vec<_> = node
        .intent()
        .instances()
        .filter(|v| v.source == source)
        .map(|v| v.instance)
        .collect();
    node.handle_source(now(), &source, SourceEvent::Begin);
    for instance in instances {
        node.handle_source(now(), &source, SourceEvent::Put(instance));
    }
    node.handle_source(now(), &source, SourceEvent::Complete);
}

fn start_files(
    name: tapway_model::SourceName,
    path: PathBuf,
    remembered: std::collections::BTreeMap<tapway_model::InstanceName, Arc<tapway_model::Instance>>,
    wake: impl Fn() + Send + 'static,
) -> anyhow::Result<Files> {
    let (remote, control) = tapway_source_files::control()?;
    let (sender, events) = sync_channel(SOURCE_EVENTS);
    let config = tapway_source_files::Config {
        path: path.clone(),
        remembered,
    };
    std::thread::Builder::new()
        .name(format!("source-{name}"))
        .spawn(move || {
            let emit = |event| {
                let sent = sender.send(event).map_err(|_| tapway_source_files::Closed);
                wake();
                sent
            };
            // It ends when it is told to, or when nobody listens any more.
            let _ = tapway_source_files::run(config, &control, emit);
        })?;
    Ok(Files {
        name,
        path,
        remote,
        events,
        problems: std::collections::BTreeMap::new(),
    })
}
