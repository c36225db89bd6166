//! Making changes: values of `tapway_fib` in, an outcome for each.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use tapway_fib::{Change, Neighbour, Object, Outcome, Sysctl};

use crate::constants::{
    RTM_DELROUTE, RTM_DELRULE, RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_NEWRULE, errno,
};
use crate::encode;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::message::{Answer, Refusal};

const ADD: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// Makes changes in the kernel, at once and in order.
///
/// Consecutive changes go out together, in as few system calls as fit. Nothing is tried again; a
/// removal of what is gone is done. Objects of other protocol numbers are never changed or removed.
#[derive(Debug)]
pub struct Writer {
    pub(crate) exchange: Exchange,
}

/// How a change is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One request, which the kernel itself confines to what is ours.
    Plain,
    /// See `replace.rs`.
    ReplaceRoute,
    /// See `guarded.rs`.
    Guarded,
    /// A file.
    Sysctl,
}

impl Way {
    fn of(change: &Change) -> Way {
        match change {
            Change::Add(Object::Sysctl(_))
            | Change::Replace(Object::Sysctl(_))
            | Change::Remove(Object::Sysctl(_)) => Way::Sysctl,
            Change::Add(_) | Change::Remove(Object::Route(_) | Object::Rule(_)) => Way::Plain,
            Change::Replace(Object::Route(_)) => Way::ReplaceRoute,
            Change::Replace(_) | Change::Remove(_) => Way::Guarded,
        }
    }
}

impl Writer {
    /// Opens a writer in the calling thread's network namespace.
    ///
    /// # Errors
    /// When there is no usable netlink socket.
    pub fn open() -> Result<Writer, Error> {
        Ok(Writer {
            exchange: Exchange::open().map_err(Error::Open)?,
        })
    }

    /// Marks this writer's changes in notifications; a [`Monitor`](crate::Monitor) leaves them out.
    pub fn port(&self) -> u32 {
        self.exchange.port()
    }

    /// Makes the changes, in order. One outcome for each.
    ///
    /// `Add` fails with EEXIST when something with the key is there. `Replace` puts the object there
    /// also when ours has vanished meanwhile, and fails with EEXIST when something foreign is there.
    /// `Remove` of a sysctl leaves it as it is: restoring an old value is a `Replace`.
    pub fn apply(&mut self, changes: &[Change]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut rest = changes;
        while let Some(first) = rest.first() {
            let way = Way::of(first);
            let run = rest
                .iter()
                .take_while(|change| Way::of(change) == way)
                .count();
            let (run, later) = rest.split_at(run);
            match way {
                Way::Plain => self.plain(run, &mut outcomes),
                Way::ReplaceRoute => self.replace_routes(run, &mut outcomes),
                Way::Guarded => {
                    outcomes.extend(run.iter().map(|change| outcome(self.guarded(change))))
                }
                Way::Sysctl => outcomes.extend(run.iter().map(sysctl)),
            }
            rest = later;
        }
        outcomes
    }

    fn plain(&mut self, run: &[Change], outcomes: &mut Vec<Outcome>) {
        self.exchange.begin();
        for change in run {
            match change {
                Change::Add(Object::Route(r)) => {
                    self.exchange
                        .push(RTM_NEWROUTE, ADD, &encode::route(r, r.metric))
                }
                Change::Add(Object::Address(a)) => {
                    self.exchange.push(RTM_NEWADDR, ADD, &encode::address(a))
                }
                Change::Add(Object::Rule(r)) => {
                    self.exchange.push(RTM_NEWRULE, ADD, &encode::rule(r))
                }
                Change::Add(Object::Neighbour(n)) => {
                    self.exchange.push(RTM_NEWNEIGH, ADD, &encode::neighbour(n))
                }
                Change::Remove(Object::Route(r)) => {
                    self.exchange
                        .push(RTM_DELROUTE, 0, &encode::route_key(r, r.metric));
                }
                Change::Remove(Object::Rule(r)) => {
                    self.exchange.push(RTM_DELRULE, 0, &encode::rule(r))
                }
                // `Way::of` sends nothing else here.
                Change::Add(Object::Sysctl(_)) | Change::Replace(_) | Change::Remove(_) => {}
            }
        }
        for (change, answer) in run.iter().zip(self.exchange.finish()) {
            let answer = match change {
                Change::Remove(_) => forgive_absence(answer),
                Change::Add(Object::Neighbour(neighbour)) => self.over_learned(neighbour, answer),
                _ => answer,
            };
            outcomes.push(outcome(answer));
        }
    }

    /// An entry that the kernel learned is nobody's; it gives way to a wanted one.
    fn over_learned(&mut self, neighbour: &Neighbour, answer: Answer) -> Answer {
        match answer {
            Err(Refusal {
                errno: errno::EEXIST,
                ..
            }) => self.replace_neighbour(neighbour, false),
            answer => answer,
        }
    }
}

fn sysctl(change: &Change) -> Outcome {
    match change {
        Change::Add(Object::Sysctl(Sysctl { path, value }))
        | Change::Replace(Object::Sysctl(Sysctl { path, value })) => {
            match tapway_sys::sysctl::write(path, value) {
                Ok(()) => Outcome::Done,
                Err(e) => Outcome::Failed {
                    errno: e.raw_os_error().unwrap_or(errno::EINVAL),
                    message: Some(format!(
                        "cannot write {value:?} to /proc/sys/net/{path}: {e}"
                    )),
                },
            }
        }
        _ => Outcome::Done,
    }
}

/// What is gone need not be removed.
pub(crate) fn forgive_absence(answer: Answer) -> Answer {
    match answer {
        Err(Refusal {
            errno: errno::ENOENT | errno::ESRCH | errno::ENODEV | errno::EADDRNOTAVAIL,
            ..
        }) => Ok(()),
        answer => answer,
    }
}

/// The answer when something foreign has the key.
pub(crate) fn taken(what: &str) -> Answer {
    Err(Refusal {
        errno: errno::EEXIST,
        message: Some(format!("{what} that is not ours is there")),
    })
}

pub(crate) fn outcome(answer: Answer) -> Outcome {
    match answer {
        Ok(()) => Outcome::Done,
        Err(Refusal { errno, message }) => Outcome::Failed { errno, message },
    }
}
