//! Replacing a route without a gap and without touching a foreign one.
//!
//! `NLM_F_REPLACE` cannot do it. For IPv4 it replaces the first route with the same table, prefix and
//! metric whatever its protocol (`fib_table_insert`); for IPv6 the first of the same kind, gateway or
//! not, and appending a gateway route to another with the same metric makes the two one multipath
//! route (`fib6_add_rt2node`). The kernel has no request for "the exact route at this key" either.
//!
//! So the new route comes first with a metric behind the old one's, then the old one goes (only ours:
//! the protocol is part of the request), then the new one comes with the right metric, unless
//! something foreign is there, then the stand-in goes. Packets always find a route, and whoever
//! watches the kernel sees each key appear and disappear in order.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use tapway_fib::{Change, Object, Outcome, Route};

use crate::constants::{RTM_DELROUTE, RTM_NEWROUTE, errno};
use crate::encode;
use crate::message::{Answer, Refusal};
use crate::writer::{Writer, outcome};

const ADD: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// How many metrics are tried for the stand-in.
const STAND_INS: u32 = 4;

impl Writer {
    /// Replaces routes; every change of `run` is one.
    pub(crate) fn replace_routes(&mut self, run: &[Change], outcomes: &mut Vec<Outcome>) {
        let routes: Vec<&Route> = run
            .iter()
            .filter_map(|change| match change {
                Change::Replace(Object::Route(route)) => Some(route),
                _ => None,
            })
            .collect();
        let stand_ins: Vec<Result<Option<u32>, Refusal>> = self.stand_ins(&routes);

        self.exchange.begin();
        for (route, stand_in) in routes.iter().zip(&stand_ins) {
            let Ok(stand_in) = stand_in else { continue };
            self.exchange
                .push(RTM_DELROUTE, 0, &encode::route_key(route, route.metric));
            self.exchange
                .push(RTM_NEWROUTE, ADD, &encode::route(route, route.metric));
            if let Some(metric) = stand_in {
                self.exchange
                    .push(RTM_DELROUTE, 0, &encode::route_key(route, *metric));
            }
        }
        let mut answers = self.exchange.finish().into_iter();
        for stand_in in stand_ins {
            outcomes.push(outcome(match stand_in {
                Err(refusal) => Err(refusal),
                Ok(stand_in) => {
                    // Removing the old one fails when it is gone already, which does not matter.
                    answers.next();
                    let answer: Answer = answers.next().unwrap_or(Ok(()));
                    if stand_in.is_some() {
                        answers.next();
                    }
                    answer
                }
            }));
        }
    }

    /// Adds each route with a metric that is free. `None`: none was.
    fn stand_ins(&mut self, routes: &[&Route]) -> Vec<Result<Option<u32>, Refusal>> {
        let mut result = vec![Ok(None); routes.len()];
        let mut open: Vec<usize> = (0..routes.len()).collect();
        for try_number in 1..=STAND_INS {
            self.exchange.begin();
            for i in &open {
                self.exchange.push(
                    RTM_NEWROUTE,
                    ADD,
                    &encode::route(routes[*i], stand_in(routes[*i].metric, try_number)),
                );
            }
            let mut still_open = Vec::new();
            for (i, answer) in open.into_iter().zip(self.exchange.finish()) {
                match answer {
                    Ok(()) => result[i] = Ok(Some(stand_in(routes[i].metric, try_number))),
                    Err(Refusal {
                        errno: errno::EEXIST,
                        ..
                    }) => still_open.push(i),
                    // The kernel does not want the new route at all: the old one stays.
                    Err(refusal) => result[i] = Err(refusal),
                }
            }
            open = still_open;
            if open.is_empty() {
                break;
            }
        }
        result
    }
}

fn stand_in(metric: u32, try_number: u32) -> u32 {
    metric
        .checked_add(try_number)
        .unwrap_or_else(|| metric - try_number)
}
