//! BGP up to the point where the load begins: the tester calls, the daemon answers.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_tcp_quickack;
use socket2::{Domain, Socket, Type};
use tapway_bgp_wire::{
    Capabilities, Capability, DecodeContext, Frame, HEADER_LEN, MAX_LEN_EXTENDED, Message, Open,
    encode_keepalive,
};
use tapway_model::Family;

use super::course::LIMIT;
use super::scenario::Peer;

/// In seconds: no run is as long, so that nobody has to keep anything alive.
pub(crate) const HOLD_TIME: u16 = 3600;

/// How long the daemon may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the session of `peer` with the daemon at `own`. Whatever comes after the daemon's first KEEPALIVE is
/// left to be read.
pub(crate) fn call(peer: Peer, own: IpAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address((own, 179).into()), Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((peer.address(), 0)).into())?;
    socket.connect_timeout(&SocketAddr::from((own, 179)).into(), PATIENCE)?;
    let mut stream = TcpStream::from(socket);
    greet(&mut stream, peer.asn(), peer.id(), peer.family)?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Exchanges OPEN and KEEPALIVE, either side.
pub(crate) fn greet(
    stream: &mut TcpStream,
    asn: u32,
    id: Ipv4Addr,
    family: Family,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut hello = Vec::new();
    Open {
        asn,
        hold_time: HOLD_TIME,
        router_id: id,
        capabilities: Capabilities(vec![
            Capability::MultiProtocol(family.into()),
            Capability::FourOctetAs(asn),
        ]),
    }
    .encode(&mut hello);
    stream.write_all(&hello)?;
    expect(stream, |m| matches!(m, Message::Open(_)))?;
    let mut alive = Vec::new();
    encode_keepalive(&mut alive);
    stream.write_all(&alive)?;
    expect(stream, |m| matches!(m, Message::Keepalive))?;
    stream.set_read_timeout(None)
}

/// Reads exactly one message.
fn expect(stream: &mut TcpStream, wanted: impl Fn(&Message) -> bool) -> io::Result<()> {
    let mut bytes = vec![0; HEADER_LEN];
    stream.read_exact(&mut bytes)?;
    // A late acknowledgement would hold back a sender that has Nagle's algorithm on.
    set_tcp_quickack(&*stream, true)?;
    let len = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    bytes.resize(len.max(HEADER_LEN), 0);
    stream.read_exact(&mut bytes[HEADER_LEN..])?;
    let message = match Frame::next(&bytes, MAX_LEN_EXTENDED).map_err(io::Error::other)? {
        Some((_, frame)) => frame
            .decode(&DecodeContext::default())
            .map_err(io::Error::other)?,
        None => return Err(io::ErrorKind::InvalidData.into()),
    };
    if wanted(&message) {
        Ok(())
    } else {
        Err(io::Error::other(format!("unexpected {message:?}")))
    }
}
