//! The order of changes in a batch.

use alloc::sync::Arc;

use crate::slot::Act;
use crate::{Object, Route};

/// Additions from the ground up, then removals from the top down. Routes come before neighbours, which only
/// spare the first packet a question, and before the gateway addresses that the guest itself asks for: a
/// claim is announced when its route is there, and an address takes the kernel four times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Every sysctl but `forwarding`: `accept_ra` has to be 2 before IPv6 forwarding is on, or the
    /// kernel drops the default route that it learned from an RA.
    Sysctl,
    Forwarding,
    /// Ours that is in the way of an address that is wanted.
    MakeRoom,
    Rule,
    RouteOnLink,
    RouteVia,
    Neighbour,
    Address,
    /// Routes with a preferred source: the kernel wants the address first.
    RouteFrom,
    DropNeighbour,
    DropRouteVia,
    DropRouteOnLink,
    DropRule,
    DropAddress,
    RestoreForwarding,
    RestoreSysctl,
}

impl Stage {
    /// Where a change that leaves `object` there (or takes it away) has its place.
    pub(crate) fn of(act: Act, object: &Arc<Object>) -> Stage {
        let put = act != Act::Remove;
        match &**object {
            Object::Sysctl(s) if s.path.ends_with("/forwarding") => Stage::Forwarding,
            Object::Sysctl(_) => Stage::Sysctl,
            Object::Address(_) if put => Stage::Address,
            Object::Address(_) => Stage::DropAddress,
            Object::Rule(_) if put => Stage::Rule,
            Object::Rule(_) => Stage::DropRule,
            Object::Route(r) if put && r.prefsrc.is_some() => Stage::RouteFrom,
            Object::Route(r) => match (put, has_gateway(r)) {
                (true, false) => Stage::RouteOnLink,
                (true, true) => Stage::RouteVia,
                (false, true) => Stage::DropRouteVia,
                (false, false) => Stage::DropRouteOnLink,
            },
            Object::Neighbour(_) if put => Stage::Neighbour,
            Object::Neighbour(_) => Stage::DropNeighbour,
        }
    }

    /// Whether a batch ends where this stage begins, so that the answer to what came before is not held up.
    pub(crate) fn begins_batch(self) -> bool {
        self >= Stage::Neighbour
    }

    /// The stage in which a sysctl is put back to what it was.
    pub(crate) fn restore(path: &str) -> Stage {
        if path.ends_with("/forwarding") {
            Stage::RestoreForwarding
        } else {
            Stage::RestoreSysctl
        }
    }
}

fn has_gateway(route: &Route) -> bool {
    route.next_hops.iter().any(|hop| hop.via.is_some())
}
