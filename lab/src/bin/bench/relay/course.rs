//! One run of one daemon through one scenario.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use tapway_lab::Proc;

use super::churn::{self, Churn};
use super::daemon::{Daemon, Plan};
use super::load::Load;
use super::log::{Log, Reader};
use super::place::{self, Place};
use super::scenario::{ASN, Peer, Scenario, Size, thousands};
use super::watch::{Goal, Index, Marks, Watch};
use super::{kernel, session};
use crate::tally::quantile;

/// After this time a daemon is cut off.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// Between the last session and the first route: FRR collects for up to two seconds what it sends to peers that have
/// just come up, and the time is not to depend on that.
const SETTLE: Duration = Duration::from_secs(3);
/// How long sessions may take to come up.
const SESSIONS: Duration = Duration::from_secs(60);
/// Nothing came for so long: what is there is looked at.
const QUIET: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(5);
/// Between the last withdraw and the second look at the memory.
const AFTER: Duration = Duration::from_secs(5);
/// A receiver takes no more bytes than this for each prefix and each change that it is to be told.
const ROOM: usize = 1000;

/// What a part of a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Which part; empty if the scenario has one only.
    pub(crate) part: &'static str,
    /// Its time.
    pub(crate) seconds: f64,
    /// Processor time of the daemon meanwhile.
    pub(crate) cpu: Option<f64>,
    /// Its memory with all routes, in MiB.
    pub(crate) mib: Option<f64>,
    /// Its memory five seconds after the last withdraw.
    pub(crate) mib_after: Option<f64>,
}

/// Why there is no time.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It was cut off; how far it came.
    Slow(String),
    /// It does not do that, or refuses to.
    Cannot(String),
    /// It did something wrong, or the run failed.
    Failed(String),
}

impl<E: Into<anyhow::Error>> From<E> for Fault {
    fn from(error: E) -> Fault {
        Fault::Failed(format!("{:#}", error.into()))
    }
}

/// What the runs of a scenario have in common.
pub(crate) struct Course {
    pub(crate) scenario: Scenario,
    pub(crate) size: Size,
    pub(crate) load: Load,
    pub(crate) index: Arc<Index>,
    pub(crate) churn: Option<Churn>,
}

/// One run: the daemon, its sessions, what is known about the receivers.
struct Run<'c> {
    course: &'c Course,
    place: &'c Place,
    senders: Vec<TcpStream>,
    /// What the daemon tells the senders, which is to be nothing.
    backs: Vec<Reader>,
    readers: Vec<Reader>,
    watches: Vec<Watch>,
}

impl Course {
    /// Runs it with a daemon.
    ///
    /// # Errors
    /// Why there is no result.
    pub(crate) fn run(&self, daemon: Daemon) -> Result<Vec<Sample>, Fault> {
        if let Some(reason) = (daemon.cannot)(self.scenario) {
            return Err(Fault::Cannot(reason.into()));
        }
        let place = Place::new(self.size)?;
        let plan = Plan {
            size: self.size,
            installs: self.scenario.installs(),
        };
        let mut processes = (daemon.launch)(&place, plan)?;
        let marks = daemon.decides.then_some(Marks {
            asn: ASN,
            next_hop: place::own(self.size.family),
        });
        let mut run = Run {
            course: self,
            place: &place,
            senders: Vec::new(),
            backs: Vec::new(),
            readers: Vec::new(),
            watches: Vec::new(),
        };
        let changes = self.churn.as_ref().map_or(0, Churn::count);
        let most = ROOM * (self.size.prefixes + changes);
        for peer in self.size.all() {
            let stream = connect(&place, peer, &mut processes)?;
            if peer.sends {
                run.backs.push(Reader::start(stream.try_clone()?, most)?);
                run.senders.push(stream);
            } else {
                run.readers.push(Reader::start(stream, most)?);
                run.watches.push(Watch::new(Arc::clone(&self.index), marks));
            }
        }
        std::thread::sleep(SETTLE);
        place.rest()?;
        let samples = match self.scenario {
            Scenario::TwoPaths => run.two_paths(),
            Scenario::Churn => run.churn(),
            Scenario::Kernel | Scenario::KernelTable => run.kernel(),
            Scenario::Table | Scenario::Mesh | Scenario::FanOut | Scenario::Table6 => run.pass_on(),
        };
        // A sender whose writes wait for the daemon has nothing to wait for any more.
        for stream in &run.senders {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let samples = samples?;
        let told: usize = run.backs.iter().map(|b| b.log().count.announced).sum();
        if told > 0 {
            return Err(Fault::Failed(format!(
                "it told senders of {told} prefixes, though it was to tell them nothing"
            )));
        }
        Ok(samples)
    }
}

impl Run<'_> {
    /// Everything to everybody, then nothing.
    fn pass_on(&mut self) -> Result<Vec<Sample>, Fault> {
        let mut sample = self.timed("", &self.everybody(), true, Goal::There)?;
        self.place.rest()?;
        sample.mib = Some(self.place.memory()?);
        self.timed("", &self.everybody(), false, Goal::Gone)?;
        std::thread::sleep(AFTER);
        sample.mib_after = Some(self.place.memory()?);
        Ok(vec![sample])
    }

    /// The better path goes, then the other.
    fn two_paths(&mut self) -> Result<Vec<Sample>, Fault> {
        let peers = self.course.size.senders();
        self.timed("", &[0, 1], true, Goal::Via(peers[0].asn()))?;
        self.place.rest()?;
        let mib = self.place.memory()?;
        let mut other = self.timed("one gone", &[0], false, Goal::Via(peers[1].asn()))?;
        other.mib = Some(mib);
        self.place.rest()?;
        let mut gone = self.timed("both gone", &[1], false, Goal::Gone)?;
        std::thread::sleep(AFTER);
        gone.mib_after = Some(self.place.memory()?);
        Ok(vec![other, gone])
    }

    /// Changes at a steady pace.
    fn churn(&mut self) -> Result<Vec<Sample>, Fault> {
        let churn = self.course.churn.as_ref().context("no changes")?;
        self.timed("", &[0], true, Goal::There)?;
        self.place.rest()?;
        let from = self.watches[0].offset();
        let before = self.place.spent()?.precise;
        let announced = self.readers[0].log().count.announced;
        let sent = churn.send(&mut self.senders[0])?;
        let complete = |_, log: &Log| log.count.announced >= announced + churn.count();
        self.arrive(Goal::There, &complete, Instant::now())?;
        let cpu = self.place.spent()?.precise.saturating_sub(before);
        let delays = churn::delays(&self.readers[0].log(), from, &sent).map_err(Fault::Failed)?;
        if delays.len() < churn.count() {
            return Err(Fault::Failed(format!(
                "{} of {} changes never came",
                thousands(churn.count() - delays.len()),
                thousands(churn.count())
            )));
        }
        let memory = self.place.memory()?;
        let sample = |part, percent| Sample {
            part,
            seconds: quantile(&delays, percent) / 1000.0,
            cpu: Some(cpu.as_secs_f64()),
            mib: Some(memory),
            mib_after: None,
        };
        Ok(vec![sample("p50", 50), sample("p99", 99)])
    }

    /// Into the kernel, and out of it.
    fn kernel(&mut self) -> Result<Vec<Sample>, Fault> {
        let ns = &self.place.ns;
        let base = kernel::count(ns)?;
        let all = base + self.course.size.prefixes;
        let (start, before) = (Instant::now(), self.place.spent()?.precise);
        let senders = self.send(&[0], true)?;
        let done =
            kernel::wait(ns, all, start + LIMIT)?.map_err(|count| self.slow(count - base))?;
        join(senders)?;
        self.place.rest()?;
        let mut sample = Sample {
            part: "",
            seconds: (done - start).as_secs_f64(),
            cpu: Some(
                self.place
                    .spent()?
                    .precise
                    .saturating_sub(before)
                    .as_secs_f64(),
            ),
            mib: Some(self.place.memory()?),
            mib_after: None,
        };
        if kernel::count(ns)? != all {
            return Err(Fault::Failed("the kernel did not keep them".into()));
        }
        let senders = self.send(&[0], false)?;
        let end = Instant::now() + LIMIT;
        kernel::wait(ns, base, end)?.map_err(|count| {
            Fault::Failed(format!("{} stay in the kernel", count.abs_diff(base)))
        })?;
        join(senders)?;
        std::thread::sleep(AFTER);
        sample.mib_after = Some(self.place.memory()?);
        Ok(vec![sample])
    }

    fn everybody(&self) -> Vec<usize> {
        (0..self.senders.len()).collect()
    }

    /// These senders say all that they have to say, until the receivers are where they should be.
    fn timed(
        &mut self,
        part: &'static str,
        senders: &[usize],
        announce: bool,
        goal: Goal,
    ) -> Result<Sample, Fault> {
        for watch in &mut self.watches {
            watch.pursue(goal);
        }
        let news = |log: &Log| match goal {
            Goal::Gone => log.count.withdrawn,
            Goal::There | Goal::Via(_) => log.count.announced,
        };
        let size = self.course.size.prefixes;
        let wanted: Vec<usize> = self.readers.iter().map(|r| news(&r.log()) + size).collect();
        let before = self.place.spent()?.precise;
        let start = Instant::now();
        let senders = self.send(senders, announce)?;
        let done = self.arrive(goal, &|number, log| news(log) >= wanted[number], start)?;
        join(senders)?;
        let cpu = self.place.spent()?.precise.saturating_sub(before);
        Ok(Sample {
            part,
            seconds: (done - start).as_secs_f64(),
            cpu: Some(cpu.as_secs_f64()),
            mib: None,
            mib_after: None,
        })
    }

    /// Starts to send, each sender on a thread of its own.
    fn send(&self, senders: &[usize], announce: bool) -> std::io::Result<Vec<Sender>> {
        let start = |number: &usize| {
            let mut stream = self.senders[*number].try_clone()?;
            let said = Arc::clone(&self.course.load.said[*number]);
            Ok(std::thread::spawn(move || {
                stream.write_all(if announce {
                    &said.announce
                } else {
                    &said.withdraw
                })
            }))
        };
        senders.iter().map(start).collect()
    }

    /// Waits until all receivers are where they should be; says when that was. While `enough` does not hold for all
    /// logs, nothing is looked at but a count.
    fn arrive(
        &mut self,
        goal: Goal,
        enough: &dyn Fn(usize, &Log) -> bool,
        start: Instant,
    ) -> Result<Instant, Fault> {
        let end = start + LIMIT;
        let mut looked = None;
        loop {
            std::thread::sleep(POLL);
            let (mut last, mut all, mut ended) = (None, true, false);
            for (number, reader) in self.readers.iter().enumerate() {
                let log = reader.log();
                last = last.max(log.last());
                all &= enough(number, &log);
                ended |= log.ended.is_some();
            }
            let now = Instant::now();
            let quiet = last.is_none_or(|at| now.saturating_duration_since(at) > QUIET);
            if !(now >= end || ended || all && quiet && last != looked) {
                continue;
            }
            looked = last;
            for (reader, watch) in self.readers.iter().zip(&mut self.watches) {
                watch.advance(&reader.log()).map_err(Fault::Failed)?;
            }
            let done: Option<Vec<Instant>> = self.watches.iter().map(Watch::done).collect();
            match done.and_then(|times| times.into_iter().max()) {
                Some(at) if at <= end => return Ok(at),
                _ => {}
            }
            if let Some(reason) = self.readers.iter().find_map(|r| r.log().ended.clone()) {
                return Err(Fault::Failed(reason));
            }
            if now >= end {
                let least = self.watches.iter().map(Watch::reached).min();
                return Err(match goal {
                    Goal::Gone => {
                        Fault::Slow(format!("withdrawing: {}", self.part(least.unwrap_or(0))))
                    }
                    _ => self.slow(least.unwrap_or(0)),
                });
            }
        }
    }

    fn slow(&self, reached: usize) -> Fault {
        Fault::Slow(self.part(reached))
    }

    fn part(&self, reached: usize) -> String {
        let all = self.course.size.prefixes;
        format!("{} of {}", thousands(reached), thousands(all))
    }
}

type Sender = JoinHandle<std::io::Result<()>>;

fn join(senders: Vec<Sender>) -> Result<(), Fault> {
    for sender in senders {
        match sender.join() {
            Ok(sent) => sent?,
            Err(_) => return Err(Fault::Failed("a sender broke".into())),
        }
    }
    Ok(())
}

/// Calls until the daemon, which may just be starting, takes the session.
fn connect(place: &Place, peer: Peer, processes: &mut [Proc]) -> Result<TcpStream, Fault> {
    let own = place::own(peer.family);
    let end = Instant::now() + SESSIONS;
    loop {
        let error = match place.tester.run_in(|| session::call(peer, own)) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        for process in &mut *processes {
            if !process.is_running() {
                return Err(Fault::Failed(format!("it ended: {}", why(&process.log()))));
            }
        }
        if Instant::now() >= end {
            return Err(Fault::Failed(format!(
                "no session with {}: {error}",
                peer.name()
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The line of a log that tells why a process has ended: the first that says so, else the last.
fn why(log: &str) -> &str {
    let tells = |line: &&str| ["fatal", "error"].iter().any(|word| line.contains(word));
    let mut lines = log.lines().filter(|l| !l.trim().is_empty());
    let told = log.lines().find(tells);
    told.or_else(|| lines.next_back()).unwrap_or_default()
}
