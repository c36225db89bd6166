//! UPDATEs read by tapway's codec and by three others: rustbgpd-wire, netgauze-bgp-pkt and bgpkit-parser.
//!
//! Where two accept a message, they must have read the same routes and attributes. Where one refuses what the other accepts, or
//! takes another action of RFC 7606, that is one of the differences in `differences.rs`, with the clause by which
//! tapway does what it does; anything else is a fault of somebody.

mod bgpkit;
mod differences;
mod message;
mod netgauze;
mod ours;
mod reading;
mod rustbgpd;

use tapway_bgp_wire::{DecodeContext, PerFamily};

use crate::differences::{Codec, Facts};
use crate::message::Message;
use crate::reading::{Action, Reading};

/// A context out of one byte. Both families are spoken always: another codec does not know which are.
fn context(bits: u8) -> DecodeContext {
    let bit = |n: u8| bits & 1 << n != 0;
    DecodeContext {
        four_octet_asn: !bit(0),
        extended_message: true,
        internal: bit(2),
        families: PerFamily {
            ipv4: true,
            ipv6: true,
        },
        add_path: PerFamily {
            ipv4: bit(5),
            ipv6: bit(6),
        },
        extended_next_hop: bit(7),
        first_as: None,
    }
}

/// A context byte and the body of an UPDATE.
///
/// # Panics
/// When the codecs differ in a way that is not known.
pub fn update(data: &[u8]) {
    if let Err(what) = differences(data) {
        panic!("{what}");
    }
}

/// By which clauses the codecs differ about this message.
///
/// # Errors
/// When one differs in a way that is not known: how.
pub fn differences(data: &[u8]) -> Result<Vec<&'static str>, String> {
    let mut clauses = Vec::new();
    let Some((&bits, body)) = data.split_first() else {
        return Ok(clauses);
    };
    if body.len() > usize::from(u16::MAX) - 19 {
        return Ok(clauses);
    }
    let cx = context(bits);
    let ours = ours::read(body, &cx).sorted();
    let Some(message) = Message::read(body) else {
        return match ours.action {
            Action::Reset => Ok(clauses),
            _ => Err(format!("the lengths do not agree: {ours:?}")),
        };
    };
    let facts = Facts {
        message: &message,
        cx: &cx,
    };
    type Read = fn(&[u8], &DecodeContext) -> Reading;
    let codecs: [(Codec, Read); 3] = [
        (Codec::Rustbgpd, rustbgpd::read),
        (Codec::Netgauze, netgauze::read),
        (Codec::Bgpkit, bgpkit::read),
    ];
    for (codec, read) in codecs {
        if !facts.comparable(codec) {
            continue;
        }
        let theirs = read(body, &cx).sorted();
        let found = compare(codec, &facts, &ours, &theirs).map_err(|what| {
            format!(
                "{codec:?}: {what}\nmessage {message:?}\n{cx:?}\nours {ours:?}\ntheirs {theirs:?}"
            )
        });
        clauses.extend(found?);
    }
    Ok(clauses)
}

/// The clause by which the actions differ, if they do. What both take must be the same.
fn compare(
    codec: Codec,
    facts: &Facts<'_>,
    ours: &Reading,
    theirs: &Reading,
) -> Result<Option<&'static str>, String> {
    let (mine, other) = (ours.action, theirs.action);
    let same = match codec {
        // The other two know no actions: what they do not accept they refuse.
        Codec::Netgauze | Codec::Bgpkit => (mine == Action::Accept) == (other == Action::Accept),
        Codec::Rustbgpd => mine == other,
    };
    let clause = match same {
        true => None,
        false => {
            let clause = differences::clause(codec, facts, mine, other);
            let what = || format!("{mine:?} and {other:?}: {} and {}", ours.text, theirs.text);
            Some(clause.ok_or_else(what)?)
        }
    };
    match (mine, other) {
        (Action::Accept | Action::Discard, Action::Accept | Action::Discard) => {
            facts.same_routes(ours, theirs)?;
            facts.same_attributes(codec, ours, theirs)?;
        }
        (Action::Withdraw, Action::Withdraw) => {
            let mut all = theirs.unreach.clone();
            all.extend(theirs.reach.iter().map(|(entry, _)| *entry));
            all.sort_unstable();
            if all != ours.unreach {
                return Err(format!("withdrawn are {:?} and {all:?}", ours.unreach));
            }
        }
        _ => {}
    }
    Ok(clause)
}

/// Every clause by which tapway's codec may differ from another one.
pub fn clauses() -> impl Iterator<Item = &'static str> {
    differences::KNOWN.iter().map(|known| known.why)
}
