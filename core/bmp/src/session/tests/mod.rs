//! Sessions with a real speaker, whose peers are bytes, and with a collector that is not ours.

mod reader;
mod router;

use tapway_bgp::DownReason;
use tapway_bgp_wire::{ErrorCode, Notification, RefreshSubtype};

use super::*;
use router::*;

const PLAIN: Offer = Offer {
    two_octet: false,
    add_path: false,
};

fn tagged(attributes: &mut tapway_bgp_wire::Attributes) {
    attributes.communities.push(TAG);
}

/// The keys of what a collector knows, without what is said.
fn keys(router: &Router, collector: usize) -> Vec<alloc::string::String> {
    router.collectors[collector].knows().into_keys().collect()
}

#[test]
fn a_session_begins_with_who_we_are_and_who_is_there() {
    let mut router = Router::new();
    let (_, ours, theirs) = router.peer(1, PLAIN);
    let collector = router.collector(ALL);
    let messages = router.collectors[collector].messages();
    let Message::Initiation(tlvs) = &messages[0] else {
        panic!("{messages:?}");
    };
    let said: Vec<_> = tlvs.iter().map(|t| (t.kind, t.value)).collect();
    assert_eq!(said, [(1, &b"tapway"[..]), (2, b"hv1")]);
    let Message::PeerUp(peer, up, _) = &messages[1] else {
        panic!("{messages:?}");
    };
    assert_eq!((peer.asn, peer.address), (65101, [198, 51, 100, 1].into()));
    assert_eq!(peer.router_id, Ipv4Addr::new(192, 0, 2, 101));
    assert_eq!((up.local_port, up.remote_port), (179, 40_000));
    assert_eq!((up.sent_open, up.received_open), (&ours[..], &theirs[..]));
    let Message::PeerUp(peer, up, tlvs) = &messages[2] else {
        panic!("{messages:?}");
    };
    assert!(peer.loc_rib && peer.asn == 65000);
    assert_eq!(
        (up.sent_open, tlvs[0].value),
        (up.received_open, &b"global"[..])
    );
    // All that its UPDATEs may need (RFC 9069 §5.3), IPv6 next hops of IPv4 routes among it.
    let open = tapway_bgp_wire::Open::decode(&up.sent_open[19..]).unwrap();
    let hops = |c: &Capability| matches!(c, Capability::ExtendedNextHop(all) if all.len() == 1);
    assert!(open.capabilities.0.iter().any(hops), "{open:?}");
    let ends = messages[3..].iter().filter(|m| {
        matches!(m, Message::RouteMonitoring(_, update) if update.len() == 23 || update.len() == 29)
    });
    // Four tables, two families.
    assert_eq!((ends.count(), messages.len()), (8, 11));
}

#[test]
fn what_a_peer_sends_goes_on_as_it_came() {
    let two = Offer {
        two_octet: true,
        add_path: true,
    };
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, two);
    let collector = router.collector(Tables {
        received: true,
        ..Tables::default()
    });
    router.collectors[collector].news();
    let mut said = update(1, two, &[("10.0.0.0/8", 4), ("10.0.0.0/8", 5)], tagged);
    said.extend(update(1, two, &[("2001:db8:1::/48", 9)], |_| {}));
    said.extend(withdrawal(two, &[("10.0.0.0/8", 4)]));
    router.say(conn, &said);
    let news = router.collectors[collector].news();
    let mut heard = Vec::new();
    for message in news.messages() {
        let Message::RouteMonitoring(peer, update) = message else {
            panic!("{message:?}");
        };
        assert!(peer.two_octet && !peer.post_policy && !peer.out);
        heard.extend_from_slice(update);
    }
    assert_eq!(heard, said);
}

#[test]
fn each_table_says_what_it_has() {
    let mut router = Router::new();
    let early = router.collector(ALL);
    let (conn, ..) = router.peer(1, PLAIN);
    router.claim("203.0.113.7/32", None);
    router.claim("2001:db8:7::/64", Some("2001:db8::99".parse().unwrap()));
    router.say(conn, &update(1, PLAIN, &[("10.1.0.0/16", 0)], tagged));
    router.say(conn, &update(1, PLAIN, &[("10.2.0.0/16", 0)], |_| {}));
    let mut all = keys(&router, early);
    assert_eq!(
        all,
        [
            "0.0.0.0 best 10.1.0.0/16",
            "0.0.0.0 best 2001:db8:7::/64",
            "0.0.0.0 best 203.0.113.7/32",
            "198.51.100.1 imported 10.1.0.0/16",
            "198.51.100.1 received 10.1.0.0/16",
            "198.51.100.1 received 10.2.0.0/16",
            "198.51.100.1 sent 2001:db8:7::/64",
            "198.51.100.1 sent 203.0.113.7/32",
        ]
    );
    let said = router.collectors[early].knows();
    assert!(said["198.51.100.1 imported 10.1.0.0/16"].contains("LocalPreference(200)"));
    assert!(!said["198.51.100.1 received 10.1.0.0/16"].contains("LocalPreference"));
    assert!(said["0.0.0.0 best 10.1.0.0/16"].contains("LocalPreference(200)"));
    let own = &said["0.0.0.0 best 2001:db8:7::/64"];
    assert!(own.contains("2001:db8::99"), "{own}");

    // The policy changes: what import makes of routes is told, what came is not told again.
    router.collectors[early].session.messages();
    let before = router.collectors[early].bytes.len();
    let now = router.now;
    let rest = tapway_model::PolicyName::new("tagged").unwrap();
    assert!(router.speaker.remove_policy(now, &rest));
    router.turn();
    all.retain(|key| !key.contains("imported") && key != "0.0.0.0 best 10.1.0.0/16");
    assert_eq!(keys(&router, early), all);
    let after = &router.collectors[early].bytes[before..];
    let (_, first) = Message::decode(after).unwrap().unwrap();
    assert!(matches!(first, Message::RouteMonitoring(p, _) if p.post_policy));
}

#[test]
fn who_comes_late_knows_the_same() {
    let offers = [
        PLAIN,
        Offer {
            two_octet: true,
            add_path: false,
        },
        Offer {
            two_octet: false,
            add_path: true,
        },
    ];
    let mut router = Router::new();
    let early = router.collector(ALL);
    let conns: Vec<_> = (1u8..)
        .zip(offers)
        .map(|(n, o)| (n, o, router.peer(n, o).0))
        .collect();
    // A walk that is the same every time.
    let mut dice = 12345u32;
    let mut draw = |sides: u32| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 16) % sides
    };
    for step in 0..2000u32 {
        let (number, offer, conn) = conns[draw(3) as usize];
        let net = draw(600);
        let prefix = match draw(2) {
            0 => alloc::format!("10.{}.{}.0/24", net / 256, net % 256),
            _ => alloc::format!("2001:db8:{net:x}::/48"),
        };
        let entry = [(&prefix[..], if offer.add_path { draw(3) } else { 0 })];
        let message = match draw(3) {
            0 => withdrawal(offer, &entry),
            _ => {
                let med = draw(4);
                let tag = draw(3) > 0;
                update(number, offer, &entry, |a| {
                    a.med = Some(med);
                    if tag {
                        tagged(a);
                    }
                })
            }
        };
        router.say(conn, &message);
        if step % 50 == 0 {
            router.claim(&alloc::format!("203.0.113.{}/32", step / 50), None);
        }
        if step == 1000 {
            router.begin(ALL);
        }
        if step > 1000 && step % 7 == 0 {
            // One that hears pages and news at the same time.
            let time = router.time();
            let Router {
                collectors,
                speaker,
                ..
            } = &mut router;
            collectors[1].sync(time, speaker);
        }
    }
    let late = router.collector(ALL);
    let time = router.time();
    while router.collectors[1].sync(time, &mut router.speaker) == Progress::More {}
    let told = router.collectors[early].knows();
    assert!(told.len() > 500, "{}", told.len());
    assert_eq!(router.collectors[1].knows(), told);
    assert_eq!(router.collectors[late].knows(), told);
}

#[test]
fn a_session_that_ends_says_how() {
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, PLAIN);
    let collector = router.collector(ALL);
    let mut shutdown = Vec::new();
    Notification::new(ErrorCode::CEASE_ADMIN_SHUTDOWN).encode(&mut shutdown);
    router.collectors[collector].news();
    router.say(conn, &shutdown);
    let down = |router: &mut Router| {
        let news = router.collectors[collector].news();
        let all = news.messages();
        let down = all.iter().find_map(|m| match m {
            Message::PeerDown(peer, reason) if !peer.loc_rib => Some(alloc::format!("{reason:?}")),
            _ => None,
        });
        down.expect("no Peer Down")
    };
    let expected = alloc::format!("{:?}", PeerDown::RemoteNotification(&shutdown));
    assert_eq!(down(&mut router), expected);

    let (conn, ..) = router.connect(1, PLAIN);
    let now = router.now;
    router.speaker.handle_closed(now, conn, "reset by peer");
    router.turn();
    assert_eq!(down(&mut router), "Remote");

    router.connect(1, PLAIN);
    let now = router.now;
    assert!(router.speaker.disable(now, &name("p1"), None));
    router.turn();
    let sent = down(&mut router);
    let mut cease = Vec::new();
    Notification::new(ErrorCode::CEASE_ADMIN_SHUTDOWN).encode(&mut cease);
    // With the length of a message that there is not (RFC 9003).
    assert!(sent.starts_with("LocalNotification("), "{sent}");
    let summary = router.speaker.peer(&name("p1")).unwrap();
    assert!(matches!(summary.last_down, Some((_, DownReason::Sent(_)))));

    assert!(router.speaker.enable(router.now, &name("p1")));
    router.connect(1, PLAIN);
    let now = router.now;
    router.speaker.handle_link_down(now, 7);
    router.turn();
    assert_eq!(down(&mut router), "LocalEvent(0)");
}

#[test]
fn a_malformed_update_is_mirrored_and_what_was_made_of_it_told() {
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, PLAIN);
    let collector = router.collector(ALL);
    router.say(conn, &update(1, PLAIN, &[("10.1.0.0/16", 0)], tagged));
    assert!(keys(&router, collector).contains(&"198.51.100.1 received 10.1.0.0/16".into()));
    // ORIGIN 9: treated as a withdraw (RFC 7606 §7.1).
    let mut broken = update(1, PLAIN, &[("10.1.0.0/16", 0)], tagged);
    let at = broken
        .windows(4)
        .position(|w| w == [0x40, 1, 1, 0])
        .unwrap();
    broken[at + 3] = 9;
    let before = router.collectors[collector].bytes.len();
    router.say(conn, &broken);
    let rest = &router.collectors[collector].bytes[before..];
    let (_, first) = Message::decode(rest).unwrap().unwrap();
    let Message::RouteMirroring(_, tlvs) = first else {
        panic!("{first:?}");
    };
    assert_eq!(tlvs, [MirrorTlv::Errored, MirrorTlv::BgpMessage(&broken)]);
    assert_eq!(keys(&router, collector), Vec::<&str>::new());
    let counts = router.speaker.table_counts(&name("p1"));
    assert_eq!(counts.treated_as_withdraw, 1);
}

#[test]
fn what_a_refresh_leaves_out_is_withdrawn() {
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, PLAIN);
    let collector = router.collector(ALL);
    let both = [("10.1.0.0/16", 0), ("10.2.0.0/16", 0)];
    router.say(conn, &update(1, PLAIN, &both, tagged));
    assert_eq!(keys(&router, collector).len(), 6);
    router.say(conn, &refresh(RefreshSubtype::Begin));
    router.say(conn, &update(1, PLAIN, &both[1..], tagged));
    router.say(conn, &refresh(RefreshSubtype::End));
    assert_eq!(
        keys(&router, collector),
        [
            "0.0.0.0 best 10.2.0.0/16",
            "198.51.100.1 imported 10.2.0.0/16",
            "198.51.100.1 received 10.2.0.0/16",
        ]
    );
}

#[test]
fn what_comes_again_in_a_refresh_is_told_to_who_came_meanwhile() {
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, PLAIN);
    let both = [("10.1.0.0/16", 0), ("10.2.0.0/16", 0)];
    router.say(conn, &update(1, PLAIN, &both, tagged));
    router.say(conn, &refresh(RefreshSubtype::Begin));
    let collector = router.collector(ALL);
    router.say(conn, &update(1, PLAIN, &both, tagged));
    router.say(conn, &refresh(RefreshSubtype::End));
    assert_eq!(keys(&router, collector).len(), 6);
}

#[test]
fn statistics_count_each_table() {
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, PLAIN);
    router.claim("203.0.113.7/32", None);
    router.say(conn, &update(1, PLAIN, &[("10.1.0.0/16", 0)], tagged));
    router.say(conn, &update(1, PLAIN, &[("2001:db8:1::/48", 0)], |_| {}));
    let collector = router.collector(ALL);
    router.collectors[collector].news();
    let due = router.collectors[collector].session.poll_timeout().unwrap();
    assert_eq!(due, router.now + Duration::from_secs(60));
    let tell = |router: &mut Router| {
        let time = router.time();
        let Router {
            collectors,
            speaker,
            ..
        } = router;
        let Collector { session, bytes, .. } = &mut collectors[0];
        session.handle_timeout(time, speaker, bytes);
    };
    tell(&mut router);
    assert_eq!(router.collectors[collector].bytes, []);
    router.now = due;
    tell(&mut router);
    let news = router.collectors[collector].news();
    let all = news.messages();
    let [
        Message::Statistics(peer, of_peer),
        Message::Statistics(rib, of_rib),
    ] = &all[..]
    else {
        panic!("{all:?}");
    };
    assert!(!peer.loc_rib && rib.loc_rib);
    use Statistic::*;
    assert_eq!(
        of_peer[..],
        [
            Counter(11, 0),
            Gauge(7, 2),
            FamilyGauge(9, (1, 1), 1),
            FamilyGauge(9, (2, 1), 1),
            Gauge(15, 1),
            FamilyGauge(17, (1, 1), 1),
            FamilyGauge(17, (2, 1), 0),
        ]
    );
    assert_eq!(
        of_rib[..],
        [
            Gauge(8, 2),
            FamilyGauge(10, (1, 1), 2),
            FamilyGauge(10, (2, 1), 0)
        ]
    );
}

#[test]
fn the_end_is_said() {
    let mut router = Router::new();
    router.collector(ALL);
    let time = router.time();
    let Collector {
        session, mut bytes, ..
    } = router.collectors.remove(0);
    bytes.clear();
    session.end(time, &mut router.speaker, Some("removed"), &mut bytes);
    let heard = Collector2(bytes);
    let all = heard.messages();
    let [
        Message::PeerDown(peer, PeerDown::LocRib(name)),
        Message::Termination(tlvs),
    ] = &all[..]
    else {
        panic!("{all:?}");
    };
    assert!(peer.loc_rib);
    assert_eq!(name, b"\0\x03\0\x06global");
    assert_eq!(tlvs[0].value, b"removed");
    assert_eq!((tlvs[1].kind, tlvs[1].value), (1, &[0, 0][..]));
}

#[test]
fn nobody_listens_nothing_waits() {
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, PLAIN);
    router.say(conn, &update(1, PLAIN, &[("10.1.0.0/16", 0)], tagged));
    assert_eq!(router.speaker.poll_report(), None);
    let collector = router.begin(ALL);
    router.say(conn, &update(1, PLAIN, &[("10.2.0.0/16", 0)], tagged));
    let Collector {
        session, mut bytes, ..
    } = router.collectors.remove(collector);
    session.end(router.time(), &mut router.speaker, None, &mut bytes);
    router.speaker.set_monitor(tapway_bgp::Wants::default());
    router.say(conn, &update(1, PLAIN, &[("10.3.0.0/16", 0)], tagged));
    assert_eq!(router.speaker.poll_report(), None);
}

#[test]
fn too_much_at_once_is_said_not_kept() {
    let mut router = Router::new();
    let (conn, ..) = router.peer(1, PLAIN);
    let collector = router.collector(ALL);
    // Never asked for reports meanwhile: 64 MiB of them is the limit.
    let one = update(1, PLAIN, &[("10.1.0.0/16", 0)], |a| {
        a.communities = (0..900).map(tapway_bgp_wire::Community).collect();
    });
    let many = one.repeat(256);
    for _ in 0..(72 << 20) / many.len() {
        router.speaker.handle_data(router.now, conn, &many);
    }
    router.turn();
    assert!(router.collectors[collector].lost);
    // Another session hears everything.
    let again = router.collector(ALL);
    assert_eq!(keys(&router, again), ["198.51.100.1 received 10.1.0.0/16"]);
}
