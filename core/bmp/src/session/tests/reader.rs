//! A collector that is not ours: bgpkit-parser reads the messages, and what they say is put together here.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bgpkit_parser::models::{
    AsnLength, AttributeValue, BgpMessage, BgpUpdateMessage, NetworkPrefix,
};
use bgpkit_parser::parser::bgp::messages::parse_bgp_message;
use bgpkit_parser::parser::bmp::messages::{BmpMessageBody, PerPeerFlags};
use bgpkit_parser::parser::bmp::parse_bmp_msg;

use crate::message::Message;

/// What somebody knows who heard all of this: peer, table, prefix and path, and what is said of it.
pub(super) fn read(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    // Which sessions have path identifiers is known from the OPENs; our own reader cuts the messages.
    let mut add_path = BTreeMap::new();
    let mut rest = bytes;
    while let Some((len, message)) = Message::decode(rest).unwrap() {
        let (this, after) = rest.split_at(len);
        rest = after;
        match message {
            Message::PeerUp(peer, up, _) => {
                // The peer offers to send them: capability 69 (RFC 7911 §4).
                let both = up.received_open.windows(2).any(|w| w == [69, 8]);
                add_path.insert(peer.address, both);
            }
            Message::PeerDown(peer, _) => {
                let who = format!("{} ", peer.address);
                known.retain(|key: &String, _| !key.starts_with(&who));
                continue;
            }
            _ => {}
        }
        let theirs = parse_bmp_msg(&mut this.to_vec().into()).unwrap();
        let (Some(header), BmpMessageBody::RouteMonitoring(_)) =
            (theirs.per_peer_header, theirs.message_body)
        else {
            continue;
        };
        let (table, out) = match header.peer_flags {
            PerPeerFlags::LocalRibPeerFlags(_) => ("best", true),
            PerPeerFlags::PeerFlags(flags) => {
                match (flags.is_adj_rib_out(), flags.is_post_policy()) {
                    (true, _) => ("sent", true),
                    (false, true) => ("imported", false),
                    (false, false) => ("received", false),
                }
            }
        };
        let paths = !out && add_path.get(&header.peer_ip).copied().unwrap_or(false);
        let length = header.asn_length();
        let mut update = this[48..].to_vec().into();
        let BgpMessage::Update(update) = parse_bgp_message(&mut update, paths, &length).unwrap()
        else {
            panic!("a route is no UPDATE");
        };
        apply(
            &mut known,
            &format!("{} {table}", header.peer_ip),
            &update,
            length,
        );
    }
    known
}

fn apply(
    known: &mut BTreeMap<String, String>,
    whose: &str,
    update: &BgpUpdateMessage,
    _: AsnLength,
) {
    let key = |p: &NetworkPrefix| match p.path_id {
        Some(id) => format!("{whose} {} path {id}", p.prefix),
        None => format!("{whose} {}", p.prefix),
    };
    let mut announced: Vec<&NetworkPrefix> = update.announced_prefixes.iter().collect();
    let mut withdrawn: Vec<&NetworkPrefix> = update.withdrawn_prefixes.iter().collect();
    let mut said = Vec::new();
    let mut unreach: Vec<&NetworkPrefix> = Vec::new();
    let mut reach: Vec<&NetworkPrefix> = Vec::new();
    for attribute in update.attributes.iter() {
        match attribute {
            AttributeValue::MpReachNlri(nlri) => {
                reach.extend(&nlri.prefixes);
                said.push(format!("by {:?}", nlri.next_hop));
            }
            AttributeValue::MpUnreachNlri(nlri) => unreach.extend(&nlri.prefixes),
            // Told in four octets or in two: the same path.
            AttributeValue::AsPath(path) => said.push(format!("path {path}")),
            other => said.push(format!("{other:?}")),
        }
    }
    announced.extend(reach);
    withdrawn.extend(unreach);
    for prefix in withdrawn {
        known.remove(&key(prefix));
    }
    said.sort();
    for prefix in announced {
        known.insert(key(prefix), said.join(", ").to_string());
    }
}
