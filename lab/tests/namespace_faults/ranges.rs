//! Who gets in by a range of peers several hops away, whose listener takes packets of any interface.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;
use socket2::{Domain, Socket, Type};
use tapway_lab::{Netns, wait_for};

use crate::bed::{Bed, SOON};

const HOST: &str = "198.51.100.1:179";
const FAR: &str = "10.1.0.1";
const GUEST: &str = "10.3.0.1";

/// Connects to the host from an address of this namespace, and returns what it says first, up to a whole message;
/// nothing if it just closes.
fn heard(from: &Netns, address: &str) -> Vec<u8> {
    let local: SocketAddr = format!("{address}:0").parse().expect("an address");
    let to: SocketAddr = HOST.parse().expect("an address");
    let socket = from.run_in(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&local.into()).expect("the address is there");
        socket.connect_timeout(&to.into(), SOON).expect("an answer");
        socket
    });
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    let mut stream = TcpStream::from(socket);
    let mut message = vec![0; 19];
    match stream.read_exact(&mut message) {
        Ok(()) => {}
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ) =>
        {
            return Vec::new();
        }
        Err(e) => panic!("{e}"),
    }
    let len = usize::from(u16::from_be_bytes([message[16], message[17]]));
    message.resize(len, 0);
    stream.read_exact(&mut message[19..]).expect("the rest");
    message
}

/// The type and what follows it.
fn content(message: &[u8]) -> &[u8] {
    message.get(18..).unwrap_or_default()
}

#[test]
fn a_guest_does_not_get_in_by_a_far_range_and_a_disabled_one_says_why() {
    let range = json!({"range": ["10.0.0.0/8"], "multihop": 4, "asn": "external"});
    let bed = Bed::prepared(json!({"peer": {"edge": range}}), &[]);
    bed.tor.ip(&format!("address add {FAR}/32 dev lo"));
    bed.host.ip(&format!("route add {FAR} via 198.51.100.0"));
    bed.plug("web1");
    bed.guests.ip(&format!("address add {GUEST}/32 dev web1"));
    bed.guests.ip("route add 169.254.0.1 dev web1");
    bed.guests.ip("route add default via 169.254.0.1");
    let nic = format!("interface = \"web1\"\naddresses = [\"{GUEST}\"]");
    bed.tapwayd
        .put_text("web1", &format!("name = \"web1\"\n[[nic]]\n{nic}\n"));
    bed.announces(&["10.3.0.1/32"]);

    assert!(
        heard(&bed.guests, GUEST).is_empty(),
        "closed without a word"
    );
    bed.tapwayd
        .logs("edge@10.3.0.1 is refused: it came in on web1, where guests are");
    let open = heard(&bed.tor, FAR);
    assert_eq!(content(&open).first(), Some(&1), "an OPEN");
    let names = || {
        let peers = bed.tapwayd.peers();
        let made = peers.into_iter().filter(|peer| peer.range.is_some());
        made.map(|peer| peer.name.to_string()).collect::<Vec<_>>()
    };
    // It has hung up since.
    wait_for(SOON, "nobody is there", || match names() {
        none if none.is_empty() => Ok(()),
        some => Err(some.join(" ")),
    });

    let disable = ["peer", "disable", "edge", "--message", "maintenance"];
    assert_eq!(bed.tapwayd.tapway(&disable).code, 0);
    for _ in 0..2 {
        let told = heard(&bed.tor, FAR);
        // A NOTIFICATION: Cease, Administrative Shutdown, the length of the message, and the message (RFC 9003).
        assert_eq!(content(&told), b"\x03\x06\x02\x0bmaintenance");
        // Reading the configuration again, as it is or otherwise, does not let anybody in.
        let range = json!({"range": ["10.0.0.0/8"], "multihop": 5, "asn": "external"});
        bed.tapwayd
            .configure(Bed::config(json!({"peer": {"edge": range}})));
        let read = bed.tapwayd.tapway(&["config", "reload"]);
        assert_eq!(read.code, 0, "{read:?}");
    }
    let shown = bed.tapwayd.tapway(&["peer", "list"]);
    assert!(shown.out.contains("disabled"), "{shown:?}");
    assert_eq!(bed.tapwayd.tapway(&["peer", "enable", "edge"]).code, 0);
    let open = heard(&bed.tor, FAR);
    assert_eq!(content(&open).first(), Some(&1), "an OPEN");
}
