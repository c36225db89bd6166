//! From one effective claim to the kernel objects it needs, and whether it may be announced.
//!
//! Pure functions over what intent and kernel say now; [`Claims`] remembers what was asked for, so that
//! a claim that changes gives back what it no longer needs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use tapway_fib::{Fib, IfIndex, Key, Link, Neighbour, NextHop, Object, Route, RouteKind};
use tapway_intent::{Effective, Holder};
use tapway_model::{ClaimKind, Domain, Family, IfName, Instant, Network, NicState, Owner, Prefix};

/// The metric of every claim's route.
pub const CLAIM_METRIC: u32 = 10;

/// The metric of the route behind a prefix that nothing of ours delivers: any other way wins.
pub const LAST_RESORT_METRIC: u32 = u32::MAX;

/// `NUD_PERMANENT` in `linux/neighbour.h`.
const NUD_PERMANENT: u16 = 0x80;

/// `RT_SCOPE_LINK` and `RT_SCOPE_UNIVERSE` in `linux/rtnetlink.h`.
const SCOPE_LINK: u8 = 253;
const SCOPE_UNIVERSE: u8 = 0;

/// A claim's place: its domain and prefix.
pub type ClaimId = (Domain, Prefix);

/// What must hold before a claim is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// This object must be in the kernel.
    Kernel(Key),
    /// Nothing.
    Open,
    /// It is not announced, for this reason.
    Shut(Blocked),
}

/// Why a claim is not announced, or not wired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The interface does not exist.
    NoInterface(IfName),
    /// The interface is administratively down.
    LinkDown(IfName),
    /// The interface has no carrier.
    NoCarrier(IfName),
    /// The guest has not arrived.
    Arriving,
    /// The guest announces it by itself once it speaks BGP.
    GuestBgp,
    /// Not delivered by this version.
    Transparent,
    /// The claim names a network that is not there.
    NoNetwork,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocked::NoInterface(name) => write!(f, "interface {name} does not exist"),
            Blocked::LinkDown(name) => write!(f, "interface {name} is down"),
            Blocked::NoCarrier(name) => write!(f, "interface {name} has no carrier"),
            Blocked::Arriving => f.write_str("the guest is still arriving"),
            Blocked::GuestBgp => {
                f.write_str("only an authorisation: the guest would announce it, and this version has no guest sessions")
            }
            Blocked::Transparent => f.write_str("this version does not deliver transparent addresses"),
            Blocked::NoNetwork => f.write_str("its network is not configured"),
        }
    }
}

/// What one claim needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wired {
    /// Objects for the kernel.
    pub objects: Vec<Object>,
    /// When it may be announced.
    pub gate: Gate,
    /// Interfaces whose state matters to it.
    pub interfaces: BTreeSet<IfName>,
}

impl Wired {
    fn shut(reason: Blocked) -> Wired {
        Wired {
            objects: Vec::new(),
            gate: Gate::Shut(reason),
            interfaces: BTreeSet::new(),
        }
    }
}

/// Settings that wiring depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Marks our objects.
    pub protocol: u8,
    /// Whether lost carrier stops announcements.
    pub withdraw_without_carrier: bool,
}

/// What `claim` needs in `network`, given the links in `fib`.
pub(crate) fn wire(claim: &Effective, network: Option<&Network>, fib: &Fib, rules: Rules) -> Wired {
    let Some(network) = network else {
        return Wired::shut(Blocked::NoNetwork);
    };
    match claim.kind {
        ClaimKind::GuestBgp => return Wired::shut(Blocked::GuestBgp),
        ClaimKind::Transparent => return Wired::shut(Blocked::Transparent),
        ClaimKind::Address | ClaimKind::Route | ClaimKind::Anycast => {}
    }
    let nics: Vec<&Holder> = claim
        .holders
        .iter()
        .filter(|h| h.interface.is_some())
        .collect();
    let mut wired = if nics.is_empty() {
        wire_own(claim, network, fib, rules)
    } else {
        wire_nics(claim, &nics, network, fib, rules)
    };
    if !claim.announce && !matches!(wired.gate, Gate::Shut(_)) {
        wired.gate = Gate::Shut(Blocked::Arriving);
    }
    wired
}

/// A claim of the host or of a network.
fn wire_own(claim: &Effective, network: &Network, fib: &Fib, rules: Rules) -> Wired {
    let by_network = claim
        .holders
        .iter()
        .all(|h| matches!(h.owner, Owner::Network(_)));
    let mut interfaces = BTreeSet::new();
    let object = if by_network || !is_service(claim) {
        last_resort(claim.prefix, network.domain, rules)
    } else {
        let lo = fib.links().find(|l| l.loopback);
        interfaces.extend(lo.map(|lo| lo.name.clone()));
        lo.map(|lo| service_address(claim.prefix, lo.index, rules))
    };
    let mut gate = match &object {
        Some(object) => Gate::Kernel(object.key()),
        None => Gate::Open,
    };
    if by_network && let Some(bridge) = &network.bridge {
        interfaces.insert(bridge.clone());
        if let Some(reason) = blocked(bridge, fib, rules) {
            gate = Gate::Shut(reason);
        }
    }
    Wired {
        objects: object.into_iter().collect(),
        gate,
        interfaces,
    }
}

/// Whether a claim of the host is an address to put on the loopback interface.
fn is_service(claim: &Effective) -> bool {
    claim.prefix.is_host() && claim.kind != ClaimKind::Route
}

fn service_address(prefix: Prefix, lo: IfIndex, rules: Rules) -> Object {
    Object::Address(tapway_fib::Address {
        index: lo,
        addr: prefix.addr(),
        len: prefix.len(),
        scope: SCOPE_UNIVERSE,
        flags: tapway_fib::address_flags::NODAD,
        protocol: rules.protocol,
    })
}

/// What ends packets for unused addresses of a prefix that others deliver (a bridge's subnet, address
/// translation): without it they would take the default route back to the router that sent them, and
/// so on until their TTL is used up. The default route itself ends nothing.
fn last_resort(prefix: Prefix, domain: Domain, rules: Rules) -> Option<Object> {
    (prefix.len() > 0).then_some(Object::Route(Route {
        table: domain.0,
        prefix,
        metric: LAST_RESORT_METRIC,
        kind: RouteKind::Unreachable,
        scope: SCOPE_UNIVERSE,
        next_hops: Vec::new(),
        prefsrc: None,
        protocol: rules.protocol,
    }))
}

/// A claim of one NIC, or one shared by several.
fn wire_nics(
    claim: &Effective,
    nics: &[&Holder],
    network: &Network,
    fib: &Fib,
    rules: Rules,
) -> Wired {
    let mut interfaces = BTreeSet::new();
    let mut legs: Vec<Leg> = Vec::new();
    let mut reason = None;
    for holder in nics {
        // An authorisation alone sends nothing to a guest.
        let Some(own) = holder.interface.as_ref().filter(|_| holder.is_wired()) else {
            continue;
        };
        let name = network.bridge.as_ref().unwrap_or(own);
        interfaces.insert(own.clone());
        interfaces.insert(name.clone());
        let Some(link) = fib.link_named(name) else {
            reason.get_or_insert(Blocked::NoInterface(name.clone()));
            continue;
        };
        let trouble = blocked(own, fib, rules).or_else(|| blocked(name, fib, rules));
        if let Some(trouble) = &trouble {
            reason.get_or_insert(trouble.clone());
        }
        legs.push(Leg {
            holder,
            link,
            healthy: trouble.is_none() && is_here(holder.state),
        });
    }
    // A shared prefix goes where it can arrive, not to a guest that is only about to be here. One that
    // can arrive nowhere stays wired as far as the kernel takes it: not through a link that is down.
    if legs.iter().any(|leg| leg.healthy) {
        legs.retain(|leg| leg.healthy);
        reason = None;
    } else if legs.iter().any(|leg| leg.link.up) {
        legs.retain(|leg| leg.link.up);
    }
    let mut objects = Vec::new();
    let Some(route) = route(claim, &legs, network.domain, rules) else {
        let reason = reason.unwrap_or(Blocked::NoNetwork);
        return Wired {
            objects,
            gate: Gate::Shut(reason),
            interfaces,
        };
    };
    let key = route.key();
    objects.push(route);
    if let [leg] = legs.as_slice()
        && let Some(neighbour) = neighbour(claim, leg, rules)
    {
        objects.push(neighbour);
    }
    let gate = match reason {
        Some(reason) => Gate::Shut(reason),
        None => Gate::Kernel(key),
    };
    Wired {
        objects,
        gate,
        interfaces,
    }
}

struct Leg<'a> {
    holder: &'a Holder,
    link: &'a Link,
    healthy: bool,
}

/// Why packets cannot reach a guest through the interface `name`.
pub(crate) fn blocked(name: &IfName, fib: &Fib, rules: Rules) -> Option<Blocked> {
    match fib.link_named(name) {
        None => Some(Blocked::NoInterface(name.clone())),
        Some(link) if !link.up => Some(Blocked::LinkDown(name.clone())),
        Some(link) if !link.carrier && rules.withdraw_without_carrier => {
            Some(Blocked::NoCarrier(name.clone()))
        }
        Some(_) => None,
    }
}

fn route(claim: &Effective, legs: &[Leg<'_>], domain: Domain, rules: Rules) -> Option<Object> {
    let mut next_hops: Vec<NextHop> = legs
        .iter()
        .map(|leg| NextHop {
            index: leg.link.index,
            via: leg.holder.via,
            onlink: leg.holder.via.is_some(),
            weight: 1,
        })
        .collect();
    next_hops.sort();
    next_hops.dedup();
    if next_hops.is_empty() {
        return None;
    }
    let on_link = next_hops.iter().all(|n| n.via.is_none());
    let scope = match claim.prefix.family() {
        Family::Ipv4 if on_link => SCOPE_LINK,
        _ => SCOPE_UNIVERSE,
    };
    Some(Object::Route(Route {
        table: domain.0,
        prefix: claim.prefix,
        metric: CLAIM_METRIC,
        kind: RouteKind::Unicast,
        scope,
        next_hops,
        prefsrc: None,
        protocol: rules.protocol,
    }))
}

/// The permanent neighbour of an address whose MAC is known. Never for a shared one: which of the
/// holders would answer is not ours to say.
fn neighbour(claim: &Effective, leg: &Leg<'_>, rules: Rules) -> Option<Object> {
    let mac = leg.holder.mac?;
    if claim.kind != ClaimKind::Address || claim.shared || !claim.prefix.is_host() {
        return None;
    }
    Some(Object::Neighbour(Neighbour {
        index: leg.link.index,
        addr: claim.prefix.addr(),
        mac: Some(mac.octets()),
        state: NUD_PERMANENT,
        router: false,
        protocol: rules.protocol,
    }))
}

/// The gateway addresses of `network` on the interface `index`.
pub(crate) fn gateway(network: &Network, index: IfIndex, rules: Rules) -> Vec<Object> {
    network
        .gateway
        .iter()
        .map(|addr| {
            let link_scope = matches!(addr, IpAddr::V4(_)) || tapway_fib::is_link_local(addr);
            Object::Address(tapway_fib::Address {
                index,
                addr: *addr,
                len: Family::of(addr).bits(),
                scope: if link_scope {
                    SCOPE_LINK
                } else {
                    SCOPE_UNIVERSE
                },
                flags: tapway_fib::address_flags::NODAD,
                protocol: rules.protocol,
            })
        })
        .collect()
}

/// Whether a holder's state lets its claim be announced.
pub(crate) fn is_here(state: NicState) -> bool {
    state != NicState::Arriving
}

/// What is remembered of one claim.
#[derive(Clone, Debug)]
pub(crate) struct ClaimState {
    pub keys: Vec<Key>,
    pub gate: Gate,
    /// Since when it is announced.
    pub announced: Option<Instant>,
    pub interfaces: BTreeSet<IfName>,
}

/// What every claim asked for, counted, with the indexes that make one event touch only its claims.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub states: BTreeMap<ClaimId, ClaimState>,
    by_interface: BTreeMap<IfName, BTreeSet<ClaimId>>,
    by_gate: BTreeSet<(Key, ClaimId)>,
    counts: BTreeMap<Key, u32>,
}

impl Claims {
    /// The claims that the state of this interface matters to.
    pub(crate) fn of_interface(&self, name: &IfName) -> Vec<ClaimId> {
        self.by_interface
            .get(name)
            .map(|s| s.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The claims that wait for this object, or rest on it.
    pub(crate) fn of_gate(&self, key: &Key) -> Vec<ClaimId> {
        const FIRST: ClaimId = (Domain(0), Prefix::default_of(Family::Ipv4));
        self.by_gate
            .range((key.clone(), FIRST)..)
            .take_while(|(gate, _)| gate == key)
            .map(|(_, id)| *id)
            .collect()
    }

    /// Whether it is announced.
    pub(crate) fn is_announced(&self, id: &ClaimId) -> bool {
        self.states
            .get(id)
            .is_some_and(|state| state.announced.is_some())
    }

    /// Whether it is announced, and the kernel's object is only to become another: that forwards all the
    /// while, so it is withdrawn only if the next batch fails.
    pub(crate) fn is_replaced(&self, id: &ClaimId, fib: &Fib) -> bool {
        self.states.get(id).is_some_and(|state| {
            state.announced.is_some()
                && matches!(&state.gate, Gate::Kernel(key) if !fib.in_sync(key))
        })
    }

    /// Asks for what `wired` says in the place of what was asked for before.
    pub(crate) fn set(&mut self, id: ClaimId, wired: Wired, fib: &mut Fib) {
        let old = self.states.remove(&id);
        let keys: Vec<Key> = wired.objects.iter().map(Object::key).collect();
        for key in &keys {
            *self.counts.entry(key.clone()).or_insert(0) += 1;
        }
        let announced = old.as_ref().and_then(|o| o.announced);
        if let Some(old) = old {
            self.drop_state(id, old, fib);
        }
        for object in wired.objects {
            fib.set_want(object);
        }
        for name in &wired.interfaces {
            self.by_interface
                .entry(name.clone())
                .or_default()
                .insert(id);
        }
        if let Gate::Kernel(key) = &wired.gate {
            self.by_gate.insert((key.clone(), id));
        }
        self.states.insert(
            id,
            ClaimState {
                keys,
                gate: wired.gate,
                announced,
                interfaces: wired.interfaces,
            },
        );
    }

    /// Forgets a claim and gives back what it asked for.
    pub(crate) fn remove(&mut self, id: ClaimId, fib: &mut Fib) {
        if let Some(old) = self.states.remove(&id) {
            self.drop_state(id, old, fib);
        }
    }

    fn drop_state(&mut self, id: ClaimId, old: ClaimState, fib: &mut Fib) {
        for name in &old.interfaces {
            if let Some(ids) = self.by_interface.get_mut(name) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_interface.remove(name);
                }
            }
        }
        if let Gate::Kernel(key) = old.gate {
            self.by_gate.remove(&(key, id));
        }
        for key in old.keys {
            if let Some(count) = self.counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&key);
                    fib.unwant(&key);
                }
            }
        }
    }
}

/// A claim's place as people read it: the prefix, and the domain unless it is main.
pub(crate) fn subject(id: &ClaimId) -> String {
    match id.0 {
        Domain::MAIN => format!("{}", id.1),
        domain => format!("{} in {domain}", id.1),
    }
}
