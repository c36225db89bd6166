//! The null run: a relay that passes on what the senders say, whole messages, without a look inside. It shows what
//! the meter itself can do. It runs as a process of its own, as the daemons do.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tapway_bgp_wire::HEADER_LEN;
use tapway_model::Family;

use super::place::OWN;
use super::scenario::{ASN, Peer};
use super::{place, session};

/// Of one read.
const READ: usize = 1 << 18;

/// The word that makes this program the relay; the family and the peers' names follow.
pub(crate) const WORD: &str = "null-relay";

/// Serves until it is killed.
///
/// # Errors
/// When the arguments are wrong, or it cannot listen.
pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    let (family, names) = arguments.split_first().context("no family")?;
    let family = match family.as_str() {
        "6" => Family::Ipv6,
        _ => Family::Ipv4,
    };
    let peers: Vec<Peer> = (0..=u8::MAX)
        .flat_map(|number| {
            [true, false].map(|sends| Peer {
                sends,
                number,
                family,
            })
        })
        .filter(|peer| names.contains(&peer.name()))
        .collect();
    let listener = TcpListener::bind((place::own(family), 179))?;
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    while senders.len() + receivers.len() < peers.len() {
        let (mut stream, from) = listener.accept()?;
        let from: IpAddr = from.ip();
        let Some(peer) = peers.iter().find(|p| p.address() == from) else {
            continue;
        };
        if session::greet(&mut stream, ASN, OWN, family).is_err() {
            continue;
        }
        if peer.sends {
            senders.push(stream);
        } else {
            receivers.push(Mutex::new(stream));
        }
    }
    let receivers = Arc::new(receivers);
    for sender in senders {
        let receivers = Arc::clone(&receivers);
        std::thread::spawn(move || pass_on(sender, &receivers));
    }
    loop {
        std::thread::park();
    }
}

/// Passes whole messages on until the sender's session ends.
fn pass_on(mut sender: TcpStream, receivers: &[Mutex<TcpStream>]) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    let mut filled = 0;
    loop {
        let len = sender.read(&mut buffer[filled..])?;
        if len == 0 {
            return Ok(());
        }
        filled += len;
        let whole = whole(&buffer[..filled]);
        for receiver in receivers {
            let mut stream = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            stream.write_all(&buffer[..whole])?;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// How many bytes the whole messages take.
fn whole(bytes: &[u8]) -> usize {
    let mut used = 0;
    while let Some(header) = bytes.get(used..used + HEADER_LEN) {
        let len = usize::from(u16::from_be_bytes([header[16], header[17]])).max(HEADER_LEN);
        if used + len > bytes.len() {
            break;
        }
        used += len;
    }
    used
}

#[cfg(test)]
mod tests {
    use tapway_bgp_wire::encode_keepalive;

    use super::*;

    #[test]
    fn only_whole_messages_are_passed_on() {
        let mut bytes = Vec::new();
        encode_keepalive(&mut bytes);
        encode_keepalive(&mut bytes);
        for (len, wanted) in [(0, 0), (18, 0), (19, 19), (37, 19), (38, 38)] {
            assert_eq!(whole(&bytes[..len]), wanted, "{len}");
        }
    }
}
