//! Addresses, ports and AS numbers in texts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tapway_bgp::config::{PeerAddress, PeerAsn};
use tapway_model::{Family, IfName};

use crate::config::value::NumberOrWord;

/// The BGP port.
pub(crate) const BGP_PORT: u16 = 179;

/// An AS number that a speaker may have: not 0 (RFC 7607), not AS_TRANS (RFC 6793), not one of the
/// last ones (RFC 7300).
pub(crate) fn as_number(number: i64) -> Result<u32, String> {
    match u32::try_from(number) {
        Ok(0) => Err("0 is no AS number (RFC 7607)".into()),
        Ok(23456) => {
            Err("23456 stands for numbers that do not fit (RFC 6793) and belongs to nobody".into())
        }
        Ok(65535 | u32::MAX) => Err(format!(
            "{number} is reserved (RFC 7300); use another AS number"
        )),
        Ok(asn) => Ok(asn),
        Err(_) => Err(format!(
            "{number} is no AS number; they go from 1 to 4294967294"
        )),
    }
}

pub(super) fn peer_asn(asn: &NumberOrWord) -> Result<PeerAsn, String> {
    match asn {
        NumberOrWord::Number(number) => as_number(*number).map(PeerAsn::Number),
        NumberOrWord::Word(word) => match word.as_str() {
            "internal" => Ok(PeerAsn::Internal),
            "external" => Ok(PeerAsn::External),
            other => Err(format!(
                "{other:?} is no AS; write a number without quotes, \"internal\" or \"external\""
            )),
        },
    }
}

/// An address that a host can have: not multicast, not unspecified, not IPv4-mapped.
pub(crate) fn host_address(text: &str) -> Result<IpAddr, String> {
    let addr: IpAddr = text.parse().map_err(|_| {
        format!("{text:?} is not an IP address; write one like 192.0.2.1 or 2001:db8::1")
    })?;
    let what = match addr {
        a if a.is_multicast() => "a multicast address",
        a if a.is_unspecified() => "the unspecified address",
        IpAddr::V4(Ipv4Addr::BROADCAST) => "the broadcast address",
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() => "an IPv4-mapped address",
        _ => return Ok(addr),
    };
    Err(format!("{addr} is {what}; write the address of one host"))
}

/// Whether an address means something only on one link.
pub(crate) fn is_link_local(addr: &IpAddr) -> bool {
    matches!(addr, IpAddr::V6(a) if a.is_unicast_link_local())
}

/// `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`.
pub(super) fn peer_address(text: &str) -> Result<PeerAddress, String> {
    let (addr, scope) = match text.split_once('%') {
        Some((addr, scope)) => (addr, Some(scope)),
        None => (text, None),
    };
    let addr = host_address(addr)?;
    let interface = match scope {
        Some(_) if !is_link_local(&addr) => {
            return Err(format!(
                "{addr} is not link-local; write it without the interface"
            ));
        }
        Some(scope) => Some(IfName::new(scope).map_err(|e| e.to_string())?),
        None if is_link_local(&addr) => {
            return Err(format!(
                "{addr} is link-local and means a host only together with an interface; write {addr}%eth0 with the interface's name"
            ));
        }
        None => None,
    };
    Ok(PeerAddress::Ip { addr, interface })
}

/// `192.0.2.1:1179`, `[2001:db8::1]:179` or an address alone, for port 179.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let at = match text.parse::<SocketAddr>() {
        Ok(at) => at,
        Err(_) => match text.parse::<IpAddr>() {
            Ok(addr) => SocketAddr::new(addr, BGP_PORT),
            Err(_) => {
                return Err(format!(
                    "{text:?} is not an address with a port; write 192.0.2.1:179 or [2001:db8::1]:179"
                ));
            }
        },
    };
    if at.port() == 0 {
        return Err(format!("{text}: there is no port 0"));
    }
    if at.ip().is_unspecified() {
        return Err(format!(
            "{text} would let guests reach the speaker; write the addresses of the fabric's interfaces"
        ));
    }
    if is_link_local(&at.ip()) {
        return Err(format!(
            "{text} is link-local; listening there follows from the peers, leave it out or write listen = \"auto\""
        ));
    }
    host_address(&at.ip().to_string())?;
    Ok(at)
}

/// An address of the given family.
pub(super) fn of_family(text: &str, family: Family) -> Result<IpAddr, String> {
    let addr = host_address(text)?;
    if Family::of(&addr) == family {
        Ok(addr)
    } else {
        Err(format!("{addr} is not of the family {family}"))
    }
}
