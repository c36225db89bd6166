//! Two connections at once with one peer, both signed (RFC 4271 §6.8, RFC 2385).

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};
use tapway_api::peer::SessionState;
use tapway_lab::{Netns, wait_for};
use tapway_sys::tcp::{TcpOptions, accept, set_md5_key, tcp_connect, tcp_listen};

use crate::bed::{Bed, SOON};
use crate::bgp::next;
use crate::hostile::{
    KEEPALIVE, NOTIFICATION, OPEN, PLAYED, TO_PLAYED, message, peer, takes, update, with_played,
};

const KEY: &[u8] = b"hunter2";

fn at(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(text.parse().expect("an address"), port)
}

/// As the daemon left it, but waiting for bytes.
fn stream(fd: impl Into<TcpStream>) -> TcpStream {
    let stream = fd.into();
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// Waits for the daemon's own connection.
fn called(ns: &Netns) -> TcpStream {
    let daemon: IpAddr = at(TO_PLAYED, 0).ip();
    let listener = ns.run_in(|| {
        tcp_listen(at(PLAYED, 179), None, 8, |socket| {
            set_md5_key(socket, daemon, 32, Some(KEY))
        })
        .expect("nobody else listens")
    });
    let mut accepted = None;
    wait_for(SOON, "the daemon connects", || {
        accepted = accept(&listener).expect("a listener");
        accepted.as_ref().map(drop).ok_or("not yet")
    });
    stream(accepted.expect("a connection").fd)
}

/// Connects to the daemon from the address that it connects to.
fn call(ns: &Netns) -> TcpStream {
    let options = TcpOptions {
        md5: Some(KEY),
        ..TcpOptions::default()
    };
    let local = Some(at(PLAYED, 0).ip());
    stream(ns.run_in(|| tcp_connect(local, at(TO_PLAYED, 179), &options).expect("a route")))
}

fn said(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    next(stream).expect("a message")
}

/// Says OPEN on both connections; then one ends with a word, and the other carries the session.
fn collide(identifier: [u8; 4], daemons_stays: bool) {
    let more = json!({"peer": {"raw": {
        "address": PLAYED, "asn": 65001, "import": "all", "password": "hunter2", "connect_retry": "1s",
    }}});
    let bed: Bed = with_played(more);
    let mut daemons = called(&bed.tor);
    assert_eq!(said(&mut daemons).0, OPEN);
    let mut ours = call(&bed.tor);
    assert_eq!(said(&mut ours).0, OPEN, "both are open side by side");
    let open = [&[4, 0xfd, 0xe9, 0, 90][..], &identifier, &[0]].concat();
    for stream in [&mut daemons, &mut ours] {
        stream.write_all(&message(OPEN, &open)).expect("it reads");
    }
    let (mut stays, mut goes) = match daemons_stays {
        true => (daemons, ours),
        false => (ours, daemons),
    };
    let end = loop {
        match said(&mut goes) {
            // It may have answered before it heard of the other one.
            (KEEPALIVE, _) => {}
            end => break end,
        }
    };
    assert_eq!((end.0, &end.1[..2]), (NOTIFICATION, &[6, 7][..]));
    assert_eq!(next(&mut goes), None, "it is closed");

    assert_eq!(said(&mut stays).0, KEEPALIVE);
    stays.write_all(&message(KEEPALIVE, &[])).expect("it reads");
    let attributes: [&[u8]; 3] = [
        &[0x40, 1, 1, 0],
        &[0x40, 2, 4, 2, 1, 0xfd, 0xe9],
        &[0x40, 3, 4, 198, 51, 100, 2],
    ];
    let route = update(&attributes, &[24, 192, 0, 2]);
    stays.write_all(&route).expect("it reads");
    takes(&bed, "192.0.2.0/24");
    let detail = peer(&bed, "raw");
    assert_eq!(detail.peer.state, SessionState::Established);
    let count = detail.session.map(|s| s.established_count);
    assert_eq!(count, Some(1), "the one that went was no session");

    // Who does not sign is not even answered.
    let stranger = bed.tor.run_in(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket
            .bind(&at(PLAYED, 0).into())
            .expect("the address is there");
        socket.connect_timeout(&at(TO_PLAYED, 179).into(), Duration::from_millis(500))
    });
    assert!(stranger.is_err());
}

/// The daemon's identifier is 192.0.2.11.
#[test]
fn the_connection_of_the_lower_identifier_goes() {
    collide([192, 0, 2, 10], true);
    collide([192, 0, 2, 12], false);
}
