use std::fs::File;
use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::daemon::now;
use crate::sliced::tests::node;

const SOON: Duration = Duration::from_secs(20);
const CEASE: [u8; 21] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0, 21, 3, 6, 2,
];

struct Ends {
    connections: Connections,
    poller: Poller,
    node: Node,
    id: ConnId,
    peer: TcpStream,
}

/// A connection over the loopback interface, and the peer's end of it.
fn connected() -> Ends {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(SOON)).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (mut connections, poller) = (Connections::new(), Poller::new().unwrap());
    let id = ConnId::Incoming(1);
    connections.add(id, ours.into(), 0, false, &poller).unwrap();
    let node = node();
    Ends {
        connections,
        poller,
        node,
        id,
        peer,
    }
}

impl Ends {
    fn close(&mut self, farewell: &[u8]) {
        let close = Action::Close {
            conn: self.id,
            farewell: farewell.to_vec(),
        };
        self.connections
            .act(now(), close, &mut self.node, &self.poller);
    }

    /// Takes what is there for us, until nothing comes any more.
    fn serve(&mut self, timeout: Duration) {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(Some(timeout), &mut ready).unwrap();
            if ready.is_empty() {
                return;
            }
            for event in &ready {
                self.connections
                    .ready(now(), *event, &mut self.node, &self.poller);
            }
        }
    }
}

#[test]
fn a_peer_that_goes_on_sending_reads_our_last_words() {
    let mut ends = connected();
    // Nobody has read this when we say goodbye.
    ends.peer.write_all(&[7; 100_000]).unwrap();
    ends.close(&CEASE);
    for _ in 0..3 {
        ends.peer.write_all(&[8; 50_000]).expect("it is not reset");
        ends.serve(Duration::ZERO);
    }
    let mut heard = Vec::new();
    ends.peer.read_to_end(&mut heard).expect("no reset either");
    assert_eq!(heard, CEASE);
    assert!(ends.connections.lingers());
    assert!(ends.connections.poll_timeout().is_some());
    // It is over when the peer closes its side.
    drop(ends.peer.shutdown(std::net::Shutdown::Both));
    let mut ready = Vec::new();
    while ends.connections.lingers() {
        ends.poller.wait(Some(SOON), &mut ready).unwrap();
        assert!(!ready.is_empty(), "the end of the peer's side");
        for event in &ready {
            ends.connections
                .ready(now(), *event, &mut ends.node, &ends.poller);
        }
    }
    assert_eq!(ends.connections.poll_timeout(), None);
}

#[test]
fn a_peer_that_reads_nothing_is_not_waited_for_long() {
    let mut ends = connected();
    // More than all buffers between the two hold.
    ends.close(&vec![1; 64 << 20]);
    assert!(ends.connections.lingers());
    let deadline = ends.connections.poll_timeout().expect("a deadline");
    assert!(deadline.since(now()) <= Duration::from_secs(1));
    ends.connections.handle_timeout(deadline);
    assert!(!ends.connections.lingers());
}

#[test]
fn without_a_word_it_is_closed_at_once() {
    let mut ends = connected();
    ends.close(&[]);
    assert!(!ends.connections.lingers());
    assert_eq!(ends.peer.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn a_socket_that_cannot_be_waited_for_is_told_and_closed() {
    let (mut connections, poller) = (Connections::new(), Poller::new().unwrap());
    // epoll takes no regular files.
    let file = File::open("/proc/self/exe").unwrap();
    let added = connections.add(ConnId::Outgoing(1), file.into(), 0, true, &poller);
    assert!(added.is_err());
    assert!(connections.conns.is_empty() && connections.by_token.is_empty());
}
