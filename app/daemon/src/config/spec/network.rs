//! `[network.NAME]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use tapway_model::spec::SpecError;
use tapway_model::{Domain, Family, IfName, Network, NetworkName, PeerName, Prefix};

use super::address::{host_address, of_family};
use super::{each, refuse, within, wrong};
use crate::config::value::{NotYet, NumberOrWord};

/// A network, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/guide.md and in Network"
)]
pub struct NetworkSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<NumberOrWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHopSpec>,
    #[serde(skip_serializing)]
    pub vrf: Option<NotYet>,
    #[serde(skip_serializing)]
    pub local_out: Option<NotYet>,
    #[serde(skip_serializing)]
    pub last_resort: Option<NotYet>,
    #[serde(skip_serializing)]
    pub vni: Option<NotYet>,
    #[serde(skip_serializing)]
    pub rd: Option<NotYet>,
    #[serde(skip_serializing)]
    pub import_targets: Option<NotYet>,
    #[serde(skip_serializing)]
    pub export_targets: Option<NotYet>,
    #[serde(skip_serializing)]
    pub source_guard: Option<NotYet>,
    #[serde(skip_serializing)]
    pub proxy_arp: Option<NotYet>,
    #[serde(skip_serializing)]
    pub gateway_mac: Option<NotYet>,
    #[serde(skip_serializing)]
    pub ra: Option<NotYet>,
    #[serde(skip_serializing)]
    pub dhcp: Option<NotYet>,
    #[serde(skip_serializing)]
    pub dns: Option<NotYet>,
    #[serde(skip_serializing)]
    pub guest_bgp: Option<NotYet>,
}

/// `next_hop = { ipv4 = …, ipv6 = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextHopSpec {
    /// For IPv4 routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    /// For IPv6 routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
}

impl NextHopSpec {
    pub(super) fn parse(&self) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>), SpecError> {
        let mut both = (None, None);
        if let Some(text) = &self.ipv4
            && let IpAddr::V4(addr) = of_family(text, Family::Ipv4).map_err(|e| wrong("ipv4", e))?
        {
            both.0 = Some(addr);
        }
        if let Some(text) = &self.ipv6
            && let IpAddr::V6(addr) = of_family(text, Family::Ipv6).map_err(|e| wrong("ipv6", e))?
        {
            if addr.is_unicast_link_local() {
                return Err(wrong(
                    "ipv6",
                    format!("{addr} is link-local, and no next hop for other links"),
                ));
            }
            both.1 = Some(addr);
        }
        Ok(both)
    }
}

impl NetworkSpec {
    /// Checks every value.
    ///
    /// # Errors
    /// The first wrong value, with its key and the remedy.
    pub fn parse(&self, name: NetworkName) -> Result<Network, SpecError> {
        refuse(&[
            ("vrf", self.vrf, "VRFs"),
            (
                "local_out",
                self.local_out,
                "policy for the host's own traffic",
            ),
            ("last_resort", self.last_resort, "routes of last resort"),
            ("vni", self.vni, "overlays"),
            ("rd", self.rd, "overlays"),
            ("import_targets", self.import_targets, "overlays"),
            ("export_targets", self.export_targets, "overlays"),
            ("source_guard", self.source_guard, "source guard"),
            ("proxy_arp", self.proxy_arp, "proxy ARP"),
            ("gateway_mac", self.gateway_mac, "gateway MAC of its own"),
            ("ra", self.ra, "router advertisements for guests"),
            ("dhcp", self.dhcp, "DHCP for guests"),
            ("dns", self.dns, "DNS settings for guests"),
            ("guest_bgp", self.guest_bgp, "BGP with guests"),
        ])?;
        let gateway = match &self.gateway {
            None => Network::default_gateway(),
            Some(texts) => each(texts, "gateway", gateway_address)?,
        };
        if let Some((i, twice)) = repeated(&gateway) {
            return Err(wrong(
                format!("gateway[{i}]"),
                format!("{twice} is in the list already; remove it"),
            ));
        }
        let (next_hop_v4, next_hop_v6) = match &self.next_hop {
            Some(spec) => spec.parse().map_err(|e| within("next_hop", e))?,
            None => (None, None),
        };
        Ok(Network {
            name,
            gateway,
            allow: each(&self.allow, "allow", str::parse::<Prefix>)?,
            bridge: match &self.bridge {
                Some(text) => Some(IfName::new(text).map_err(|e| wrong("bridge", e))?),
                None => None,
            },
            peers: match &self.peers {
                Some(texts) => Some(each(texts, "peers", PeerName::new)?),
                None => None,
            },
            domain: table(self.table.as_ref()).map_err(|e| wrong("table", e))?,
            next_hop_v4,
            next_hop_v6,
        })
    }
}

fn gateway_address(text: &str) -> Result<IpAddr, String> {
    let addr = host_address(text)?;
    if addr.is_loopback() {
        return Err(format!(
            "{addr} is a loopback address, which guests cannot reach"
        ));
    }
    Ok(addr)
}

fn repeated<T: PartialEq>(list: &[T]) -> Option<(usize, &T)> {
    list.iter()
        .enumerate()
        .find(|(i, item)| list[..*i].contains(item))
}

/// A kernel table (`linux/rtnetlink.h`): 255 is the kernel's own, 0 means none.
pub(super) fn table(spec: Option<&NumberOrWord>) -> Result<Domain, String> {
    match spec {
        None => Ok(Domain::MAIN),
        Some(NumberOrWord::Word(word)) if word == "main" => Ok(Domain::MAIN),
        Some(NumberOrWord::Word(word)) => Err(format!(
            "{word:?} is no table; write \"main\" or a number without quotes"
        )),
        Some(NumberOrWord::Number(255)) => {
            Err("table 255 (local) belongs to the kernel; use another".into())
        }
        Some(NumberOrWord::Number(number)) => u32::try_from(*number)
            .ok()
            .filter(|n| *n > 0)
            .map(Domain)
            .ok_or_else(|| format!("{number} is no table; write 1 to 4294967295")),
    }
}
