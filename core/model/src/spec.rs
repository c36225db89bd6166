//! An instance as people and programs write it, in TOML or JSON, and its way into an [`Instance`].
//!
//! The same shape is read from instance files, from the API and from the state log, and written back
//! by the API. [`InstanceSpec::parse`] is the only way from here to an [`Instance`]: it checks every
//! value and names the key of a wrong one, so that the reader of a text file can add line and column.

mod read;
mod write;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    ClaimKind, Family, GuestBgp, IfName, Instance, InstanceName, Mac, NetworkName, Nic, NicState,
    OwnClaim, Prefix, Tag, Transparent,
};

/// One instance, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceSpec {
    /// Its name; unique within the source.
    pub name: String,
    /// Its NICs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nic: Vec<NicSpec>,
    /// Claims of the host or of a network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim: Vec<ClaimSpec>,
}

/// One NIC, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicSpec {
    /// Host-side interface.
    pub interface: String,
    /// The guest's MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Network; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Addresses or on-link prefixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Subnets behind the NIC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Shared addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anycast: Vec<String>,
    /// Translated addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transparent: Vec<TransparentSpec>,
    /// What the guest may announce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_bgp: Option<GuestBgpSpec>,
    /// Words for policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// `running`, `arriving` or `leaving`; running when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A translated address, unchecked: an address, or an address and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TransparentSpec {
    /// To the NIC's first address of the family.
    Address(String),
    /// To a named address.
    To {
        /// The address that the network sees.
        address: String,
        /// The guest's own address.
        to: String,
    },
}

/// What a guest may announce, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestBgpSpec {
    /// The guest's AS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Its prefixes.
    pub prefixes: Vec<String>,
}

/// A claim of the host or of a network, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimSpec {
    /// `host` or `network`.
    pub owner: String,
    /// What is claimed.
    pub prefix: String,
    /// `address`, `route` or `anycast`; `address` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Network; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Announce with this next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<String>,
}

/// A wrong value: the key it stands at (`nic[0].addresses[1]`) and what is wrong, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SpecError {
    /// Path of the key: names joined by dots, positions from 0 in brackets.
    pub key: String,
    /// What is wrong and what to write instead.
    pub reason: String,
}

impl SpecError {
    fn new(key: impl Into<String>, reason: impl ToString) -> SpecError {
        SpecError {
            key: key.into(),
            reason: reason.to_string(),
        }
    }
}

impl InstanceSpec {
    /// Checks every value.
    ///
    /// # Errors
    /// The first wrong value, with its key and the remedy.
    pub fn parse(&self) -> Result<Instance, SpecError> {
        let name = InstanceName::new(&self.name).map_err(|e| SpecError::new("name", e))?;
        let mut nics: Vec<Nic> = Vec::with_capacity(self.nic.len());
        for (i, spec) in self.nic.iter().enumerate() {
            let nic = spec.parse(&format!("nic[{i}]"))?;
            if let Some(first) = nics.iter().position(|n| n.interface == nic.interface) {
                return Err(SpecError::new(
                    format!("nic[{i}].interface"),
                    format!(
                        "{} is the interface of nic[{first}] already; give every NIC its own",
                        nic.interface
                    ),
                ));
            }
            nics.push(nic);
        }
        let claims = self
            .claim
            .iter()
            .enumerate()
            .map(|(i, spec)| spec.parse(&format!("claim[{i}]")))
            .collect::<Result<_, _>>()?;
        Ok(Instance { name, nics, claims })
    }
}

impl NicSpec {
    fn parse(&self, at: &str) -> Result<Nic, SpecError> {
        let key = |k: &str| format!("{at}.{k}");
        let interface =
            IfName::new(&self.interface).map_err(|e| SpecError::new(key("interface"), e))?;
        let mac = match &self.mac {
            Some(text) => Some(
                text.parse::<Mac>()
                    .map_err(|e| SpecError::new(key("mac"), e))?,
            ),
            None => None,
        };
        let state = match self.state.as_deref() {
            None | Some("running") => NicState::Running,
            Some("arriving") => NicState::Arriving,
            Some("leaving") => NicState::Leaving,
            Some(other) => {
                return Err(SpecError::new(
                    key("state"),
                    format!(
                        "{other:?} is no state; write \"running\", \"arriving\" or \"leaving\""
                    ),
                ));
            }
        };
        let guest_bgp = match &self.guest_bgp {
            Some(spec) => Some(GuestBgp {
                asn: spec.asn,
                prefixes: prefixes(&spec.prefixes, &key("guest_bgp.prefixes"), claimable)?,
            }),
            None => None,
        };
        let tags = self
            .tags
            .iter()
            .enumerate()
            .map(|(i, t)| Tag::new(t).map_err(|e| SpecError::new(format!("{at}.tags[{i}]"), e)))
            .collect::<Result<_, _>>()?;
        Ok(Nic {
            interface,
            mac,
            network: network(self.network.as_deref(), &key("network"))?,
            addresses: prefixes(&self.addresses, &key("addresses"), claimable)?,
            routes: prefixes(&self.routes, &key("routes"), claimable)?,
            anycast: prefixes(&self.anycast, &key("anycast"), claimable)?,
            transparent: self
                .transparent
                .iter()
                .enumerate()
                .map(|(i, spec)| spec.parse(&format!("{at}.transparent[{i}]")))
                .collect::<Result<_, _>>()?,
            guest_bgp,
            tags,
            state,
        })
    }
}

impl TransparentSpec {
    fn parse(&self, at: &str) -> Result<Transparent, SpecError> {
        let (address, to) = match self {
            TransparentSpec::Address(address) => (address, None),
            TransparentSpec::To { address, to } => (address, Some(to)),
        };
        let host = |text: &str, key: String| {
            let prefix: Prefix = text.parse().map_err(|e| SpecError::new(key.clone(), e))?;
            claimable(&prefix).map_err(|e| SpecError::new(key.clone(), e))?;
            if prefix.is_host() {
                Ok(prefix.addr())
            } else {
                Err(SpecError::new(
                    key,
                    format!("{prefix} is not one address; write the address without a length"),
                ))
            }
        };
        let address = host(address, at.to_string())?;
        let to = to.map(|text| host(text, format!("{at}.to"))).transpose()?;
        if let Some(to) = to
            && Family::of(&to) != Family::of(&address)
        {
            return Err(SpecError::new(
                format!("{at}.to"),
                format!("{to} is not of the family of {address}"),
            ));
        }
        Ok(Transparent { address, to })
    }
}

impl ClaimSpec {
    fn parse(&self, at: &str) -> Result<OwnClaim, SpecError> {
        let key = |k: &str| format!("{at}.{k}");
        let by_network = match self.owner.as_str() {
            "host" => false,
            "network" => true,
            other => {
                return Err(SpecError::new(
                    key("owner"),
                    format!(
                        "{other:?} cannot own a claim here; write \"host\" or \"network\", or put it under a [[nic]]"
                    ),
                ));
            }
        };
        let prefix: Prefix = self
            .prefix
            .parse()
            .map_err(|e| SpecError::new(key("prefix"), e))?;
        let kind = match self.kind.as_deref() {
            None | Some("address") => ClaimKind::Address,
            Some("route") => ClaimKind::Route,
            Some("anycast") => ClaimKind::Anycast,
            Some(other) => {
                return Err(SpecError::new(
                    key("kind"),
                    format!(
                        "{other:?} is no kind of such a claim; write \"address\", \"route\" or \"anycast\""
                    ),
                ));
            }
        };
        // A router may offer itself as the way to everything; a guest may not.
        if !(prefix.len() == 0 && kind == ClaimKind::Route) {
            claimable(&prefix).map_err(|e| SpecError::new(key("prefix"), e))?;
        }
        let next_hop = match &self.next_hop {
            Some(text) => Some(text.parse::<IpAddr>().map_err(|_| {
                SpecError::new(
                    key("next_hop"),
                    format!("{text:?} is not an IP address; write one like 192.0.2.1"),
                )
            })?),
            None => None,
        };
        Ok(OwnClaim {
            by_network,
            network: network(self.network.as_deref(), &key("network"))?,
            prefix,
            kind,
            next_hop,
        })
    }
}

fn network(text: Option<&str>, key: &str) -> Result<NetworkName, SpecError> {
    NetworkName::new(text.unwrap_or("default")).map_err(|e| SpecError::new(key, e))
}

fn prefixes(
    texts: &[String],
    key: &str,
    check: fn(&Prefix) -> Result<(), String>,
) -> Result<Vec<Prefix>, SpecError> {
    let mut all: Vec<Prefix> = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        let at = || format!("{key}[{i}]");
        let prefix: Prefix = text.parse().map_err(|e| SpecError::new(at(), e))?;
        check(&prefix).map_err(|e| SpecError::new(at(), e))?;
        if all.contains(&prefix) {
            return Err(SpecError::new(
                at(),
                format!("{prefix} is in the list already; remove it"),
            ));
        }
        all.push(prefix);
    }
    Ok(all)
}

/// Whether a guest or host may own this prefix at all.
fn claimable(prefix: &Prefix) -> Result<(), String> {
    let addr = prefix.addr();
    let what = if prefix.len() == 0 {
        "the default route"
    } else if addr.is_multicast() {
        "a multicast address"
    } else if addr.is_loopback() {
        "a loopback address"
    } else if addr.is_unspecified() {
        "the unspecified address"
    } else {
        match addr {
            IpAddr::V6(a) if a.is_unicast_link_local() => "a link-local address",
            IpAddr::V4(a) if a.is_link_local() => "a link-local address",
            IpAddr::V4(a) if a.is_broadcast() => "the broadcast address",
            _ => return Ok(()),
        }
    };
    Err(format!(
        "{prefix} is {what} and cannot be claimed; remove it"
    ))
}

#[cfg(test)]
mod tests;
