//! All routes of other programs around some addresses.
//!
//! The kernel has no such question; it lists whole tables (strict checking, Linux 4.20: one table at a time). A thread does so, because
//! with a million routes that takes a second; what does not cover any of the addresses is dropped before it is decoded.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};

use tapway_fib::{Route, RouteList, RouteSearch};
use tapway_model::{Family, Prefix};
use tapway_sys::wake::Waker;

use crate::constants::{AF_INET, AF_INET6, RTM_GETROUTE, errno};
use crate::decode;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::message::{Refusal, attribute};
use crate::scan::Body;

/// `sizeof(struct rtmsg)`, and the places of `rtm_dst_len` and `rtm_protocol` in it.
const HEADER: usize = 12;
const DST_LEN: usize = 1;
const PROTOCOL: usize = 5;
const RTA_DST: u16 = 1;
const RTA_TABLE: u16 = 15;

/// All routes, or the `errno` with which the kernel refused.
type Found = Result<RouteList, i32>;

/// Searches the kernel's tables, one search at a time.
#[derive(Debug)]
pub struct RouteSearcher {
    orders: Sender<RouteSearch>,
    found: Receiver<Found>,
    ready: Arc<Waker>,
    busy: bool,
}

impl RouteSearcher {
    /// Opens the socket here, so in the calling thread's network namespace, and starts the thread that searches. It ends with this
    /// value. `protocol` is ours: its routes are not told.
    ///
    /// # Errors
    /// When there is no usable netlink socket, or no thread.
    pub fn open(protocol: u8) -> Result<RouteSearcher, Error> {
        let mut exchange = Exchange::open().map_err(Error::Open)?;
        let (orders, order) = mpsc::channel::<RouteSearch>();
        let (answers, found) = mpsc::sync_channel(1);
        let ready = Arc::new(Waker::new().map_err(Error::Open)?);
        let end = End {
            answers,
            bell: Bell(Arc::clone(&ready)),
        };
        let serve = move || {
            let End { answers, bell } = &end;
            while let Ok(search) = order.recv() {
                if answers
                    .send(list(&mut exchange, protocol, &search))
                    .is_err()
                {
                    return;
                }
                bell.0.wake();
            }
        };
        std::thread::Builder::new()
            .name("route-search".to_owned())
            .spawn(serve)
            .map_err(Error::Open)?;
        Ok(RouteSearcher {
            orders,
            found,
            ready,
            busy: false,
        })
    }

    /// Begins a search; this becomes readable when it is done.
    pub fn begin(&mut self, search: RouteSearch) {
        self.busy = true;
        if self.orders.send(search).is_err() {
            // The thread has ended: `take` says so.
            self.ready.wake();
        }
    }

    /// Whether a search is under way.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// What was found, once.
    pub fn take(&mut self) -> Option<Found> {
        self.ready.clear();
        let found = match self.found.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Disconnected) if self.busy => Err(errno::EIO),
            Err(_) => return None,
        };
        self.busy = false;
        Some(found)
    }
}

/// What the thread tells by. Rings also when the thread ends, after there is nobody any more who could answer.
struct End {
    answers: SyncSender<Found>,
    bell: Bell,
}

struct Bell(Arc<Waker>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl AsFd for RouteSearcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

fn list(exchange: &mut Exchange, protocol: u8, search: &RouteSearch) -> Found {
    let mut all: Vec<Route> = Vec::new();
    for family in Family::ALL {
        if !search.addrs.iter().any(|addr| Family::of(addr) == family) {
            continue;
        }
        let number = match family {
            Family::Ipv4 => AF_INET,
            Family::Ipv6 => AF_INET6,
        };
        for table in &search.tables {
            let body = Body::header(number, HEADER).attribute(RTA_TABLE, &table.to_ne_bytes());
            let decode = |payload: &[u8]| {
                let others = payload.get(PROTOCOL) != Some(&protocol);
                let meant = others && search.means(*table, &destination(payload, family)?);
                meant.then(|| decode::route(payload)).flatten()
            };
            match exchange.dump(RTM_GETROUTE, &body, decode) {
                Ok(routes) => all.extend(routes),
                // There is no such table.
                Err(Refusal {
                    errno: errno::ENOENT,
                    ..
                }) => {}
                Err(refusal) => return Err(refusal.errno),
            }
        }
    }
    // Here, where it holds up nobody.
    Ok(all.into())
}

/// The destination alone, without the cost of decoding the rest.
fn destination(payload: &[u8], family: Family) -> Option<Prefix> {
    let len = *payload.get(DST_LEN)?;
    let addr = match attribute(payload.get(HEADER..)?, RTA_DST) {
        None => Prefix::default_of(family).addr(),
        Some(bytes) => match family {
            Family::Ipv4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
            Family::Ipv6 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        },
    };
    Prefix::new(addr, len).ok()
}
