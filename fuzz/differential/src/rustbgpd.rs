//! rustbgpd-wire: a speaker's codec with the actions of RFC 7606.

use std::net::IpAddr;

use rustbgpd_wire::attribute::encode_path_attributes;
use rustbgpd_wire::validate::validate_update_attributes_with_options;
use rustbgpd_wire::{
    Afi, ErrorDisposition, PathAttribute, Prefix, Safi, UpdateMessage, UpdateValidationOptions,
};
use tapway_bgp_wire::DecodeContext;
use tapway_model::Family;

use crate::reading::{Action, Entry, Reading, next_hop};

fn action(disposition: ErrorDisposition) -> Action {
    match disposition {
        ErrorDisposition::AttributeDiscard => Action::Discard,
        ErrorDisposition::TreatAsWithdraw => Action::Withdraw,
        ErrorDisposition::SessionReset => Action::Reset,
    }
}

fn entry(path_id: u32, prefix: Prefix) -> Entry {
    match prefix {
        Prefix::V4(prefix) => (prefix.addr.into(), prefix.len, path_id),
        Prefix::V6(prefix) => (prefix.addr.into(), prefix.len, path_id),
    }
}

pub(crate) fn read(body: &[u8], cx: &DecodeContext) -> Reading {
    let families: Vec<(Afi, Safi)> = [(Family::Ipv4, Afi::Ipv4), (Family::Ipv6, Afi::Ipv6)]
        .into_iter()
        .filter(|(family, _)| cx.add_path[*family])
        .map(|(_, afi)| (afi, Safi::Unicast))
        .collect();
    let raw = match UpdateMessage::decode(&mut &body[..], body.len()) {
        Ok(raw) => raw,
        Err(error) => return Reading::bare(Action::Reset, error),
    };
    let parsed = raw.parse_revised(cx.four_octet_asn, cx.internal, cx.add_path.ipv4, &families);
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return Reading::bare(Action::Reset, error),
    };
    let update = parsed.update;
    let mut reading = Reading::bare(Action::Accept, "");
    for malformed in parsed.malformed {
        reading.action = reading.action.max(action(malformed.disposition));
        reading.text += &format!("{malformed:?} ");
    }
    let v4 = |e: rustbgpd_wire::Ipv4NlriEntry| entry(e.path_id, Prefix::V4(e.prefix));
    reading.unreach = update.withdrawn.into_iter().map(v4).collect();
    let announced: Vec<Entry> = update.announced.into_iter().map(v4).collect();
    let body_nlri = !announced.is_empty();
    // The first of several counts.
    let mut by: Option<IpAddr> = None;
    let mut rest = Vec::new();
    for attribute in &update.attributes {
        match attribute {
            PathAttribute::MpReachNlri(mp) => {
                let by = next_hop(mp.next_hop, mp.link_local_next_hop);
                let all = mp.announced.iter().map(|e| entry(e.path_id, e.prefix));
                reading.reach.extend(all.map(|e| (e, by)));
            }
            PathAttribute::MpUnreachNlri(mp) => {
                let all = mp.withdrawn.iter().map(|e| entry(e.path_id, e.prefix));
                reading.unreach.extend(all);
            }
            other => {
                if let PathAttribute::NextHop(addr) = other {
                    by.get_or_insert((*addr).into());
                }
                rest.push(other.clone());
            }
        }
    }
    let any = body_nlri || !reading.reach.is_empty();
    let by = by.unwrap_or(IpAddr::from([0; 4]));
    reading.reach.extend(announced.into_iter().map(|e| (e, by)));
    let mut options = UpdateValidationOptions::default();
    options.allow_ipv4_link_local_mp_reach_next_hop = true;
    options.link_local_next_hop = true;
    let valid = validate_update_attributes_with_options(
        &update.attributes,
        any,
        body_nlri,
        !cx.internal,
        options,
    );
    if let Err(error) = valid {
        reading.action = reading.action.max(action(error.disposition));
        reading.text += &format!("{error:?}");
    }
    let mut block = Vec::new();
    match encode_path_attributes(&rest, &mut block, true, false) {
        Ok(()) => reading.set_attributes(&block),
        Err(error) => reading.text += &format!("not written again: {error}"),
    }
    reading
}
