//! Capabilities to and from bytes, and what two sets of them make of a session.

use tapway_bgp_wire::{
    AddPathDirection, AddPathFamily, AfiSafi, Capabilities, Capability, DecodeContext,
    EncodeContext, ExtendedNextHop, GracefulFamily, GracefulRestart, LongLivedFamily, Open,
    PerFamily, Role,
};
use tapway_model::Family;

const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
const V6: AfiSafi = AfiSafi::IPV6_UNICAST;

fn decode(capability: &[u8]) -> Capability {
    let len = u8::try_from(capability.len()).expect("short");
    let fixed = [4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1, len + 2, 2, len];
    let open = Open::decode(&[&fixed, capability].concat()).expect("a good OPEN");
    let mut again = Vec::new();
    open.encode(&mut again);
    assert_eq!(again[31..], *capability, "bit for bit");
    open.capabilities.0.into_iter().next().expect("one")
}

#[test]
fn bytes() {
    let rows: Vec<(&[u8], Capability)> = vec![
        (&[1, 4, 0, 2, 0, 1], Capability::MultiProtocol(V6)),
        (
            &[1, 4, 0, 25, 0, 70],
            Capability::MultiProtocol(AfiSafi { afi: 25, safi: 70 }),
        ),
        (&[2, 0], Capability::RouteRefresh),
        (
            &[5, 6, 0, 1, 0, 1, 0, 2],
            Capability::ExtendedNextHop(vec![ExtendedNextHop {
                nlri: V4,
                next_hop_afi: 2,
            }]),
        ),
        (&[6, 0], Capability::ExtendedMessage),
        (&[9, 1, 3], Capability::Role(Role::Customer)),
        (&[9, 1, 200], Capability::Role(Role::Unknown(200))),
        (
            &[64, 6, 0xc0, 120, 0, 1, 1, 0x80],
            Capability::GracefulRestart(GracefulRestart {
                restarting: true,
                notification: true,
                time: 120,
                families: vec![GracefulFamily {
                    family: V4,
                    forwarding: true,
                }],
            }),
        ),
        (
            &[64, 2, 0x0f, 0xff],
            Capability::GracefulRestart(GracefulRestart {
                time: 4095,
                ..GracefulRestart::default()
            }),
        ),
        (
            &[65, 4, 0xfa, 0x56, 0xea, 0x0a],
            Capability::FourOctetAs(4_200_000_010),
        ),
        (
            &[69, 8, 0, 1, 1, 1, 0, 2, 1, 3],
            Capability::AddPath(vec![
                AddPathFamily {
                    family: V4,
                    direction: AddPathDirection::Receive,
                },
                AddPathFamily {
                    family: V6,
                    direction: AddPathDirection::Both,
                },
            ]),
        ),
        (&[70, 0], Capability::EnhancedRouteRefresh),
        (
            &[71, 7, 0, 1, 1, 0x80, 1, 0, 2],
            Capability::LongLived(vec![LongLivedFamily {
                family: V4,
                forwarding: true,
                time: 65538,
            }]),
        ),
        (
            &[73, 6, 3, b'h', b'v', b'1', 1, b'd'],
            Capability::Fqdn {
                host: "hv1".into(),
                domain: "d".into(),
            },
        ),
        (
            &[128, 0],
            Capability::Unknown {
                code: 128,
                value: vec![],
            },
        ),
    ];
    for (bytes, want) in rows {
        assert_eq!(decode(bytes), want);
    }
}

#[test]
fn of_wrong_length_they_are_not_understood() {
    for bytes in [
        &[1, 3, 0, 1, 0][..],
        &[2, 1, 0],
        &[5, 5, 0, 1, 0, 1, 0],
        &[6, 1, 0],
        &[9, 0],
        &[9, 2, 0, 0],
        &[64, 1, 0],
        &[64, 3, 0, 0, 0],
        &[69, 3, 0, 1, 1],
        &[70, 1, 0],
        &[71, 6, 0, 1, 1, 0, 0, 0],
        &[73, 0],
        &[73, 2, 9, 0],
        &[73, 3, 0, 0, 0],
    ] {
        let want = Capability::Unknown {
            code: bytes[0],
            value: bytes[2..].to_vec(),
        };
        assert_eq!(decode(bytes), want);
    }
}

#[test]
fn a_set_is_asked() {
    let none = Capabilities::default();
    assert!(
        none.multi_protocol(Family::Ipv4),
        "RFC 4760: IPv4 where nothing is said"
    );
    assert!(!none.multi_protocol(Family::Ipv6));
    let v6 = Capabilities(vec![Capability::MultiProtocol(V6)]);
    assert!(!v6.multi_protocol(Family::Ipv4));
    assert!(v6.multi_protocol(Family::Ipv6));
    let graceful = |time| {
        Capability::GracefulRestart(GracefulRestart {
            time,
            ..GracefulRestart::default()
        })
    };
    let twice = Capabilities(vec![graceful(1), graceful(2)]);
    assert_eq!(
        twice.graceful_restart().map(|graceful| graceful.time),
        Some(2)
    );
}

#[test]
fn what_two_sets_agree_on() {
    let add_path = |direction| {
        Capability::AddPath(vec![AddPathFamily {
            family: V4,
            direction,
        }])
    };
    let all = |direction| {
        Capabilities(vec![
            Capability::MultiProtocol(V4),
            Capability::MultiProtocol(V6),
            Capability::ExtendedNextHop(vec![ExtendedNextHop {
                nlri: V4,
                next_hop_afi: 2,
            }]),
            Capability::ExtendedMessage,
            Capability::FourOctetAs(65001),
            add_path(direction),
        ])
    };
    let (us, them) = (all(AddPathDirection::Receive), all(AddPathDirection::Send));
    let read = DecodeContext::negotiated(&us, &them, true);
    assert_eq!(
        read,
        DecodeContext {
            four_octet_asn: true,
            extended_message: true,
            internal: true,
            families: PerFamily {
                ipv4: true,
                ipv6: true
            },
            add_path: PerFamily {
                ipv4: true,
                ipv6: false
            },
            extended_next_hop: true,
            first_as: None,
        }
    );
    assert_eq!(read.max_len(), 65535);
    assert_eq!(
        EncodeContext::negotiated(&us, &them).add_path,
        PerFamily::default()
    );
    let write = EncodeContext::negotiated(&them, &us);
    assert_eq!(
        write.add_path,
        PerFamily {
            ipv4: true,
            ipv6: false
        }
    );
    assert_eq!(write.max_len, 65535);

    let bare = Capabilities::default();
    for (local, remote) in [(&us, &bare), (&bare, &us)] {
        let read = DecodeContext::negotiated(local, remote, false);
        assert_eq!(
            read,
            DecodeContext {
                four_octet_asn: false,
                families: PerFamily {
                    ipv4: true,
                    ipv6: false
                },
                ..DecodeContext::default()
            }
        );
        assert_eq!(read.max_len(), 4096);
    }
}
