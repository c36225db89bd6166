//! TCP options between two ends of a veth pair, each in a namespace of its own. Needs root.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use tapway_sys::poll::{Interest, Poller};
use tapway_sys::tcp::{self, Accepted, TcpOptions};

/// `a0` with 192.0.2.1, 2001:db8::1 and fe80::1 here, `a1` with ::2 in the other namespace.
struct Pair {
    other: std::path::PathBuf,
    a0: u32,
}

fn run(test: impl FnOnce(&Pair) + Send) {
    tapway_sys::netns::for_test(|| {
        // The other namespace lives as long as this file is open.
        let file = tapway_sys::netns::in_new(|| std::fs::File::open("/proc/thread-self/ns/net"))
            .unwrap()
            .unwrap();
        let other = std::path::PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            std::os::fd::AsRawFd::as_raw_fd(&file)
        ));
        ip("link add a0 type veth peer name a1");
        ip(&format!("link set a1 netns {}", other.display()));
        configure("a0", 1);
        tapway_sys::netns::in_path(&other, || configure("a1", 2)).unwrap();
        test(&Pair {
            other,
            a0: index("a0"),
        });
    });
}

fn configure(name: &str, host: u8) {
    tapway_sys::sysctl::write(&format!("ipv6/conf/{name}/addr_gen_mode"), "1").unwrap();
    ip("link set lo up");
    ip(&format!("link set {name} up"));
    for addr in [
        format!("192.0.2.{host}/24"),
        format!("2001:db8::{host}/64"),
        format!("fe80::{host}/64"),
    ] {
        ip(&format!(
            "addr add {addr} dev {name}{}",
            if addr.contains(':') { " nodad" } else { "" }
        ));
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("ip is installed");
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn index(name: &str) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/dev_snmp6/{name}")).unwrap();
    text.lines()
        .find_map(|line| line.strip_prefix("ifIndex"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

impl Pair {
    /// Listens at the other end.
    fn listen(&self, addr: &str, device: Option<&str>) -> OwnedFd {
        let addr: SocketAddr = addr.parse().unwrap();
        tapway_sys::netns::in_path(&self.other, || tcp::tcp_listen(addr, device, 8, |_| Ok(())))
            .unwrap()
            .unwrap()
    }

    fn link_local(&self, port: u16) -> SocketAddr {
        SocketAddr::V6(std::net::SocketAddrV6::new(
            "fe80::2".parse().unwrap(),
            port,
            0,
            self.a0,
        ))
    }
}

fn wait(fd: &OwnedFd, interest: Interest, timeout: Duration) -> bool {
    let mut poller = Poller::new().unwrap();
    poller.add(fd, 0, interest).unwrap();
    let deadline = Instant::now() + timeout;
    let mut ready = Vec::new();
    while ready.is_empty() && Instant::now() < deadline {
        poller
            .wait(Some(deadline - Instant::now()), &mut ready)
            .unwrap();
    }
    !ready.is_empty()
}

/// How long to wait for what must happen, and for what must not.
const SOON: Duration = Duration::from_secs(10);
const NEVER: Duration = Duration::from_millis(300);

/// Connects and sends a byte each way.
fn works(
    listener: &OwnedFd,
    remote: SocketAddr,
    local: Option<IpAddr>,
    options: &TcpOptions<'_>,
) -> Accepted {
    let fd = tcp::tcp_connect(local, remote, options).unwrap();
    assert!(wait(listener, Interest::READ, SOON), "nothing arrived");
    let accepted = tcp::accept(listener).unwrap().unwrap();
    assert!(wait(&fd, Interest::WRITE, SOON));
    assert!(tcp::connect_error(&fd).unwrap().is_none());
    assert_eq!(tcp::local_addr(&fd).unwrap().ip(), accepted.peer.ip());
    let mut stream = TcpStream::from(fd);
    stream.write_all(b"x").unwrap();
    assert!(wait(&accepted.fd, Interest::READ, SOON));
    let mut there = TcpStream::from(accepted.fd.try_clone().unwrap());
    let mut byte = [0];
    there.read_exact(&mut byte).unwrap();
    assert_eq!(tcp::tcp_unsent(&stream).unwrap(), 0);
    accepted
}

/// The kernel drops what the other end sends, so nothing comes to be.
fn silent(listener: &OwnedFd, remote: SocketAddr, options: &TcpOptions<'_>) {
    let fd = tcp::tcp_connect(None, remote, options).unwrap();
    assert!(
        !wait(&fd, Interest::WRITE, NEVER),
        "{:?}",
        tcp::connect_error(&fd)
    );
    assert!(tcp::accept(listener).unwrap().is_none());
}

#[test]
fn plain_connections() {
    run(|pair| {
        let v4 = pair.listen("0.0.0.0:179", None);
        let v6 = pair.listen("[::]:179", None);
        let accepted = works(
            &v4,
            "192.0.2.2:179".parse().unwrap(),
            Some("192.0.2.1".parse().unwrap()),
            &TcpOptions::default(),
        );
        assert_eq!(
            (accepted.local.to_string().as_str(), accepted.ifindex),
            ("192.0.2.2:179", None)
        );
        works(
            &v6,
            "[2001:db8::2]:179".parse().unwrap(),
            None,
            &TcpOptions::default(),
        );
        let local = Some("fe80::1".parse().unwrap());
        let accepted = works(&v6, pair.link_local(179), local, &TcpOptions::default());
        assert!(accepted.ifindex.is_some(), "the scope of the peer");
        let bound = pair.listen("192.0.2.2:1179", Some("a1"));
        let options = TcpOptions {
            bind_device: Some("a0"),
            user_timeout: Some(SOON),
            ..TcpOptions::default()
        };
        let accepted = works(&bound, "192.0.2.2:1179".parse().unwrap(), None, &options);
        assert!(accepted.ifindex.is_some(), "the listener's interface");
        tcp::configure_accepted(
            &accepted.fd,
            &TcpOptions {
                ttl: 255,
                min_ttl: Some(1),
                ..TcpOptions::default()
            },
        )
        .unwrap();
    });
}

/// Whatever it sends to and whatever it comes from, a connection cannot hide the interface that it came in on.
#[test]
fn the_interface_that_it_came_in_on_is_told() {
    run(|pair| {
        let (far_v4, far_v6) = ("198.51.100.2", "2001:db8:1::2");
        let a1 = tapway_sys::netns::in_path(&pair.other, || {
            ip(&format!("addr add {far_v4}/32 dev lo"));
            ip(&format!("addr add {far_v6}/128 dev lo"));
            index("a1")
        })
        .unwrap();
        ip(&format!("route add {far_v4} via 192.0.2.2"));
        ip(&format!("route add {far_v6} via 2001:db8::2"));
        let v4 = pair.listen("0.0.0.0:179", None);
        let v6 = pair.listen("[::]:179", None);
        for (listener, remote) in [
            (&v4, "192.0.2.2:179".to_owned()),
            (&v4, format!("{far_v4}:179")),
            (&v6, "[2001:db8::2]:179".to_owned()),
            (&v6, format!("[{far_v6}]:179")),
        ] {
            let remote: SocketAddr = remote.parse().unwrap();
            let accepted = works(listener, remote, None, &TcpOptions::default());
            assert_eq!((accepted.ifindex, accepted.arrived), (None, Some(a1)));
        }
        let bound = pair.listen("192.0.2.2:1179", Some("a1"));
        let remote = "192.0.2.2:1179".parse().unwrap();
        let accepted = works(&bound, remote, None, &TcpOptions::default());
        assert_eq!((accepted.ifindex, accepted.arrived), (Some(a1), Some(a1)));
    });
}

#[test]
fn refusals_come_back() {
    run(|pair| {
        let fd = tcp::tcp_connect(
            None,
            "192.0.2.2:179".parse().unwrap(),
            &TcpOptions::default(),
        )
        .unwrap();
        assert!(wait(&fd, Interest::WRITE, SOON));
        assert_eq!(
            tcp::connect_error(&fd).unwrap().unwrap().kind(),
            ErrorKind::ConnectionRefused
        );
        let unreachable = tcp::tcp_connect(
            None,
            "10.9.9.9:179".parse().unwrap(),
            &TcpOptions::default(),
        );
        assert_eq!(
            unreachable.unwrap_err().kind(),
            ErrorKind::NetworkUnreachable
        );
        let foreign = tcp::tcp_connect(
            Some("10.9.9.9".parse().unwrap()),
            "192.0.2.2:179".parse().unwrap(),
            &TcpOptions::default(),
        );
        assert_eq!(foreign.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let options = TcpOptions {
            bind_device: Some("none"),
            ..TcpOptions::default()
        };
        assert!(tcp::tcp_connect(None, "192.0.2.2:179".parse().unwrap(), &options).is_err());
        let _first = pair.listen("192.0.2.2:179", None);
        let second = tapway_sys::netns::in_path(&pair.other, || {
            tcp::tcp_listen("192.0.2.2:179".parse().unwrap(), None, 8, |_| Ok(()))
        });
        assert_eq!(second.unwrap().unwrap_err().kind(), ErrorKind::AddrInUse);
        // An address that is not there yet.
        pair.listen("198.51.100.1:179", None);
        pair.listen("[2001:db8:99::1]:179", None);
    });
}

#[test]
fn signed_connections() {
    run(|pair| {
        let listeners = [
            pair.listen("192.0.2.2:179", None),
            pair.listen("[::]:179", None),
        ];
        let remotes = [
            (&listeners[0], "192.0.2.2:179".parse().unwrap(), "192.0.2.1"),
            (
                &listeners[1],
                "[2001:db8::2]:179".parse().unwrap(),
                "2001:db8::1",
            ),
            (&listeners[1], pair.link_local(179), "fe80::1"),
        ];
        let keyed = |key: &'static [u8]| TcpOptions {
            md5: Some(key),
            ..TcpOptions::default()
        };
        for (listener, remote, peer) in remotes {
            let peer: IpAddr = peer.parse().unwrap();
            let whole = if peer.is_ipv4() { 32 } else { 128 };
            // Signed, but the listener expects nothing.
            silent(listener, remote, &keyed(b"secret"));
            tcp::set_md5_key(listener, peer, whole, Some(b"secret")).unwrap();
            works(listener, remote, None, &keyed(b"secret"));
            silent(listener, remote, &keyed(b"wrong"));
            silent(listener, remote, &TcpOptions::default());
            // A key is changed, and taken away.
            tcp::set_md5_key(listener, peer, whole, Some(b"other")).unwrap();
            works(listener, remote, None, &keyed(b"other"));
            tcp::set_md5_key(listener, peer, whole, None).unwrap();
            works(listener, remote, None, &TcpOptions::default());
            assert_eq!(
                tcp::set_md5_key(listener, peer, whole, None)
                    .unwrap_err()
                    .kind(),
                ErrorKind::NotFound
            );
        }
    });
}

#[test]
fn one_key_for_a_prefix() {
    run(|pair| {
        let v4 = pair.listen("192.0.2.2:179", None);
        let v6 = pair.listen("[::]:179", None);
        tcp::set_md5_key(&v4, "192.0.2.0".parse().unwrap(), 24, Some(b"secret")).unwrap();
        tcp::set_md5_key(&v6, "fe80::".parse().unwrap(), 10, Some(b"secret")).unwrap();
        let keyed = TcpOptions {
            md5: Some(b"secret"),
            ..TcpOptions::default()
        };
        works(&v4, "192.0.2.2:179".parse().unwrap(), None, &keyed);
        works(&v6, pair.link_local(179), None, &keyed);
        silent(
            &v4,
            "192.0.2.2:179".parse().unwrap(),
            &TcpOptions::default(),
        );
        works(
            &v6,
            "[2001:db8::2]:179".parse().unwrap(),
            None,
            &TcpOptions::default(),
        );
    });
}

#[test]
fn keys_that_cannot_be_set_leave_no_connection() {
    run(|pair| {
        let listener = pair.listen("192.0.2.2:179", None);
        for key in [&[][..], &[7; 81]] {
            let options = TcpOptions {
                md5: Some(key),
                ..TcpOptions::default()
            };
            let error =
                tcp::tcp_connect(None, "192.0.2.2:179".parse().unwrap(), &options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(
                tcp::set_md5_key(&listener, "192.0.2.1".parse().unwrap(), 32, Some(key)).is_err()
            );
        }
        assert!(tcp::accept(&listener).unwrap().is_none());
    });
}

#[test]
fn low_ttls_are_dropped() {
    run(|pair| {
        let listeners = [
            pair.listen("192.0.2.2:179", None),
            pair.listen("[::]:179", None),
        ];
        let remotes = [
            (&listeners[0], "192.0.2.2:179".parse().unwrap()),
            (&listeners[1], pair.link_local(179)),
        ];
        let with_ttl = |ttl, min_ttl| TcpOptions {
            ttl,
            min_ttl,
            ..TcpOptions::default()
        };
        for (listener, remote) in remotes {
            // Our own check, of the answer to the handshake too.
            works(listener, remote, None, &with_ttl(255, Some(255)));
            answer_with_ttl_254(listener, remote);
            silent_here(remote, &with_ttl(255, Some(255)));
            while tcp::accept(listener).unwrap().is_some() {}
            tcp::set_min_ttl(listener, 255).unwrap();
            silent(listener, remote, &with_ttl(254, None));
            works(listener, remote, None, &with_ttl(255, None));
        }
    });
}

fn answer_with_ttl_254(listener: &OwnedFd, remote: SocketAddr) {
    let socket = socket2::SockRef::from(listener);
    if remote.is_ipv6() {
        socket.set_unicast_hops_v6(254).unwrap();
    } else {
        socket.set_ttl_v4(254).unwrap();
    }
}

/// The answer does not reach us, whatever the other end thinks.
fn silent_here(remote: SocketAddr, options: &TcpOptions<'_>) {
    let fd = tcp::tcp_connect(None, remote, options).unwrap();
    assert!(!wait(&fd, Interest::WRITE, NEVER));
}

/// An advertisement makes the other end's kernel note us as a router.
#[test]
fn an_advertisement_makes_a_router() {
    run(|pair| {
        let socket = tapway_sys::ra::RaSocket::open(pair.a0).unwrap();
        let mac = [0x52, 0x54, 0, 0, 0, 9];
        socket
            .send(&tapway_sys::ra::Advertisement {
                mac: Some(mac),
                ..Default::default()
            })
            .unwrap();
        let deadline = Instant::now() + SOON;
        loop {
            let shown = tapway_sys::netns::in_path(&pair.other, || {
                Command::new("ip")
                    .args(["-6", "neigh", "show", "dev", "a1"])
                    .output()
                    .unwrap()
                    .stdout
            });
            let shown = String::from_utf8(shown.unwrap()).unwrap();
            if shown.contains("fe80::1 lladdr 52:54:00:00:00:09 router") {
                break;
            }
            assert!(Instant::now() < deadline, "{shown}");
        }
        let routes = tapway_sys::netns::in_path(&pair.other, || {
            Command::new("ip")
                .args(["-6", "route", "show", "default"])
                .output()
                .unwrap()
                .stdout
        });
        assert_eq!(
            routes.unwrap(),
            b"",
            "a lifetime of zero makes no default route"
        );
    });
}
