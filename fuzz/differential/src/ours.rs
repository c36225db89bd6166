//! This codec.

use std::net::IpAddr;

use tapway_bgp_wire::{DecodeContext, FaultAction, NlriEntry, Update};

use crate::reading::{Action, Entry, Reading};

fn entry(entry: NlriEntry) -> Entry {
    (entry.prefix.addr(), entry.prefix.len(), entry.path_id)
}

pub(crate) fn read(body: &[u8], cx: &DecodeContext) -> Reading {
    let update = match Update::decode(body, cx) {
        Ok(update) => update,
        Err(error) => return Reading::bare(Action::Reset, error),
    };
    let worst = update.faults().iter().map(|fault| fault.action).max();
    let action = match worst {
        None => Action::Accept,
        Some(FaultAction::AttributeDiscard) => Action::Discard,
        Some(FaultAction::TreatAsWithdraw) => Action::Withdraw,
    };
    let mut reading = Reading::bare(action, format!("{:?}", update.faults()));
    for reach in update.reach() {
        let next_hop: IpAddr = reach.next_hop.addr();
        reading
            .reach
            .extend(reach.nlri.iter().map(|e| (entry(e), next_hop)));
    }
    reading.unreach = update
        .unreach()
        .flat_map(|nlri| nlri.iter())
        .map(entry)
        .collect();
    reading.set_attributes(update.attributes().bytes());
    reading
}
