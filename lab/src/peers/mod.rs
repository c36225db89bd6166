//! Real BGP peers: BIRD, FRR and GoBGP, configured and asked in one way.
//!
//! [`Router`] says what a peer should do; each program's module turns it into a configuration file,
//! starts the program in a namespace with every path of its own, and turns what the program prints
//! into a [`PeerView`]. A scenario written against [`Peer`] runs with all of them.

mod bird;
mod frr;
mod gobgp;
mod router;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tapway_model::Prefix;

pub use bird::Bird;
pub use frr::Frr;
pub use gobgp::GoBgp;
pub use router::{GracefulRestart, Neighbor, Remote, Role, Router};

use crate::netns::Netns;
use crate::wait::wait_for;

/// A BGP router that is not ours. Dropping it kills it.
pub trait Peer: fmt::Debug {
    /// The program's name.
    fn program(&self) -> &'static str;

    /// One session and what was received in it.
    ///
    /// # Panics
    /// When the program cannot be asked, or there is no neighbour of this name.
    fn view(&self, neighbor: &str) -> PeerView;

    /// Originates a prefix, besides those of the [`Router`].
    fn announce(&mut self, prefix: Prefix);

    /// Takes a prefix back.
    fn withdraw(&mut self, prefix: Prefix);

    /// Ends it as an operator would (SIGTERM); it says goodbye to its neighbours.
    fn stop(&mut self);

    /// Kills it (SIGKILL).
    fn kill(&mut self);

    /// Starts it again after [`Peer::stop`] or [`Peer::kill`].
    fn start(&mut self, ns: &Netns);

    /// What it logged.
    fn log(&self) -> String;

    /// Waits until a session satisfies `condition`, and returns it as it is then.
    ///
    /// # Panics
    /// When it does not in time; the panic shows the last view.
    #[track_caller]
    fn wait_until(
        &self,
        neighbor: &str,
        limit: Duration,
        what: &str,
        condition: &mut dyn FnMut(&PeerView) -> bool,
    ) -> PeerView {
        let what = format!("{}: {what}", self.program());
        wait_for(limit, what, || {
            let view = self.view(neighbor);
            if condition(&view) {
                Ok(view)
            } else {
                Err(format!("{view:#?}"))
            }
        })
    }
}

/// Starts one of the programs by its name: `bird`, `frr` or `gobgp`.
///
/// # Panics
/// When there is no such program, or it does not start.
#[track_caller]
pub fn start(program: &str, ns: &Netns, router: Router) -> Box<dyn Peer> {
    match program {
        "bird" => Box::new(Bird::start(ns, router)),
        "frr" => Box::new(Frr::start(ns, router)),
        "gobgp" => Box::new(GoBgp::start(ns, router)),
        other => panic!("{other:?} is no peer; there are bird, frr and gobgp"),
    }
}

/// A session as a peer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerView {
    /// Whether it is up.
    pub established: bool,
    /// What was received and is in use or kept, by prefix.
    pub routes: BTreeMap<Prefix, RouteInfo>,
    /// Further paths of these prefixes (RFC 7911).
    pub more: Vec<(Prefix, RouteInfo)>,
    /// Why the last session ended, as the program puts it, with the text of RFC 9003 if there was one.
    pub last_error: Option<String>,
}

impl PeerView {
    /// Whether exactly these prefixes were received.
    pub fn has_exactly(&self, prefixes: &[&str]) -> bool {
        let mut wanted: Vec<Prefix> = prefixes
            .iter()
            .map(|p| p.parse().unwrap_or_else(|e| panic!("{p}: {e}")))
            .collect();
        wanted.sort();
        self.routes.keys().eq(&wanted)
    }

    /// Adds a received route.
    fn put(&mut self, prefix: Prefix, route: RouteInfo) {
        match self.routes.entry(prefix) {
            Entry::Vacant(place) => _ = place.insert(route),
            Entry::Occupied(_) => self.more.push((prefix, route)),
        }
    }

    /// The first next hops of all paths of a prefix, sorted.
    ///
    /// # Panics
    /// When `prefix` is none.
    #[track_caller]
    pub fn ways(&self, prefix: &str) -> Vec<IpAddr> {
        let key: Prefix = prefix.parse().unwrap_or_else(|e| panic!("{prefix}: {e}"));
        let more = self.more.iter().filter(|(p, _)| *p == key).map(|(_, r)| r);
        let all = self.routes.get(&key).into_iter().chain(more);
        let mut ways: Vec<IpAddr> = all.filter_map(|r| r.next_hops.first().copied()).collect();
        ways.sort();
        ways
    }

    /// Whether some route is kept from a former session.
    pub fn any_stale(&self) -> bool {
        self.routes.values().any(|r| r.stale)
    }

    /// The route for a prefix.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn route(&self, prefix: &str) -> &RouteInfo {
        let key: Prefix = prefix.parse().unwrap_or_else(|e| panic!("{prefix}: {e}"));
        match self.routes.get(&key) {
            Some(route) => route,
            None => panic!("no route for {prefix} in {self:#?}"),
        }
    }
}

/// A received route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteInfo {
    /// Next hops: one, or a global and a link-local one.
    pub next_hops: Vec<IpAddr>,
    /// Kept from a former session (RFC 4724). BIRD does not say it of one route: all routes count as
    /// stale while it waits for the neighbour's End-of-RIB.
    pub stale: bool,
    /// AS numbers, nearest first.
    pub as_path: Vec<u32>,
    /// Communities: `64612:90`.
    pub communities: Vec<String>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST, nearest first (RFC 4456).
    pub clusters: Vec<Ipv4Addr>,
    /// ONLY_TO_CUSTOMER (RFC 9234); not with GoBGP.
    pub otc: Option<u32>,
}
