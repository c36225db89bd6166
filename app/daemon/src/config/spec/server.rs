//! Servers that this daemon connects to: a name or an address, and a port.

use std::net::{IpAddr, Ipv6Addr};

use super::address::{host_address, is_link_local};

/// An address to connect from.
pub(crate) fn local_address(text: &str) -> Result<IpAddr, String> {
    let addr = host_address(text)?;
    if is_link_local(&addr) {
        return Err(format!(
            "{addr} is link-local; write an address that can be answered to"
        ));
    }
    Ok(addr)
}

/// Host and port of `rpki.example.org`, `192.0.2.1:8282`, `2001:db8::1` or `[2001:db8::1]:8282`; without a default the port
/// must be there. `name` is an example with both.
pub(crate) fn server(
    text: &str,
    default_port: Option<u16>,
    name: &str,
) -> Result<(String, u16), String> {
    let number = name.rsplit(':').next().unwrap_or_default();
    let example = match default_port {
        Some(_) => format!("write one like {name:?}, \"192.0.2.1\" or \"[2001:db8::1]:{number}\""),
        None => {
            format!("write one like {name:?}, \"192.0.2.1:{number}\" or \"[2001:db8::1]:{number}\"")
        }
    };
    let wrong = |what: &str| Err(format!("{text:?} {what}; {example}"));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) if host.parse::<Ipv6Addr>().is_ok() => (host, None),
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() && port.starts_with(':') => {
                (host, port.get(1..))
            }
            _ => return wrong("is no server"),
        },
        None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match (port.map(str::parse), default_port) {
        (None, Some(port)) => port,
        (None, None) => return wrong("has no port"),
        (Some(Ok(port)), _) if port > 0 => port,
        (Some(_), _) => return wrong("has no port behind its colon"),
    };
    if host.parse::<IpAddr>().is_ok() {
        let addr = host_address(host)?;
        if is_link_local(&addr) {
            return Err(format!(
                "{addr} is link-local; write an address that is good everywhere"
            ));
        }
    } else {
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let name = host.strip_suffix('.').unwrap_or(host);
        // Four numbers that are no address are no name either.
        let numbers = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if host.len() > 253 || numbers || !name.split('.').all(label) {
            return wrong("is no server");
        }
    }
    Ok((host.to_owned(), port))
}
