//! A peer: its connections, its part of the RIB, and what happens to these when a session comes and goes.
//!
//! RFC 4271 §8, RFC 8538 §3. What becomes of routes when a session ends is in `stale.rs`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use tapway_bgp_wire as wire;
use tapway_bgp_wire::{ErrorCode, PerFamily};
use tapway_model::{Family, Instant};
use tapway_rib::{Counts, MemberId, Rib, SourceId, SourceInfo};

use super::action::{Action, ConnId, ConnectOptions, Endpoint};
use super::answer::Counters;
use super::event::{DownReason, Event, Notification};
use super::export::Origin;
use super::judge::Sender;
use super::monitor::{Farewell, Watched};
use super::reflect::Relation;
use super::shared::{RateLimit, Shared};
use super::stale::LongStale;
use crate::config::{PeerConfig, Reach};
use crate::session::fsm::{self, State};
use crate::session::open::Negotiated;
use crate::session::pace::Backoff;
use crate::session::{Connection, Fired, Session, Surroundings};

/// Which of a peer's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The one that also connects, and that becomes established.
    Main,
    /// The peer's own, until it is clear which of the two stays (RFC 4271 §6.8).
    Other,
}

/// What comes with an event of the state machine.
#[derive(Debug)]
pub(crate) enum Cause {
    /// Nothing.
    Plain,
    /// The NOTIFICATION to send.
    Send(wire::Notification),
    /// What the peer did wrong; makes the NOTIFICATION to send.
    Fault(wire::NotificationError),
    /// Why the session ends, when nothing is sent.
    Down(DownReason),
}

/// What is remembered for display.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) received: Counters,
    pub(crate) sent: Counters,
    pub(crate) established_count: u64,
    pub(crate) bad_updates: u64,
    pub(crate) treated_as_withdraw: u64,
    pub(crate) last_down: Option<(Instant, DownReason)>,
    pub(crate) last_received: Option<(Instant, Notification)>,
    pub(crate) last_sent: Option<(Instant, Notification)>,
    /// The state last told, and since when.
    pub(crate) state: State,
    pub(crate) since: Instant,
}

/// What one family's received routes stand at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inbound {
    /// End-of-RIB came on this session.
    pub(crate) end_of_rib: bool,
    /// The peer began to send all again (BoRR).
    pub(crate) refreshing: bool,
    /// It has sent so much that there was a warning.
    pub(crate) near_limit: bool,
}

/// What one family's transfer to the peer stands at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outbound {
    /// The peer in its group: it is told routes.
    pub(crate) member: Option<MemberId>,
    pub(crate) refresh: Refresh,
    /// All routes are to be sent again, and the transfer has not begun.
    pub(crate) asked: bool,
    /// End-of-RIB went out on this session.
    pub(crate) end_of_rib: bool,
}

/// Where a transfer of all routes stands that the peer asked for (RFC 2918, RFC 7313).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// None.
    #[default]
    Idle,
    /// To be begun with BoRR.
    Begin,
    /// Under way.
    Running,
}

/// A peer.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) config: PeerConfig,
    pub(crate) disabled: bool,
    pub(crate) disabled_message: Option<String>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) main: Session,
    pub(crate) other: Option<Session>,
    pub(crate) backoff: Backoff,
    /// Its connections are refused until then: it went over the prefix limit.
    pub(crate) refused_until: Option<Instant>,
    /// Its link went down, and its endpoint was not told since.
    pub(crate) link_lost: bool,
    /// What is known of the session that the received routes came by.
    pub(crate) sender: Sender,
    /// Its routes in the RIB.
    pub(crate) source: Option<SourceId>,
    pub(crate) inbound: PerFamily<Inbound>,
    pub(crate) outbound: PerFamily<Outbound>,
    /// The peer is away, and its routes are kept until then.
    pub(crate) restart_until: Option<Instant>,
    /// The peer is back, and stale routes are kept until then at most.
    pub(crate) stale_until: Option<Instant>,
    /// What happens to stale routes beyond the restart time.
    pub(crate) long_lived: PerFamily<LongStale>,
    pub(crate) history: History,
    pub(crate) bad_update_limit: RateLimit,
    pub(crate) near_limit_told: PerFamily<RateLimit>,
    pub(crate) second_connection_limit: RateLimit,
    pub(crate) watched: Watched,
}

impl Peer {
    pub(crate) fn new(now: Instant, config: PeerConfig) -> Peer {
        Peer {
            disabled: config.disabled,
            config,
            disabled_message: None,
            endpoint: None,
            main: Session::default(),
            other: None,
            backoff: Backoff::default(),
            refused_until: None,
            link_lost: false,
            sender: Sender::default(),
            source: None,
            inbound: PerFamily::default(),
            outbound: PerFamily::default(),
            restart_until: None,
            stale_until: None,
            long_lived: PerFamily::default(),
            history: History {
                since: now,
                ..History::default()
            },
            bad_update_limit: RateLimit::default(),
            near_limit_told: PerFamily::default(),
            second_connection_limit: RateLimit::default(),
            watched: Watched::default(),
        }
    }

    /// The state of the connection that is furthest.
    pub(crate) fn state(&self) -> State {
        self.other
            .as_ref()
            .map_or(self.main.state, |o| o.state.max(self.main.state))
    }

    pub(crate) fn established(&self) -> bool {
        self.main.state == State::Established
    }

    /// Whether both sides speak a family on the present session.
    pub(crate) fn speaks(&self, family: Family) -> bool {
        self.established()
            && self
                .main
                .negotiated()
                .is_some_and(|n| n.decode.families[family])
    }

    pub(crate) fn slot(&self, id: ConnId) -> Option<Slot> {
        if self.main.conn.as_ref().is_some_and(|c| c.id == id) {
            return Some(Slot::Main);
        }
        let other = self.other.as_ref()?.conn.as_ref()?;
        (other.id == id).then_some(Slot::Other)
    }

    pub(crate) fn session_mut(&mut self, slot: Slot) -> Option<&mut Session> {
        match slot {
            Slot::Main => Some(&mut self.main),
            Slot::Other => self.other.as_mut(),
        }
    }

    /// Runs the state machine of one connection and does what follows for the peer.
    pub(crate) fn drive(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        slot: Slot,
        event: fsm::Event,
        cause: Cause,
    ) -> Fired {
        let us = shared.ourselves();
        let (mut notification, mut detail, mut reason) = (None, None, None);
        match cause {
            Cause::Plain => {}
            Cause::Send(to_send) => notification = Some(to_send),
            Cause::Fault(error) => {
                notification = Some((&error).into());
                detail = Some(error.text.into_owned());
            }
            Cause::Down(why) => reason = Some(why),
        }
        let session = match (slot, &mut self.other) {
            (Slot::Main, _) => &mut self.main,
            (Slot::Other, Some(other)) => other,
            (Slot::Other, None) => return Fired::default(),
        };
        let was = session.state;
        let mut at = Surroundings {
            now,
            peer: &self.config,
            us: &us,
            jitter: &mut shared.jitter,
            backoff: &mut self.backoff,
            next_conn: &mut shared.next_conn,
            sent: &mut self.history.sent,
        };
        let mut fired = session.fire(event, notification, &mut at);
        let next = session.state;
        let closed = fired.close.take().map(|(conn, farewell)| {
            if shared.conns.remove(&conn.id).is_some() {
                shared.actions.push_back(Action::Close {
                    conn: conn.id,
                    farewell,
                });
            }
            conn
        });
        let sent = fired.notified.as_ref().map(|n| Notification {
            detail,
            ..describe(n)
        });
        if slot == Slot::Main
            && let Some(notification) = &fired.notified
        {
            self.watch_farewell(|| Farewell::Sent(encoded(notification)));
        }
        if let Some(notification) = &sent {
            self.history.last_sent = Some((now, notification.clone()));
        }
        if let Some(DownReason::Received(notification)) = &reason {
            self.history.last_received = Some((now, notification.clone()));
        }
        if let Some(id) = fired.open {
            self.connect(shared, id);
        }
        match slot {
            Slot::Main => {
                if let Some(conn) = closed
                    && next != State::Established
                {
                    let reason = match event {
                        fsm::Event::CollisionDump => DownReason::Replaced,
                        _ => sent
                            .map(DownReason::Sent)
                            .or(reason)
                            .unwrap_or(DownReason::Administrative),
                    };
                    self.ended(shared, now, was, &conn, reason);
                }
            }
            Slot::Other => {
                if !next.connected() {
                    self.other = None;
                    if let Some(sent) = sent {
                        self.tell_second_connection(shared, now, sent);
                    }
                }
            }
        }
        if fired.up {
            self.up(shared, now, slot);
        }
        fired
    }

    /// Asks the shell for a connection.
    fn connect(&mut self, shared: &mut Shared, id: ConnId) {
        let Some(endpoint) = self.endpoint else {
            return;
        };
        shared.conns.insert(id, self.config.name.clone());
        shared.actions.push_back(Action::Connect {
            conn: id,
            peer: self.config.name.clone(),
            remote: endpoint.remote,
            local: self.config.local_address.or(endpoint.local),
            options: self.socket_options(),
        });
    }

    /// Options of a connection to this peer (RFC 2385, RFC 5082).
    pub(crate) fn socket_options(&self) -> ConnectOptions {
        let (ttl, min_ttl) = match self.config.reach {
            Reach::Direct => (255, None),
            Reach::TtlSecurity => (255, Some(255)),
            Reach::Multihop(hops) => (hops, None),
        };
        let direct = !matches!(self.config.reach, Reach::Multihop(_));
        let ifindex = self.endpoint.map_or(0, |e| e.ifindex);
        ConnectOptions {
            md5: self.config.password.clone(),
            ttl,
            min_ttl,
            bind_ifindex: (direct && ifindex != 0).then_some(ifindex),
        }
    }

    /// The main connection, or the attempt at one, is over.
    fn ended(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        was: State,
        conn: &Connection,
        reason: DownReason,
    ) {
        let was_established = was == State::Established;
        if was_established {
            self.watch_down(shared, &reason);
            self.lost(shared, now, conn.negotiated.as_ref(), &reason);
        }
        if self.main.conn.is_none()
            && let Some(other) = self.other.take()
        {
            self.main = other;
        }
        if reason == DownReason::Replaced && !was_established {
            return;
        }
        let again = self
            .history
            .last_down
            .as_ref()
            .is_some_and(|(_, last)| *last == reason);
        self.history.last_down = Some((now, reason.clone()));
        // A connection that cannot be opened is tried again and again: told once.
        if was != State::Connect || !again {
            let peer = self.config.name.clone();
            shared.tell(Event::Down {
                peer,
                was_established,
                reason,
            });
        }
    }

    /// A connection became established: it is the main one from now on, and the only one.
    fn up(&mut self, shared: &mut Shared, now: Instant, slot: Slot) {
        match slot {
            Slot::Main => {
                self.drive(
                    shared,
                    now,
                    Slot::Other,
                    fsm::Event::CollisionDump,
                    Cause::Plain,
                );
            }
            Slot::Other => {
                let Some(other) = self.other.take() else {
                    return;
                };
                let event = if self.main.state.connected() {
                    fsm::Event::CollisionDump
                } else {
                    fsm::Event::Stop
                };
                self.drive(
                    shared,
                    now,
                    Slot::Main,
                    event,
                    Cause::Down(DownReason::Replaced),
                );
                self.main = other;
            }
        }
        self.history.established_count += 1;
        self.refused_until = None;
        self.restart_until = None;
        let Some(negotiated) = self.main.negotiated().cloned() else {
            return;
        };
        let before = self.sender;
        if let Some(conn) = &self.main.conn {
            self.sender = Sender {
                asn: negotiated.asn,
                external: negotiated.external,
                role: negotiated.role,
                local: self.config.as_path.local,
                ifindex: conn.info.map_or(0, |i| i.ifindex),
                ours: conn.addresses.unwrap_or_default(),
            };
        }
        if self.source.is_some() && before != self.sender {
            // What of kept routes counts, and where they lead, is seen from the session.
            self.judge_again(shared);
            shared.follow_again();
        }
        self.take_source(shared, &negotiated);
        self.watch_up(shared, now);
        let name = self.config.name.clone();
        shared.tell(Event::Established {
            peer: name,
            asn: negotiated.asn,
            router_id: negotiated.router_id,
        });
        self.regroup(shared);
        for family in Family::ALL {
            self.back(shared, now, family, &negotiated);
        }
        // What comes in the same breath comes after it.
        self.note_state(shared, now);
    }

    /// What it is to us, when it is in another AS or not.
    pub(crate) fn relation(&self, external: bool) -> Relation {
        Relation::of(external, self.config.client)
    }

    /// Its routes come by this session from now on; those that were kept stay the same ones.
    fn take_source(&mut self, shared: &mut Shared, negotiated: &Negotiated) {
        let info = self.main.conn.as_ref().and_then(|c| c.info);
        let origin = Origin {
            peer: self.config.name.clone(),
            known_as: self.config.known_as().clone(),
            relation: self.relation(negotiated.external),
            router_id: negotiated.router_id,
            ifindex: info.map_or(0, |i| i.ifindex),
        };
        let addr = info.map_or(Ipv4Addr::UNSPECIFIED.into(), |i| {
            i.remote.ip().to_canonical()
        });
        self.set_origin(shared, origin, addr);
    }

    /// It may be another relation of ours now: others hear of its routes, or no longer.
    pub(super) fn relate(&mut self, shared: &mut Shared) {
        let Some(source) = self.source else { return };
        let (Some(info), Some(origin)) = (shared.rib.source(source), shared.sources.get(&source))
        else {
            return;
        };
        let (addr, mut origin) = (info.addr, origin.clone());
        origin.relation = self.relation(origin.relation.is_external());
        self.set_origin(shared, origin, addr);
    }

    fn set_origin(&mut self, shared: &mut Shared, origin: Origin, addr: IpAddr) {
        // Each is a class of its own: export may ask who sent a route. What is different makes another one.
        let known = self.source.and_then(|source| {
            let same = shared.sources.get(&source) == Some(&origin);
            shared.rib.source(source).filter(|_| same)
        });
        let class = match known.map(|known| known.class) {
            Some(class) => class,
            None => shared.next_class(),
        };
        let info = SourceInfo {
            router_id: origin.router_id,
            addr,
            external: origin.relation.is_external(),
            class,
        };
        let source = match self.source {
            Some(source) => {
                shared.rib.set_source(source, info);
                source
            }
            None => shared.rib.add_source(info),
        };
        shared.sources.insert(source, origin);
        self.source = Some(source);
    }

    /// Its routes in numbers.
    pub(crate) fn counts(&self, rib: &Rib, family: Family) -> Counts {
        self.source
            .map_or_else(Counts::default, |s| rib.counts(s, family))
    }

    /// Starts if it may and is not started.
    pub(crate) fn start(&mut self, shared: &mut Shared, now: Instant) {
        if self.disabled || shared.stopped || self.endpoint.is_none() {
            return;
        }
        let event = if self.config.passive {
            fsm::Event::StartPassive
        } else {
            fsm::Event::Start
        };
        self.drive(shared, now, Slot::Main, event, Cause::Plain);
    }

    /// Stops both connections: with a NOTIFICATION, or without a word.
    pub(crate) fn stop(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        notification: Option<wire::Notification>,
        reason: DownReason,
    ) {
        for slot in [Slot::Other, Slot::Main] {
            let connected = self.session_mut(slot).is_some_and(|s| s.state.connected());
            let cause = match &notification {
                Some(notification) if connected => Cause::Send(notification.clone()),
                _ => Cause::Down(reason.clone()),
            };
            self.drive(shared, now, slot, fsm::Event::Stop, cause);
        }
        if reason != DownReason::Unreachable {
            self.refused_until = None;
        }
        self.backoff.forget();
    }

    /// `notification` as a Hard Reset, where the peer would take it for a restart (RFC 8538 §3).
    pub(crate) fn hard(&self, notification: wire::Notification) -> wire::Notification {
        let graceful = self
            .main
            .negotiated()
            .and_then(|n| n.restart.as_ref())
            .is_some_and(|r| r.notification);
        if graceful {
            notification.into_hard_reset()
        } else {
            notification
        }
    }

    /// Tells a change of state, if there was one.
    pub(crate) fn note_state(&mut self, shared: &mut Shared, now: Instant) {
        let to = self.state();
        let from = core::mem::replace(&mut self.history.state, to);
        if from != to {
            self.history.since = now;
            self.watch_state(shared, from, to);
            shared.tell(Event::StateChanged {
                peer: self.config.name.clone(),
                from,
                to,
            });
        }
    }
}

fn encoded(notification: &wire::Notification) -> Vec<u8> {
    let mut bytes = Vec::new();
    notification.encode(&mut bytes);
    bytes
}

/// A NOTIFICATION in words.
pub(crate) fn describe(notification: &wire::Notification) -> Notification {
    let enclosed = notification.enclosed();
    let error = enclosed.as_ref().unwrap_or(notification).error;
    Notification {
        code: error.code,
        subcode: error.subcode,
        hard: notification.error == ErrorCode::CEASE_HARD_RESET,
        text: error.to_string(),
        message: notification.message(),
        detail: None,
    }
}
