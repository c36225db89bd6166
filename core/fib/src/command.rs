//! Changes as the `ip(8)` and `sysctl(8)` lines that would make them.

use core::fmt;
use core::net::IpAddr;

use tapway_model::Family;

use crate::links::Links;
use crate::{
    Address, Change, IfIndex, Neighbour, Object, Route, RouteKind, Rule, Sysctl, address_flags,
};

const TABLE_MAIN: u32 = 254;
const TABLE_LOCAL: u32 = 255;

/// A change, shown as a command line.
pub(crate) struct Command<'a> {
    pub(crate) change: &'a Change,
    pub(crate) links: Option<&'a Links>,
}

/// Without interface names: `dev if7`, which `ip` reads as index 7.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = Command {
            change: self,
            links: None,
        };
        command.fmt(f)
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, object) = match self.change {
            Change::Add(object) => ("add", object),
            Change::Replace(object) => ("replace", object),
            Change::Remove(object) => ("del", object),
        };
        let whole = !matches!(self.change, Change::Remove(_));
        match object {
            Object::Sysctl(sysctl) => write_sysctl(f, sysctl),
            Object::Address(address) => self.write_address(f, verb, address, whole),
            Object::Rule(rule) => write_rule(f, verb, rule),
            Object::Route(route) => self.write_route(f, verb, route, whole),
            Object::Neighbour(neighbour) => self.write_neighbour(f, verb, neighbour, whole),
        }
    }
}

impl Command<'_> {
    fn dev(&self, f: &mut fmt::Formatter<'_>, index: IfIndex) -> fmt::Result {
        match self.links.and_then(|links| links.get(index)) {
            Some(link) => write!(f, " dev {}", link.name),
            None => write!(f, " dev if{index}"),
        }
    }

    fn write_address(
        &self,
        f: &mut fmt::Formatter<'_>,
        verb: &str,
        address: &Address,
        whole: bool,
    ) -> fmt::Result {
        write!(f, "ip addr {verb} {}/{}", address.addr, address.len)?;
        self.dev(f, address.index)?;
        if !whole {
            return Ok(());
        }
        let v4 = matches!(address.addr, IpAddr::V4(_));
        write_scope(f, if v4 { address.scope } else { 0 })?;
        write!(f, " proto {}", address.protocol)?;
        if !v4 && address.flags & address_flags::NODAD != 0 {
            f.write_str(" nodad")?;
        }
        if address.flags & address_flags::NOPREFIXROUTE != 0 {
            f.write_str(" noprefixroute")?;
        }
        Ok(())
    }

    fn write_route(
        &self,
        f: &mut fmt::Formatter<'_>,
        verb: &str,
        route: &Route,
        whole: bool,
    ) -> fmt::Result {
        write!(f, "{} route {verb} ", ip(route.prefix.family()))?;
        match route.kind {
            RouteKind::Unicast => {}
            RouteKind::Blackhole => f.write_str("blackhole ")?,
            RouteKind::Unreachable => f.write_str("unreachable ")?,
            RouteKind::Other(kind) => write!(f, "{kind} ")?,
        }
        match route.prefix.len() {
            0 => f.write_str("default")?,
            _ => write!(f, "{}", route.prefix)?,
        }
        if let [hop] = route.next_hops.as_slice() {
            if let Some(via) = hop.via {
                write_via(f, via, route.prefix.family())?;
            }
            self.dev(f, hop.index)?;
        }
        match route.table {
            TABLE_MAIN => {}
            TABLE_LOCAL => f.write_str(" table local")?,
            table => write!(f, " table {table}")?,
        }
        write!(f, " proto {} metric {}", route.protocol, route.metric)?;
        if !whole {
            return Ok(());
        }
        if let Some(prefsrc) = route.prefsrc {
            write!(f, " src {prefsrc}")?;
        }
        if route.prefix.family() == Family::Ipv4 && route.scope != ip_scope(route) {
            write_scope_always(f, route.scope)?;
        }
        match route.next_hops.as_slice() {
            [] => {}
            [hop] => {
                if hop.onlink {
                    f.write_str(" onlink")?;
                }
            }
            hops => {
                for hop in hops {
                    f.write_str(" nexthop")?;
                    if let Some(via) = hop.via {
                        write_via(f, via, route.prefix.family())?;
                    }
                    self.dev(f, hop.index)?;
                    write!(f, " weight {}", hop.weight)?;
                    if hop.onlink {
                        f.write_str(" onlink")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_neighbour(
        &self,
        f: &mut fmt::Formatter<'_>,
        verb: &str,
        neighbour: &Neighbour,
        whole: bool,
    ) -> fmt::Result {
        write!(f, "ip neigh {verb} {}", neighbour.addr)?;
        if let (true, Some([a, b, c, d, e, g])) = (whole, neighbour.mac) {
            write!(f, " lladdr {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")?;
        }
        self.dev(f, neighbour.index)?;
        if whole {
            write!(f, " nud permanent protocol {}", neighbour.protocol)?;
        }
        Ok(())
    }
}

fn write_rule(f: &mut fmt::Formatter<'_>, verb: &str, rule: &Rule) -> fmt::Result {
    // A rule has no value beside its key: `ip rule` knows no replace.
    let verb = if verb == "replace" { "add" } else { verb };
    write!(f, "{} rule {verb} from all", ip(rule.family))?;
    if let Some(iif) = &rule.iif {
        write!(f, " iif {iif}")?;
    }
    match rule.table {
        TABLE_MAIN => f.write_str(" lookup main")?,
        TABLE_LOCAL => f.write_str(" lookup local")?,
        table => write!(f, " lookup {table}")?,
    }
    write!(f, " pref {} protocol {}", rule.priority, rule.protocol)
}

fn write_sysctl(f: &mut fmt::Formatter<'_>, sysctl: &Sysctl) -> fmt::Result {
    let quote = if sysctl.value.contains(char::is_whitespace) {
        "\""
    } else {
        ""
    };
    f.write_str("sysctl -w ")?;
    if sysctl.path.contains('.') {
        // eth0.100: with a slash first, sysctl(8) leaves dots alone.
        write!(f, "net/{}", sysctl.path)?;
    } else {
        f.write_str("net")?;
        for part in sysctl.path.split('/') {
            write!(f, ".{part}")?;
        }
    }
    write!(f, "={quote}{}{quote}", sysctl.value)
}

fn write_via(f: &mut fmt::Formatter<'_>, via: IpAddr, family: Family) -> fmt::Result {
    match (via, family) {
        (IpAddr::V6(_), Family::Ipv4) => write!(f, " via inet6 {via}"),
        _ => write!(f, " via {via}"),
    }
}

fn write_scope(f: &mut fmt::Formatter<'_>, scope: u8) -> fmt::Result {
    if scope == 0 {
        return Ok(());
    }
    write_scope_always(f, scope)
}

fn write_scope_always(f: &mut fmt::Formatter<'_>, scope: u8) -> fmt::Result {
    match scope {
        0 => f.write_str(" scope global"),
        253 => f.write_str(" scope link"),
        254 => f.write_str(" scope host"),
        scope => write!(f, " scope {scope}"),
    }
}

/// The scope that `ip route add` would choose by itself.
fn ip_scope(route: &Route) -> u8 {
    let on_link = matches!(route.next_hops.as_slice(), [hop] if hop.via.is_none());
    if on_link { 253 } else { 0 }
}

const fn ip(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip -6",
    }
}
