//! UPDATE: what is reachable, what no longer is, and what was wrong with it (RFC 4271 §6.3, RFC 7606).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use tapway_model::Family;

use crate::{
    AfiSafi, AttributeCode, DecodeContext, ErrorCode, NextHop, Nlri, NotificationError,
    RawAttributes,
};

/// NLRI that are reachable, all by one next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach<'a> {
    /// The next hop.
    pub next_hop: NextHop,
    /// The prefixes.
    pub nlri: Nlri<'a>,
}

/// What RFC 7606 does about a malformed attribute, short of ending the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultAction {
    /// The attribute is ignored.
    AttributeDiscard,
    /// All that the message calls reachable is withdrawn.
    TreatAsWithdraw,
}

/// One thing that was wrong with an UPDATE. For the log and for counters: its action has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The attribute that was wrong or missing, if it was one.
    pub attribute: Option<AttributeCode>,
    /// What was done about it.
    pub action: FaultAction,
    /// What it would have been before RFC 7606.
    pub error: ErrorCode,
    /// What was wrong, for people.
    pub reason: &'static str,
}

/// A decoded UPDATE.
///
/// Withdraw [`unreach`](Update::unreach) first, then install [`reach`](Update::reach): a prefix in both is
/// reachable (RFC 4271 §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    attributes: Cow<'a, [u8]>,
    reach: [Option<Reach<'a>>; 2],
    unreach: [Option<Nlri<'a>>; 4],
    ignored: [Option<AfiSafi>; 2],
    end_of_rib: Option<Family>,
    faults: Vec<Fault>,
}

/// NLRI that are no longer reachable.
pub type Unreach<'a> = Nlri<'a>;

impl<'a> Update<'a> {
    /// Decodes what follows the header.
    ///
    /// # Errors
    /// When the session must end.
    pub fn decode(body: &'a [u8], cx: &DecodeContext) -> Result<Update<'a>, NotificationError> {
        let _ = (body, cx);
        Err(NotificationError::new(
            ErrorCode::UPDATE,
            &[],
            "not decoded",
        ))
    }

    /// What is reachable: at most one run of classic IPv4 NLRI and one of MP_REACH_NLRI. Nothing
    /// when the message is treated as a withdraw.
    pub fn reach(&self) -> impl Iterator<Item = &Reach<'a>> {
        self.reach.iter().flatten()
    }

    /// What is no longer reachable, including what RFC 7606 says to treat so.
    pub fn unreach(&self) -> impl Iterator<Item = &Unreach<'a>> {
        self.unreach.iter().flatten()
    }

    /// The attributes of all that is reachable.
    pub fn attributes(&self) -> RawAttributes<'_> {
        RawAttributes::new(&self.attributes)
    }

    /// The family of which this message ends the first transfer of routes (RFC 4724 §2).
    pub const fn end_of_rib(&self) -> Option<Family> {
        self.end_of_rib
    }

    /// Families of MP_REACH_NLRI and MP_UNREACH_NLRI that were ignored, as they are unknown or not negotiated.
    pub fn ignored(&self) -> impl Iterator<Item = AfiSafi> + '_ {
        self.ignored.iter().flatten().copied()
    }

    /// What was wrong with it.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}
