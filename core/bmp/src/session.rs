//! A session with a collector: what it is told, in which order.
//!
//! ```text
//!  Initiation, Peer Up of every session and of the Loc-RIB      Session::begin
//!  what there was before, page by page, End-of-RIB behind it    Session::sync
//!  what happens meanwhile and after                             Session::report, Session::sync (Loc-RIB)
//!  statistics                                                   Session::handle_timeout
//!  Peer Down of the Loc-RIB, Termination                        Session::end
//! ```
//!
//! A page is what holds when it is read, and all bytes go one way, so that what comes last about a route is right, however pages
//! and news are mixed. Routes that a peer left behind when it went are not told: the collector heard Peer Down.

mod sync;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use tapway_bgp::{BestReader, Farewell, MonitoredSession, Report, Speaker, Table};
use tapway_bgp_wire::{
    AfiSafi, Capabilities, Capability, ExtendedNextHop, Frame, MAX_LEN_EXTENDED, MessageType, Open,
};
use tapway_model::{Family, Instant, PeerName};

use crate::config::Tables;
use crate::message::{Message, MirrorTlv, PeerDown, PeerHeader, PeerUp, Statistic, Tlv, tlv};
pub use sync::Progress;
use sync::Task;

/// The time, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// The one that goes on evenly.
    pub now: Instant,
    /// Since 1970.
    pub unix: Duration,
}

impl Time {
    /// When something happened that the even clock knows.
    fn of(&self, then: Instant) -> Duration {
        self.unix.saturating_sub(self.now.since(then))
    }
}

/// Who the router is (RFC 7854 §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Us {
    /// `sysName`: the name of the host.
    pub name: String,
    /// `sysDescr`: software and version.
    pub description: String,
}

/// A session with a collector.
#[derive(Debug)]
pub struct Session {
    tables: Tables,
    statistics: Option<Duration>,
    next_statistics: Option<Instant>,
    /// The router as the Loc-RIB names it.
    loc_rib: PeerHeader,
    /// Sessions that the collector knows.
    up: BTreeMap<PeerName, Arc<MonitoredSession>>,
    best: Option<BestReader>,
    /// End-of-RIBs of the Loc-RIB that are still to be told.
    best_open: usize,
    tasks: VecDeque<Task>,
    messages: u64,
}

impl Session {
    /// Begins: who we are, and which sessions are up. The speaker must report what `tables` need from before this call on.
    pub fn begin(
        time: Time,
        speaker: &mut Speaker,
        us: &Us,
        tables: Tables,
        statistics: Option<Duration>,
        out: &mut Vec<u8>,
    ) -> Session {
        let config = speaker.config();
        let mut session = Session {
            tables,
            statistics,
            next_statistics: statistics.map(|every| time.now + every),
            loc_rib: PeerHeader {
                loc_rib: true,
                post_policy: false,
                two_octet: false,
                out: false,
                distinguisher: 0,
                address: Ipv4Addr::UNSPECIFIED.into(),
                asn: config.asn,
                router_id: config.router_id,
                time: time.unix,
            },
            up: BTreeMap::new(),
            best: None,
            best_open: 0,
            tasks: VecDeque::new(),
            messages: 0,
        };
        let tlvs = vec![
            Tlv {
                kind: tlv::SYS_DESCR,
                value: us.description.as_bytes(),
            },
            Tlv {
                kind: tlv::SYS_NAME,
                value: us.name.as_bytes(),
            },
        ];
        session.write(&Message::Initiation(tlvs), out);
        let sessions: Vec<_> = speaker.monitored().cloned().collect();
        for known in sessions {
            session.peer_up(time, &known, out);
        }
        if tables.best {
            session.loc_rib_up(out);
            session.best = Some(speaker.read_best());
            session.best_open = Family::ALL.len();
        }
        session.plan();
        session
    }

    /// Messages written.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether what there was at the beginning has been told.
    pub fn is_synced(&self) -> bool {
        self.tasks.is_empty() && self.best_open == 0
    }

    /// Tells what the speaker reports. False: the speaker could not report everything, and the collector has to hear
    /// everything anew, in another session.
    #[must_use]
    pub fn report(&mut self, time: Time, report: &Report, out: &mut Vec<u8>) -> bool {
        match report {
            Report::Up(session) => {
                if !self.knows(session) {
                    self.peer_up(time, session, out);
                }
            }
            Report::Down(session, farewell) => {
                if self.knows(session) {
                    self.up.remove(&session.peer);
                    let reason = match farewell {
                        Farewell::Sent(message) => PeerDown::LocalNotification(message),
                        Farewell::Received(message) => PeerDown::RemoteNotification(message),
                        Farewell::Local(event) => PeerDown::LocalEvent(*event),
                        Farewell::Remote => PeerDown::Remote,
                    };
                    let peer = header(session, time.unix);
                    self.write(&Message::PeerDown(peer, reason), out);
                }
            }
            Report::Received {
                session,
                message,
                faulty,
            } => {
                if self.tables.received && self.knows(session) {
                    self.received(time, session, message, *faulty, out);
                }
            }
            Report::Routes {
                session,
                table,
                updates,
            } => {
                let wanted = match table {
                    Table::Received => self.tables.received,
                    Table::Imported => self.tables.imported,
                    Table::Sent => self.tables.sent,
                };
                if wanted && self.knows(session) {
                    let peer = of_table(session, *table, time.unix);
                    self.updates(peer, updates, out);
                }
            }
            Report::Sent { session, messages } => {
                if self.tables.sent && self.knows(session) {
                    let peer = PeerHeader {
                        two_octet: !session.encode.four_octet_asn,
                        ..of_table(session, Table::Sent, time.unix)
                    };
                    self.updates(peer, messages, out);
                }
            }
            Report::State { .. } => {}
            Report::Lost => return false,
        }
        true
    }

    /// When [`Session::handle_timeout`] is to be called.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next_statistics
    }

    /// Sends statistics when it is time (RFC 7854 §4.8).
    pub fn handle_timeout(&mut self, time: Time, speaker: &Speaker, out: &mut Vec<u8>) {
        let (Some(at), Some(every)) = (self.next_statistics, self.statistics) else {
            return;
        };
        if at > time.now {
            return;
        }
        self.next_statistics = Some(time.now + every);
        let sessions: Vec<_> = self.up.values().cloned().collect();
        for session in sessions {
            let counts = speaker.table_counts(&session.peer);
            let mut all = vec![Statistic::Counter(
                Statistic::TREATED_AS_WITHDRAW,
                // A counter that begins anew at its end (RFC 7854 §4.8).
                counts.treated_as_withdraw as u32,
            )];
            let [total, families] = [Statistic::IN_ROUTES, Statistic::FAMILY_IN_ROUTES];
            gauges(&mut all, total, families, |f| counts.received[f]);
            let [total, families] = [Statistic::OUT_ROUTES, Statistic::FAMILY_OUT_ROUTES];
            gauges(&mut all, total, families, |f| counts.sent[f]);
            let peer = header(&session, time.unix);
            self.write(&Message::Statistics(peer, all), out);
        }
        if let Some(best) = &self.best {
            let counts = speaker.best_counts(best);
            let mut all = Vec::new();
            let [total, families] = [Statistic::BEST_ROUTES, Statistic::FAMILY_BEST_ROUTES];
            gauges(&mut all, total, families, |f| counts[f]);
            let peer = self.loc_rib_at(time.unix);
            self.write(&Message::Statistics(peer, all), out);
        }
    }

    /// Ends the session. With a reason that is told: Peer Down of the Loc-RIB and Termination (RFC 7854 §4.5).
    pub fn end(mut self, time: Time, speaker: &mut Speaker, why: Option<&str>, out: &mut Vec<u8>) {
        let best = self.best.take();
        if let Some(best) = &best {
            speaker.stop_best(best);
        }
        let Some(why) = why else { return };
        if best.is_some() {
            let peer = self.loc_rib_at(time.unix);
            self.write(
                &Message::PeerDown(peer, PeerDown::LocRib(&table_name())),
                out,
            );
        }
        let reason = tlv::REASON_ADMIN.to_be_bytes();
        let tlvs = vec![
            Tlv {
                kind: tlv::STRING,
                value: why.as_bytes(),
            },
            Tlv {
                kind: tlv::REASON,
                value: &reason,
            },
        ];
        self.write(&Message::Termination(tlvs), out);
    }

    fn write(&mut self, message: &Message<'_>, out: &mut Vec<u8>) {
        self.messages += 1;
        message.encode(out);
    }

    fn knows(&self, session: &Arc<MonitoredSession>) -> bool {
        let known = self.up.get(&session.peer);
        known.is_some_and(|known| Arc::ptr_eq(known, session))
    }

    fn peer_up(&mut self, time: Time, session: &Arc<MonitoredSession>, out: &mut Vec<u8>) {
        self.up.insert(session.peer.clone(), session.clone());
        let up = PeerUp {
            local: canonical(session.ends.local.ip()),
            local_port: session.ends.local.port(),
            remote_port: session.ends.remote.port(),
            sent_open: &session.our_open,
            received_open: &session.peer_open,
        };
        let label = Tlv {
            kind: tlv::ADMIN_LABEL,
            value: session.peer.as_str().as_bytes(),
        };
        let peer = header(session, time.of(session.since));
        self.write(&Message::PeerUp(peer, up, vec![label]), out);
    }

    /// Peer Up of the Loc-RIB, with OPENs that say what its UPDATEs are like (RFC 9069 §5.3).
    fn loc_rib_up(&mut self, out: &mut Vec<u8>) {
        let family = |family| Capability::MultiProtocol(AfiSafi::from(family));
        let mut open = Vec::new();
        Open {
            asn: self.loc_rib.asn,
            hold_time: 0,
            router_id: self.loc_rib.router_id,
            capabilities: Capabilities(vec![
                family(Family::Ipv4),
                family(Family::Ipv6),
                // Unnumbered peers have no other next hops for IPv4.
                Capability::ExtendedNextHop(vec![ExtendedNextHop {
                    nlri: AfiSafi::IPV4_UNICAST,
                    next_hop_afi: AFI_IPV6,
                }]),
                Capability::FourOctetAs(self.loc_rib.asn),
            ]),
        }
        .encode(&mut open);
        let up = PeerUp {
            local: Ipv4Addr::UNSPECIFIED.into(),
            local_port: 0,
            remote_port: 0,
            sent_open: &open,
            received_open: &open,
        };
        let name = Tlv {
            kind: tlv::TABLE_NAME,
            value: TABLE_NAME,
        };
        self.write(&Message::PeerUp(self.loc_rib, up, vec![name]), out);
    }

    fn loc_rib_at(&self, time: Duration) -> PeerHeader {
        PeerHeader {
            time,
            ..self.loc_rib
        }
    }

    fn received(
        &mut self,
        time: Time,
        session: &MonitoredSession,
        message: &[u8],
        faulty: bool,
        out: &mut Vec<u8>,
    ) {
        let peer = PeerHeader {
            two_octet: !session.decode.four_octet_asn,
            ..of_table(session, Table::Received, time.unix)
        };
        match faulty {
            // What was made of it follows by itself.
            true => {
                let tlvs = vec![MirrorTlv::Errored, MirrorTlv::BgpMessage(message)];
                self.write(&Message::RouteMirroring(peer, tlvs), out);
            }
            false => self.updates(peer, message, out),
        }
    }

    /// One message for each UPDATE among `messages`.
    fn updates(&mut self, peer: PeerHeader, messages: &[u8], out: &mut Vec<u8>) {
        let mut rest = messages;
        while let Ok(Some((len, frame))) = Frame::next(rest, MAX_LEN_EXTENDED) {
            if frame.kind() == MessageType::Update {
                self.write(&Message::RouteMonitoring(peer, frame.bytes()), out);
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

/// AFI of IPv6, as a next hop (RFC 8950).
const AFI_IPV6: u16 = 2;
/// The name of the one table that there is (RFC 9069 §5.2.1).
const TABLE_NAME: &[u8] = b"global";

fn table_name() -> Vec<u8> {
    let mut bytes = tlv::TABLE_NAME.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(TABLE_NAME.len() as u16).to_be_bytes());
    bytes.extend_from_slice(TABLE_NAME);
    bytes
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// A session in words of the per-peer header: its Adj-RIB-In before policy.
fn header(session: &MonitoredSession, time: Duration) -> PeerHeader {
    PeerHeader {
        loc_rib: false,
        post_policy: false,
        two_octet: false,
        out: false,
        distinguisher: 0,
        address: canonical(session.ends.remote.ip()),
        asn: session.asn,
        router_id: session.router_id,
        time,
    }
}

/// One of its tables, with AS numbers of four octets.
fn of_table(session: &MonitoredSession, table: Table, time: Duration) -> PeerHeader {
    PeerHeader {
        post_policy: table != Table::Received,
        out: table == Table::Sent,
        ..header(session, time)
    }
}

/// A gauge for all families together, and one for each.
fn gauges(all: &mut Vec<Statistic>, total: u16, each: u16, count: impl Fn(Family) -> usize) {
    let sum: usize = Family::ALL.into_iter().map(&count).sum();
    all.push(Statistic::Gauge(total, sum as u64));
    for family in Family::ALL {
        let AfiSafi { afi, safi } = family.into();
        all.push(Statistic::FamilyGauge(
            each,
            (afi, safi),
            count(family) as u64,
        ));
    }
}

#[cfg(test)]
mod tests;
