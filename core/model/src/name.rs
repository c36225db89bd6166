//! Names: short texts with stated rules, cheap to clone.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("the {0} name is empty")]
    Empty(&'static str),
    /// Longer than allowed.
    #[error("the {what} name {name:?} is longer than {max} bytes")]
    TooLong {
        /// What is named.
        what: &'static str,
        /// The name as given.
        name: String,
        /// Bytes allowed.
        max: usize,
    },
    /// A character that is not allowed.
    #[error("the {what} name {name:?} has the character {found:?}; {allowed}")]
    Character {
        /// What is named.
        what: &'static str,
        /// The name as given.
        name: String,
        /// The first wrong character.
        found: char,
        /// What is allowed, as a sentence.
        allowed: &'static str,
    },
}

const PLAIN: &str = "use letters, digits and . _ - : @ +";

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@' | '+')
}

const KERNEL: &str = "the kernel forbids white space, '/' and ':' in interface names";

fn kernel(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && c != '/' && c != ':'
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $rule:ident, $allowed:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes a name of it.
            ///
            /// # Errors
            /// When it is empty, too long, or has a character that is not allowed.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if text.is_empty() {
                    return Err(NameError::Empty($what));
                }
                if text.len() > $max {
                    return Err(NameError::TooLong { what: $what, name: text.to_string(), max: $max });
                }
                if let Some(found) = text.chars().find(|c| !$rule(*c)) {
                    return Err(NameError::Character { what: $what, name: text.to_string(), found, allowed: $allowed });
                }
                Ok($name(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $name::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                $name::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// The name of an instance, unique within its source.
    InstanceName, "instance", 255, plain, PLAIN
);
name!(
    /// The name of a network. `default` exists without being written.
    NetworkName, "network", 64, plain, PLAIN
);
name!(
    /// The name of a peer; of one that a range made: `RANGE@ADDRESS`.
    PeerName, "peer", 128, plain, PLAIN
);
name!(
    /// The name of a policy.
    PolicyName, "policy", 64, plain, PLAIN
);
name!(
    /// The name of a source: `files`, `api`, `libvirt`, …
    SourceName, "source", 32, plain, PLAIN
);
name!(
    /// The name of an RPKI cache.
    CacheName, "cache", 64, plain, PLAIN
);
name!(
    /// The name of a collector, which is told routes by the BGP Monitoring Protocol.
    CollectorName, "collector", 64, plain, PLAIN
);
name!(
    /// A tag of a NIC, for policies to match on.
    Tag, "tag", 128, plain, PLAIN
);
name!(
    /// A kernel interface name (`IFNAMSIZ` in `linux/if.h`: at most 15 bytes).
    IfName, "interface", 15, kernel, KERNEL
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        assert!(InstanceName::new("web1.example.org").is_ok());
        assert!(IfName::new("eth0.public").is_ok());
        for (result, part) in [
            (InstanceName::new("").map(|_| ()), "empty"),
            (InstanceName::new("../etc").map(|_| ()), "'/'"),
            (
                IfName::new("averyveryverylongname").map(|_| ()),
                "longer than 15",
            ),
            (IfName::new("a b").map(|_| ()), "white space"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
