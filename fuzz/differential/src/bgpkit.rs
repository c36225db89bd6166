//! bgpkit-parser: reads archives, refuses little and warns of the rest.

use std::net::IpAddr;

use bgpkit_parser::models::{
    Afi, AsnLength, Attribute, AttributeValue, NetworkPrefix, NextHopAddress, Safi,
};
use bgpkit_parser::parser::bgp::messages::parse_bgp_update_message;
use bytes::Bytes;
use tapway_bgp_wire::DecodeContext;

use crate::reading::{Action, Entry, Reading, next_hop};

fn entry(prefix: &NetworkPrefix) -> Entry {
    let net = prefix.prefix;
    (net.network(), net.prefix_len(), prefix.path_id.unwrap_or(0))
}

/// Path identifiers are for all families or none there: `cx` must say so, too.
pub(crate) fn read(body: &[u8], cx: &DecodeContext) -> Reading {
    let width = match cx.four_octet_asn {
        true => AsnLength::Bits32,
        false => AsnLength::Bits16,
    };
    let bytes = Bytes::copy_from_slice(body);
    let update = match parse_bgp_update_message(bytes, cx.add_path.ipv4, &width) {
        Ok(update) => update,
        Err(error) => return Reading::bare(Action::Reset, error),
    };
    let warnings = update.attributes.validation_warnings();
    let action = match warnings.is_empty() {
        true => Action::Accept,
        false => Action::Reset,
    };
    let mut reading = Reading::bare(action, format!("{warnings:?}"));
    reading.unreach = update.withdrawn_prefixes.iter().map(entry).collect();
    // The first of several counts.
    let mut by: Option<IpAddr> = None;
    let mut block = Vec::new();
    for attribute in update.attributes.into_attributes_iter() {
        match &attribute.value {
            AttributeValue::MpReachNlri(nlri) => {
                let unicast = matches!(
                    (nlri.afi, nlri.safi),
                    (Afi::Ipv4 | Afi::Ipv6, Safi::Unicast)
                );
                let Some(by) = nlri.next_hop.filter(|_| unicast).map(hop) else {
                    continue;
                };
                reading
                    .reach
                    .extend(nlri.prefixes.iter().map(|p| (entry(p), by)));
            }
            AttributeValue::MpUnreachNlri(nlri) => {
                if matches!(
                    (nlri.afi, nlri.safi),
                    (Afi::Ipv4 | Afi::Ipv6, Safi::Unicast)
                ) {
                    reading.unreach.extend(nlri.prefixes.iter().map(entry));
                }
            }
            value => {
                if let AttributeValue::NextHop(addr) = value {
                    by.get_or_insert(*addr);
                }
                if action == Action::Accept {
                    written(&attribute, &mut block);
                }
            }
        }
    }
    let by = by.unwrap_or(IpAddr::from([0; 4]));
    let announced = update.announced_prefixes.iter();
    reading.reach.extend(announced.map(|p| (entry(p), by)));
    reading.set_attributes(&block);
    reading
}

fn hop(address: NextHopAddress) -> IpAddr {
    match address {
        NextHopAddress::Ipv4(addr) => addr.into(),
        NextHopAddress::Ipv6(addr) | NextHopAddress::VpnIpv6(_, addr) => addr.into(),
        NextHopAddress::Ipv6LinkLocal(addr, link_local)
        | NextHopAddress::VpnIpv6LinkLocal(_, addr, _, link_local) => {
            next_hop(addr.into(), Some(link_local))
        }
    }
}

/// Appends an attribute with AS numbers of four octets.
fn written(attribute: &Attribute, block: &mut Vec<u8>) {
    match attribute.encode(AsnLength::Bits32) {
        Ok(bytes) => block.extend(bytes),
        Err(error) => panic!("{attribute:?} is not written again: {error}"),
    }
}
