//! netgauze-bgp-pkt: the codec of a collector; refuses a message as a whole.

use std::collections::HashMap;
use std::net::IpAddr;

use netgauze_bgp_pkt::nlri::{Ipv4UnicastAddress, Ipv6UnicastAddress};
use netgauze_bgp_pkt::path_attribute::{
    Aggregator, AsPath, MpReach, MpUnreach, PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_iana::address_family::AddressType;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use tapway_bgp_wire::DecodeContext;

use crate::reading::{Action, Entry, Reading, next_hop};

fn v4(address: &Ipv4UnicastAddress) -> Entry {
    let net = address.network().address();
    let id = address.path_id().unwrap_or_default();
    (net.network().into(), net.prefix_len(), id)
}

fn v6(address: &Ipv6UnicastAddress) -> Entry {
    let net = address.network().address();
    let id = address.path_id().unwrap_or_default();
    (net.network().into(), net.prefix_len(), id)
}

pub(crate) fn read(body: &[u8], cx: &DecodeContext) -> Reading {
    let add_path = HashMap::from([
        (AddressType::Ipv4Unicast, cx.add_path.ipv4),
        (AddressType::Ipv6Unicast, cx.add_path.ipv6),
    ]);
    let mut context = BgpParsingContext::new(
        cx.four_octet_asn,
        HashMap::new(),
        add_path,
        false,
        false,
        true,
        true,
    );
    let mut reader = SliceReader::new(body);
    let update = match BgpUpdateMessage::parse(&mut reader, &mut context) {
        Ok(update) => update,
        Err(error) => return Reading::bare(Action::Reset, format!("{error:?}")),
    };
    let mut reading = Reading::bare(Action::Accept, "");
    let ignored = context.parsing_errors();
    let outside =
        ignored.non_unicast_update_nlri().len() + ignored.non_unicast_withdraw_nlri().len();
    if outside > 0 {
        reading.text = format!("{outside} prefixes are not unicast");
    }
    reading.unreach = update.withdraw_routes().iter().map(v4).collect();
    // The first of several counts.
    let mut by: Option<IpAddr> = None;
    let mut block = Vec::new();
    for attribute in update.path_attributes() {
        match attribute.value() {
            PathAttributeValue::MpReach(mp) => reach(mp, &mut reading),
            PathAttributeValue::MpUnreach(MpUnreach::Ipv4Unicast { nlri }) => {
                reading.unreach.extend(nlri.iter().map(v4));
            }
            PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri }) => {
                reading.unreach.extend(nlri.iter().map(v6));
            }
            PathAttributeValue::MpUnreach(_) => {}
            value => {
                if let PathAttributeValue::NextHop(hop) = value {
                    by.get_or_insert(hop.next_hop().into());
                }
                written(attribute, &mut block);
            }
        }
    }
    let by = by.unwrap_or(IpAddr::from([0; 4]));
    reading
        .reach
        .extend(update.nlri().iter().map(|a| (v4(a), by)));
    reading.set_attributes(&block);
    reading
}

fn reach(mp: &MpReach, reading: &mut Reading) {
    match mp {
        MpReach::Ipv4Unicast {
            next_hop: by,
            next_hop_local,
            nlri,
        } => {
            let by = next_hop(*by, *next_hop_local);
            reading.reach.extend(nlri.iter().map(|a| (v4(a), by)));
        }
        MpReach::Ipv6Unicast {
            next_hop_global,
            next_hop_local,
            nlri,
        } => {
            let by = next_hop((*next_hop_global).into(), *next_hop_local);
            reading.reach.extend(nlri.iter().map(|a| (v6(a), by)));
        }
        _ => {}
    }
}

/// Appends an attribute with AS numbers of four octets.
fn written(attribute: &PathAttribute, block: &mut Vec<u8>) {
    let flags = u8::from(attribute.optional()) << 7
        | u8::from(attribute.transitive()) << 6
        | u8::from(attribute.partial()) << 5
        | 0x10;
    let mut put = |code: u8, value: &[u8]| {
        block.extend([flags, code]);
        block.extend((value.len() as u16).to_be_bytes());
        block.extend(value);
    };
    match attribute.value() {
        PathAttributeValue::AsPath(AsPath::As2PathSegments(segments)) => {
            let mut value = Vec::new();
            for segment in segments {
                value.extend([
                    segment.segment_type() as u8,
                    segment.as_numbers().len() as u8,
                ]);
                let wide = segment.as_numbers().iter().map(|asn| u32::from(*asn));
                value.extend(wide.flat_map(u32::to_be_bytes));
            }
            put(2, &value);
        }
        PathAttributeValue::Aggregator(Aggregator::As2Aggregator(aggregator)) => {
            let asn = u32::from(*aggregator.asn()).to_be_bytes();
            put(7, &[asn, aggregator.origin().octets()].concat());
        }
        PathAttributeValue::UnknownAttribute(unknown) => put(unknown.code(), unknown.value()),
        _ => attribute.write(block).expect("memory takes all"),
    }
}
