//! What a source says that cannot be used, as values with place, reason and remedy.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use tapway_model::{IfName, InstanceName, Mac, NetworkName, Prefix, SourceName};

/// Something that a source says and that cannot be used. The rest of the instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The source that says it.
    pub source: SourceName,
    /// Of which instance.
    pub instance: InstanceName,
    /// Of which NIC; absent for claims of the host or a network.
    pub interface: Option<IfName>,
    /// The claims that are not used because of it.
    pub prefixes: Vec<Prefix>,
    /// What is wrong.
    pub reason: ProblemReason,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemReason {
    /// The network is not configured.
    UnknownNetwork(NetworkName),
    /// Outside the network's `allow`.
    NotAllowed {
        /// The network.
        network: NetworkName,
        /// Its list.
        allow: Vec<Prefix>,
    },
    /// The NIC wants the network's own gateway address.
    Gateway {
        /// The network.
        network: NetworkName,
        /// The address.
        address: IpAddr,
    },
    /// Not a prefix that anyone can own: multicast, loopback, unspecified, default.
    NotUnicast,
    /// Another speaks of the same NIC with another MAC address.
    Mac {
        /// What this one says.
        said: Mac,
        /// What is used.
        kept: Mac,
        /// Whose it is.
        by: (SourceName, InstanceName),
    },
    /// Another speaks of the same NIC in another network.
    Network {
        /// What this one says.
        said: NetworkName,
        /// What is used.
        kept: NetworkName,
        /// Whose it is.
        by: (SourceName, InstanceName),
    },
    /// The instance names one interface twice; the first counts.
    Twice,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance {} from source {}", self.instance, self.source)?;
        if let Some(interface) = &self.interface {
            write!(f, ", nic {interface}")?;
        }
        f.write_str(": ")?;
        let what = List(&self.prefixes);
        match &self.reason {
            ProblemReason::UnknownNetwork(network) => {
                write!(
                    f,
                    "network {network} is not configured, so {what} is not used; "
                )?;
                write!(
                    f,
                    "add [network.{network}] to the configuration or correct the instance's network"
                )
            }
            ProblemReason::NotAllowed { network, allow } => {
                write!(
                    f,
                    "{what} is outside what network {network} allows ({}) and is not used; ",
                    List(allow)
                )?;
                write!(f, "extend allow in [network.{network}] or remove the claim")
            }
            ProblemReason::Gateway { network, address } => {
                write!(
                    f,
                    "{address} is the gateway address of network {network} and is not used; "
                )?;
                f.write_str("give the NIC another address")
            }
            ProblemReason::NotUnicast => {
                write!(
                    f,
                    "{what} is not a unicast prefix that an instance can own and is not used; remove the claim"
                )
            }
            ProblemReason::Mac { said, kept, by } => {
                write!(
                    f,
                    "says MAC address {said}, but {} from source {} said {kept} first, ",
                    by.1, by.0
                )?;
                f.write_str("which is used; make the two agree")
            }
            ProblemReason::Network { said, kept, by } => {
                write!(
                    f,
                    "says network {said}, but {} from source {} said {kept} first, ",
                    by.1, by.0
                )?;
                write!(
                    f,
                    "which is used, so {what} is not used; make the two agree"
                )
            }
            ProblemReason::Twice => {
                write!(
                    f,
                    "the interface is named twice in the instance, so {what} of the second is not used; "
                )?;
                f.write_str("join the two NICs")
            }
        }
    }
}

/// Prefixes for reading: the first few, and how many more.
struct List<'a>(&'a [Prefix]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let mut text = String::new();
        for (i, prefix) in self.0.iter().take(SHOWN).enumerate() {
            fmt::Write::write_fmt(
                &mut text,
                format_args!("{}{prefix}", if i == 0 { "" } else { ", " }),
            )?;
        }
        match self.0.len() {
            0 => f.write_str("nothing"),
            n if n > SHOWN => write!(f, "{text} and {} more", n - SHOWN),
            _ => f.write_str(&text),
        }
    }
}
