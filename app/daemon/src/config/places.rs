//! Where peers are, seen together: no two in one place, none behind the password of a range that it does not have.
//!
//! Keys of TCP MD5 belong to addresses (RFC 2385; `TCP_MD5SIG_EXT` takes prefixes, and the longest decides). A
//! listener has those of all peers, so whoever is in a range with a password needs one, too: what is not signed is dropped by
//! the kernel without a word.

use std::net::{IpAddr, Ipv6Addr};

use tapway_bgp::config::{PeerAddress, PeerConfig};
use tapway_model::Prefix;
use tapway_model::spec::SpecError;

use super::spec::wrong;

/// What is wrong between a peer and another one that was there first. Keys are those of `peer`.
pub(crate) fn between(peer: &PeerConfig, other: &PeerConfig) -> Option<SpecError> {
    same_place(peer, other)
        .or_else(|| behind_a_password(peer, other))
        .or_else(|| with_a_password_around(peer, other))
}

/// The same within one file, where each of two peers is looked at, and each mistake is to be told once.
pub(super) fn within_file(peers: &[PeerConfig]) -> impl Iterator<Item = (&PeerConfig, SpecError)> {
    let of = |(i, peer)| {
        let before = &peers[..i];
        let same = before.iter().find_map(|other| same_place(peer, other));
        let around = || {
            let mut others = peers.iter().filter(|other| other.name != peer.name);
            others.find_map(|other| behind_a_password(peer, other))
        };
        Some((peer, same.or_else(around)?))
    };
    peers.iter().enumerate().filter_map(of)
}

fn same_place(peer: &PeerConfig, other: &PeerConfig) -> Option<SpecError> {
    if let (PeerAddress::Range(range), PeerAddress::Range(first)) = (&peer.address, &other.address)
    {
        let mut mine = range.prefixes.iter().enumerate();
        let (at, prefix) = mine.find(|(_, prefix)| first.prefixes.contains(prefix))?;
        return Some(wrong(
            format!("range[{at}]"),
            format!(
                "peer {} has the range {prefix} already, and nobody would get in by this one; take it out of one of the two",
                other.name
            ),
        ));
    }
    (peer.address == other.address).then(|| {
        wrong(
            key(&peer.address, 0),
            format!(
                "peer {} is there already; one of the two must go",
                other.name
            ),
        )
    })
}

/// A peer without a password in a range that has one.
fn behind_a_password(peer: &PeerConfig, around: &PeerConfig) -> Option<SpecError> {
    let (at, what) = inside(peer, around)?;
    Some(wrong(
        key(&peer.address, at),
        format!(
            "{what} is in the range of peer {}, whose password the kernel would want of it; give it one, or take it out of the range",
            around.name
        ),
    ))
}

/// A range with a password around a peer that has none.
fn with_a_password_around(around: &PeerConfig, peer: &PeerConfig) -> Option<SpecError> {
    let (_, what) = inside(peer, around)?;
    Some(wrong(
        "password",
        format!(
            "{what} of peer {} is in this range and has no password, which the kernel would want of it; give that peer one first, or take it out of the range",
            peer.name
        ),
    ))
}

/// What of a peer without a password is in the range of one with a password: its number and name.
fn inside(peer: &PeerConfig, around: &PeerConfig) -> Option<(usize, String)> {
    let PeerAddress::Range(range) = &around.address else {
        return None;
    };
    if peer.password.is_some() || around.password.is_none() {
        return None;
    }
    let covered = |inner: &Prefix| {
        let mut all = range.prefixes.iter();
        all.any(|outer| outer.contains(inner))
    };
    match &peer.address {
        PeerAddress::Ip { addr, .. } => {
            covered(&Prefix::host(*addr)).then(|| (0, addr.to_string()))
        }
        PeerAddress::Interface(on) => {
            let some = Prefix::truncated(LINK_LOCAL, 10);
            let mut all = range.prefixes.iter();
            let found = all.any(|prefix| prefix.overlaps(&some));
            found.then(|| (0, format!("the link-local address on {on}")))
        }
        PeerAddress::Range(inner) => {
            let mut inner = inner.prefixes.iter().enumerate();
            let (at, prefix) = inner.find(|(_, prefix)| covered(prefix))?;
            Some((at, prefix.to_string()))
        }
    }
}

/// RFC 4291, section 2.5.6.
const LINK_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0));

fn key(address: &PeerAddress, at: usize) -> String {
    match address {
        PeerAddress::Ip { .. } => "address".to_owned(),
        PeerAddress::Interface(_) => "interface".to_owned(),
        PeerAddress::Range(_) => format!("range[{at}]"),
    }
}
