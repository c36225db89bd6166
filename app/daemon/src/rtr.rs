//! RPKI caches, on a thread of their own: sockets, names and the making of tables are nothing that the loop should wait
//! for.
//!
//! ```text
//!  loop --which caches (16 at most wait)--> thread --what is new (1 at most waits)--> loop
//! ```
//!
//! What happens while the loop has not taken the last news is told together with the next: the newest state of the caches, one
//! table, and a bounded number of events.

mod links;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use tapway_model::Instant;
use tapway_rpki::{Action, CacheConfig, CacheStatus, Caches, Event, Update};
use tapway_sys::clock;
use tapway_sys::poll::{Interest, Poller, Ready};
use tapway_sys::wake::Waker;

use links::Links;

/// Lists of caches that may wait.
const LISTS: usize = 16;
/// Events that may wait.
const EVENTS: usize = 256;
/// The thread was woken.
const WAKE: u64 = 0;

/// What the caches say since it was told last.
#[derive(Debug, Default)]
pub struct News {
    /// All caches, by name.
    pub statuses: Vec<CacheStatus>,
    /// What happened.
    pub events: Vec<Event>,
    /// Events that there was no room for.
    pub lost: u64,
    /// What they say together now, if it changed.
    pub update: Option<Update>,
}

/// The thread, as the loop sees it. There is none while there are no caches.
pub struct Rtr {
    loop_waker: Arc<Waker>,
    thread: Option<Thread>,
    statuses: Vec<CacheStatus>,
}

struct Thread {
    lists: SyncSender<Vec<CacheConfig>>,
    waker: Arc<Waker>,
    news: Receiver<News>,
}

impl Rtr {
    /// No caches. `loop_waker` is woken when there are news.
    pub fn new(loop_waker: Arc<Waker>) -> Rtr {
        Rtr {
            loop_waker,
            thread: None,
            statuses: Vec::new(),
        }
    }

    /// These are the caches from now on.
    pub fn set(&mut self, caches: Vec<CacheConfig>) {
        if self.thread.is_none() && !caches.is_empty() {
            match Thread::start(self.loop_waker.clone()) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => {
                    tracing::error!(%error, "RPKI caches cannot be asked; read the configuration again to try again");
                }
            }
        }
        if let Some(thread) = &self.thread {
            // The thread takes lists before all else and never waits for the loop.
            if thread.lists.send(caches).is_err() {
                tracing::error!("the thread for RPKI caches is gone; restart tapwayd");
            }
            thread.waker.wake();
        }
    }

    /// What is new.
    pub fn take(&mut self) -> Option<News> {
        let thread = self.thread.as_ref()?;
        let mut news = thread.news.try_recv().ok()?;
        // There is room for more now.
        thread.waker.wake();
        std::mem::swap(&mut self.statuses, &mut news.statuses);
        Some(news)
    }

    /// The caches as they were told last, by name.
    pub fn statuses(&self) -> &[CacheStatus] {
        &self.statuses
    }
}

impl Thread {
    fn start(loop_waker: Arc<Waker>) -> std::io::Result<Thread> {
        let waker = Arc::new(Waker::new()?);
        let (lists, asked) = sync_channel(LISTS);
        let (tell, news) = sync_channel(1);
        let theirs = waker.clone();
        let work = move || match poller(&theirs) {
            Ok(poller) => Worker {
                caches: Caches::new(clock::now() ^ u64::from(std::process::id())),
                links: Links::new(theirs.clone()),
                poller,
                waker: theirs,
                loop_waker,
                asked,
                tell,
                waiting: News::default(),
                told: Vec::new(),
            }
            .run(),
            Err(error) => tracing::error!(%error, "RPKI caches cannot be waited for"),
        };
        std::thread::Builder::new()
            .name("rpki".to_owned())
            .spawn(work)?;
        Ok(Thread { lists, waker, news })
    }
}

fn poller(waker: &Waker) -> std::io::Result<Poller> {
    let poller = Poller::new()?;
    poller.add(waker, WAKE, Interest::READ)?;
    Ok(poller)
}

/// The thread itself.
struct Worker {
    caches: Caches,
    links: Links,
    poller: Poller,
    waker: Arc<Waker>,
    loop_waker: Arc<Waker>,
    asked: Receiver<Vec<CacheConfig>>,
    tell: SyncSender<News>,
    /// Not told yet.
    waiting: News,
    /// The caches as they were told last.
    told: Vec<CacheStatus>,
}

fn now() -> Instant {
    Instant::from_nanos(clock::now())
}

impl Worker {
    fn run(mut self) {
        let mut ready: Vec<Ready> = Vec::new();
        loop {
            let timeout = self.caches.poll_timeout().map(|at| at.since(now()));
            if let Err(error) = self.poller.wait(timeout, &mut ready) {
                tracing::error!(%error, "RPKI caches cannot be waited for; restart tapwayd");
                return;
            }
            self.waker.clear();
            loop {
                match self.asked.try_recv() {
                    Ok(caches) => self.caches.set(now(), caches),
                    Err(TryRecvError::Empty) => break,
                    // The daemon ends.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.links.resolved(now(), &mut self.caches, &self.poller);
            for event in ready.iter().filter(|event| event.token != WAKE) {
                self.links
                    .ready(now(), event, &mut self.caches, &self.poller);
                self.act();
            }
            let now = now();
            if self.caches.poll_timeout().is_some_and(|at| at <= now) {
                self.caches.handle_timeout(now);
            }
            self.act();
            self.publish();
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.caches.poll_action() {
            match action {
                Action::Tell(event) if self.waiting.events.len() < EVENTS => {
                    self.waiting.events.push(event);
                }
                Action::Tell(_) => self.waiting.lost += 1,
                action => self
                    .links
                    .act(now(), action, &mut self.caches, &self.poller),
            }
        }
    }

    fn publish(&mut self) {
        if self.waiting.update.is_none() {
            self.waiting.update = self.caches.poll_update();
        }
        let statuses: Vec<CacheStatus> = self.caches.statuses().collect();
        let nothing = self.waiting.update.is_none() && self.waiting.events.is_empty();
        if nothing && statuses == self.told {
            return;
        }
        let mut news = std::mem::take(&mut self.waiting);
        news.statuses = statuses;
        match self.tell.try_send(news) {
            Ok(()) => {
                self.told = self.caches.statuses().collect();
                self.loop_waker.wake();
            }
            // The loop wakes us when it has taken the last.
            Err(TrySendError::Full(news) | TrySendError::Disconnected(news)) => {
                self.waiting = news;
            }
        }
    }
}

#[cfg(test)]
mod tests;
