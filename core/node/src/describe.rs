//! Kernel objects in a few words, for events and `explain`.

use alloc::format;
use alloc::string::{String, ToString};

use tapway_fib::{Fib, IfIndex, Key, Object, Route, RouteKind};

/// The object with this key, as wanted; its key alone when it is not wanted any more.
pub fn describe(key: &Key, fib: &Fib) -> String {
    match (key, fib.wanted(key).as_deref()) {
        (Key::Sysctl(path), Some(Object::Sysctl(s))) => {
            format!("sysctl net.{} = {}", path.replace('/', "."), s.value)
        }
        (Key::Sysctl(path), _) => format!("sysctl net.{}", path.replace('/', ".")),
        (Key::Address(index, addr, len), _) => {
            format!("address {addr}/{len} on {}", name(*index, fib))
        }
        (Key::Rule(family, priority, table, _), _) => {
            format!("{family} rule {priority} to table {table}")
        }
        (Key::Route(..), Some(Object::Route(route))) => format!("route {}", route_text(route, fib)),
        (Key::Route(table, prefix, metric), _) => {
            format!("route {prefix} in table {table} with metric {metric}")
        }
        (Key::Neighbour(index, addr), _) => format!("neighbour {addr} on {}", name(*index, fib)),
    }
}

/// `EBUSY` in Linux's `errno-base.h`: what the reconciler says of an object that somebody keeps undoing.
pub(crate) const EBUSY: i32 = 16;

/// Why an object is not in the kernel, as a sentence.
pub(crate) fn refusal(what: &str, errno: i32, message: Option<String>) -> String {
    match message {
        _ if errno == EBUSY => format!("another program keeps undoing {what}"),
        Some(reason) => format!("the kernel refuses {what}: {reason}"),
        None => format!("the kernel refuses {what}: errno {errno}"),
    }
}

/// What an event about this key is about.
pub(crate) fn key_subject(key: &Key) -> String {
    match key {
        Key::Sysctl(path) => path.clone(),
        Key::Address(_, addr, len) => format!("{addr}/{len}"),
        Key::Rule(_, priority, _, _) => format!("rule {priority}"),
        Key::Route(_, prefix, _) => prefix.to_string(),
        Key::Neighbour(_, addr) => addr.to_string(),
    }
}

/// An interface.
pub(crate) fn name(index: IfIndex, fib: &Fib) -> String {
    fib.link(index).map_or_else(
        || format!("interface {index}"),
        |link| link.name.to_string(),
    )
}

pub(crate) fn route_text(route: &Route, fib: &Fib) -> String {
    let mut text = match route.kind {
        RouteKind::Unreachable => format!("unreachable {}", route.prefix),
        RouteKind::Blackhole => format!("blackhole {}", route.prefix),
        RouteKind::Unicast | RouteKind::Other(_) => route.prefix.to_string(),
    };
    for hop in &route.next_hops {
        if let Some(via) = hop.via {
            text += &format!(" via {via}");
        }
        text += &format!(" dev {}", name(hop.index, fib));
    }
    text + &format!(" metric {}", route.metric)
}
