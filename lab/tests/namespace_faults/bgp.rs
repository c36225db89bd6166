//! A peer's side of a connection, by hand (RFC 4271 §4.1).

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};
use tapway_lab::Netns;

use crate::bed::SOON;

/// Connects to the BGP port of `to` from an address of this namespace.
pub(crate) fn connect(ns: &Netns, from: &str, to: &str) -> TcpStream {
    let local: SocketAddr = format!("{from}:0").parse().expect("an address");
    let to: SocketAddr = format!("{to}:179").parse().expect("an address");
    let socket = ns.run_in(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&local.into()).expect("the address is there");
        socket.connect_timeout(&to.into(), SOON).expect("an answer");
        socket
    });
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    TcpStream::from(socket)
}

/// The next message: its type and what follows the header; `None` when the daemon has closed.
pub(crate) fn next(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 19];
    match stream.read_exact(&mut header) {
        Ok(()) => {}
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ) =>
        {
            return None;
        }
        Err(e) => panic!("neither a message nor an end: {e}"),
    }
    let len = usize::from(u16::from_be_bytes([header[16], header[17]]));
    let mut body = vec![0; len - header.len()];
    stream.read_exact(&mut body).expect("the rest of a message");
    Some((header[18], body))
}
