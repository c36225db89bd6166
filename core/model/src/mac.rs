//! Ethernet addresses of NICs.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A unicast, non-zero Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

/// Why a text or six bytes are not the address of a NIC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// Not six hexadecimal pairs.
    #[error("{0:?} is not a MAC address; write six pairs like 52:54:00:12:34:56")]
    Syntax(String),
    /// The group bit is set.
    #[error(
        "{0} is a multicast MAC address and cannot belong to a NIC; the first byte must be even"
    )]
    Multicast(String),
    /// All zero.
    #[error(
        "00:00:00:00:00:00 is no MAC address of a NIC; leave the key out when the address is unknown"
    )]
    Zero,
}

impl Mac {
    /// The address with these six bytes.
    ///
    /// # Errors
    /// When it is a multicast address or all zero.
    pub fn new(bytes: [u8; 6]) -> Result<Mac, MacError> {
        if bytes[0] & 1 == 1 {
            return Err(MacError::Multicast(Mac(bytes).to_string()));
        }
        if bytes == [0; 6] {
            return Err(MacError::Zero);
        }
        Ok(Mac(bytes))
    }

    /// The six bytes, in transmission order.
    pub const fn octets(&self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let syntax = || MacError::Syntax(text.to_string());
        let mut bytes = [0u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(syntax)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(syntax());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| syntax())?;
        }
        if parts.next().is_some() {
            return Err(syntax());
        }
        Mac::new(bytes)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        assert_eq!(
            "52:54:00:AB:cd:ef".parse::<Mac>().unwrap().to_string(),
            "52:54:00:ab:cd:ef"
        );
        assert_eq!(
            "52-54-00-ab-cd-ef".parse::<Mac>().unwrap().to_string(),
            "52:54:00:ab:cd:ef"
        );
        for (text, part) in [
            ("01:00:5e:00:00:01", "multicast"),
            ("00:00:00:00:00:00", "leave the key out"),
            ("52:54:00:12:34", "six pairs"),
            ("52:54:00:12:34:56:78", "six pairs"),
            ("+2:54:00:12:34:56", "six pairs"),
        ] {
            let error = text.parse::<Mac>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
