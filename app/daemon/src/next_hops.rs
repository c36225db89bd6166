//! The kernel's answers about next hops of received routes.

use std::net::IpAddr;
use std::time::Duration;

use tapway_api::problem::{Problem, ProblemKind};
use tapway_fib::RouteNews;
use tapway_model::Instant;
use tapway_netlink::{RouteSearcher, RouteWatch};
use tapway_node::{Level, Lookup};
use tapway_sys::poll::Interest;

use crate::daemon::{Daemon, event, now};
use crate::token;

/// Rounds of questions in one go; the node puts some hundred into one.
const ROUNDS: usize = 4;
/// Changes of routes taken in one turn.
const CHANGES: usize = 1024;
/// From one look at them to the next: somebody who changes many wakes the loop no more often than this.
const REST: Duration = Duration::from_millis(10);
/// `EIO` in linux/errno-base.h: an error without a number of its own.
const EIO: i32 = 5;

/// What other programs do to routes, as far as somebody wants to know.
#[derive(Default)]
pub(crate) struct Routes {
    watch: Option<RouteWatch>,
    news: Vec<RouteNews>,
    /// It could not be opened, which was told.
    refused: bool,
    /// The socket is not looked at before.
    pub(crate) rests_until: Option<Instant>,
    searcher: Option<RouteSearcher>,
}

impl Daemon {
    /// Asks the kernel what the node wants to know of next hops.
    pub(crate) fn answer_lookups(&mut self) {
        for _ in 0..ROUNDS {
            let Some(asked) = self.node.poll_lookups(now()) else {
                return;
            };
            // Before the question, so that no change is missed after it.
            self.follow_routes();
            let answers: Vec<(IpAddr, Lookup)> = asked
                .into_iter()
                .map(|addr| {
                    let answer = self.writer.lookup(addr, None);
                    (addr, answer.map_err(|e| e.raw_os_error().unwrap_or(EIO)))
                })
                .collect();
            self.node.handle_lookups(now(), answers);
        }
        self.more = true;
    }

    /// Has the kernel's tables searched, beside everything else.
    pub(crate) fn begin_search(&mut self) {
        let Some(search) = self.node.poll_search(now()) else {
            return;
        };
        match self.searcher() {
            Ok(searcher) => searcher.begin(search),
            Err(error) => self.node.handle_found(now(), Err(error)),
        }
    }

    fn searcher(&mut self) -> Result<&mut RouteSearcher, String> {
        if self.routes.searcher.is_none() {
            let opened = RouteSearcher::open(self.settings.protocol());
            let searcher = opened.map_err(|e| e.to_string())?;
            let added = self.poller.add(&searcher, token::SEARCH, Interest::READ);
            added.map_err(|e| e.to_string())?;
            self.routes.searcher = Some(searcher);
        }
        let searcher = self.routes.searcher.as_mut();
        searcher.ok_or_else(|| "there is no thread".to_owned())
    }

    /// Takes what a search found.
    pub(crate) fn take_found(&mut self) {
        let found = self.routes.searcher.as_mut().and_then(RouteSearcher::take);
        if let Some(found) = found {
            if found.is_err() {
                // A thread that has ended is not asked again.
                self.routes.searcher = None;
            }
            let found = found.map_err(|errno| std::io::Error::from_raw_os_error(errno).to_string());
            self.node.handle_found(now(), found);
        }
    }

    /// Searches of the kernel's routes that fail.
    pub(crate) fn search_problem(&self) -> Option<Problem> {
        let message = self.node.unsearched(now())?;
        Some(Problem {
            kind: ProblemKind::Kernel,
            subject: "routes".to_owned(),
            message,
            place: None,
            source: None,
            remedy: Some(
                "give the daemon what it lacks (memory, file descriptors, threads): systemctl status tapwayd"
                    .to_owned(),
            ),
        })
    }

    fn follow_routes(&mut self) {
        if self.routes.watch.is_some() || self.routes.refused {
            return;
        }
        let opened = RouteWatch::open(self.settings.protocol());
        let watched = opened.map_err(|e| e.to_string()).and_then(|watch| {
            let added = self.poller.add(&watch, token::ROUTES, Interest::READ);
            added.map(|()| watch).map_err(|e| e.to_string())
        });
        match watched {
            Ok(watch) => self.routes.watch = Some(watch),
            Err(error) => {
                self.routes.refused = true;
                let text = format!(
                    "routes of other programs cannot be followed: {error}; next hops are looked up again with every scan"
                );
                self.tell(event("next-hop.unwatched", Level::Warning, "kernel", text));
            }
        }
    }

    /// Takes what other programs did to routes, a part in each turn.
    pub(crate) fn read_routes(&mut self) {
        let Routes { watch, news, .. } = &mut self.routes;
        let Some(open) = watch else { return };
        match open.read(CHANGES, news) {
            Ok(true) => {}
            Ok(false) => {
                if self
                    .poller
                    .modify(&*open, token::ROUTES, Interest::NONE)
                    .is_ok()
                {
                    self.routes.rests_until = Some(now() + REST);
                }
            }
            Err(error) => {
                tracing::error!(%error, "routes of other programs cannot be followed; beginning again");
                *watch = None;
                news.push(RouteNews::Lost);
            }
        }
        self.node.handle_routes(now(), self.routes.news.drain(..));
    }

    /// Looks at the socket again when it has rested.
    pub(crate) fn wake_routes(&mut self, now: Instant) {
        if self.routes.rests_until.is_none_or(|until| until > now) {
            return;
        }
        self.routes.rests_until = None;
        if let Some(watch) = &self.routes.watch
            && let Err(error) = self.poller.modify(watch, token::ROUTES, Interest::READ)
        {
            tracing::error!(%error, "routes of other programs cannot be followed; beginning again");
            self.routes.watch = None;
            self.node.handle_routes(now, [RouteNews::Lost]);
        }
    }

    /// Listens no longer when nobody wants to know.
    pub(crate) fn rest_routes(&mut self) {
        let searches = self.routes.searcher.iter().any(RouteSearcher::is_busy);
        if !self.node.follows_routes() && !searches {
            self.routes = Routes::default();
        }
    }
}
