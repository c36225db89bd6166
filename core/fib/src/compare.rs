//! When two objects are the same to the kernel: its defaults are filled in, its own marks ignored.

use alloc::borrow::ToOwned;
use core::net::IpAddr;

use tapway_model::Family;

use crate::{Key, Object, Route, RouteKind};

/// The metric that IPv6 gives a route without one (`IP6_RT_PRIO_USER`).
const IPV6_DEFAULT_METRIC: u32 = 1024;

/// `NUD_PERMANENT` in `linux/neighbour.h`.
pub(crate) const NUD_PERMANENT: u16 = 0x80;

/// The object as the kernel would tell it back.
pub(crate) fn normal(mut object: Object) -> Object {
    match &mut object {
        Object::Route(route) => normal_route(route),
        Object::Sysctl(sysctl) => {
            let trimmed = sysctl.value.trim();
            if trimmed.len() != sysctl.value.len() {
                sysctl.value = trimmed.to_owned();
            }
        }
        Object::Address(_) | Object::Neighbour(_) | Object::Rule(_) => {}
    }
    object
}

fn normal_route(route: &mut Route) {
    if route.prefix.family() == Family::Ipv6 {
        route.metric = ipv6_metric(route.metric);
        route.scope = 0;
    }
    if route.kind != RouteKind::Unicast {
        // IPv6 tells `lo` as the device of a blackhole.
        route.next_hops.clear();
    }
    if let [only] = route.next_hops.as_mut_slice() {
        only.weight = 1;
    } else {
        for hop in &mut route.next_hops {
            hop.weight = hop.weight.max(1);
        }
        route.next_hops.sort_unstable();
    }
}

/// The key as [`normal`] objects have it.
pub(crate) fn normal_key(key: &Key) -> Key {
    match key {
        Key::Route(table, prefix, metric) if prefix.family() == Family::Ipv6 => {
            Key::Route(*table, *prefix, ipv6_metric(*metric))
        }
        other => other.clone(),
    }
}

const fn ipv6_metric(metric: u32) -> u32 {
    if metric == 0 {
        IPV6_DEFAULT_METRIC
    } else {
        metric
    }
}

/// Whether the kernel's `have` is what `want` asks for. Both are [`normal`] and have one key.
pub(crate) fn same(want: &Object, have: &Object) -> bool {
    match (want, have) {
        // The flags are the kernel's: PERMANENT, NODAD, TENTATIVE, SECONDARY come and go by themselves.
        // The scope of an IPv6 address follows from the address.
        (Object::Address(w), Object::Address(h)) => {
            matches!(w.addr, IpAddr::V6(_)) || w.scope == h.scope
        }
        (Object::Route(w), Object::Route(h)) => {
            w.kind == h.kind
                && w.scope == h.scope
                && w.prefsrc == h.prefsrc
                && w.next_hops == h.next_hops
        }
        (Object::Neighbour(w), Object::Neighbour(h)) => {
            w.mac == h.mac && h.state & NUD_PERMANENT != 0
        }
        (Object::Rule(_), Object::Rule(_)) => true,
        // The kernel separates the numbers of a list by tabs.
        (Object::Sysctl(w), Object::Sysctl(h)) => w
            .value
            .split_ascii_whitespace()
            .eq(h.value.split_ascii_whitespace()),
        _ => false,
    }
}
