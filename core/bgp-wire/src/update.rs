//! UPDATE: what is reachable, what no longer is, and what was wrong with it (RFC 4271 §6.3, RFC 7606).

mod block;
mod distinct;
mod judge;
mod multiprotocol;
mod scan;
mod widen;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use tapway_model::Family;

use crate::nlri::NlriError;
use crate::reader::Reader;
use crate::{
    AfiSafi, AttributeCode, DecodeContext, ErrorCode, NextHop, Nlri, NotificationError,
    RawAttributes,
};
use multiprotocol::Mp;
use scan::Scan;

/// NLRI that are reachable, all by one next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach<'a> {
    /// The next hop.
    pub next_hop: NextHop,
    /// The prefixes.
    pub nlri: Nlri<'a>,
}

/// NLRI that are no longer reachable.
pub type Unreach<'a> = Nlri<'a>;

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
    ignored: [Option<AfiSafi>; 3],
    end_of_rib: Option<Family>,
    faults: Vec<Fault>,
}

impl<'a> Update<'a> {
    /// Decodes what follows the header.
    ///
    /// # Errors
    /// When the session must end.
    pub fn decode(body: &'a [u8], cx: &DecodeContext) -> Result<Update<'a>, NotificationError> {
        let mut read = Reader::new(body);
        let mut field = || {
            let len = usize::from(read.u16()?);
            read.take(len)
        };
        let (Some(withdrawn), Some(attributes)) = (field(), field()) else {
            return Err(NotificationError::new(
                ErrorCode::MALFORMED_ATTRIBUTE_LIST,
                &[],
                "the withdrawn routes or the attributes are longer than the message",
            ));
        };
        let withdrawn = classic(withdrawn, "withdrawn routes", cx)?;
        let nlri = classic(read.rest(), "NLRI", cx)?;
        let scan = Scan::run(attributes, cx)?;
        Update::assemble(withdrawn, nlri, scan, cx)
    }

    /// Puts the parts together, judges what is missing, and does what RFC 7606 says.
    fn assemble(
        withdrawn: Classic<'a>,
        nlri: Classic<'a>,
        mut scan: Scan<'a>,
        cx: &DecodeContext,
    ) -> Result<Update<'a>, NotificationError> {
        let classic_reach = nlri.filter(|nlri| !nlri.is_empty());
        let mp_reach = scan.reach.and_then(Mp::routes);
        let mp_reach = mp_reach.filter(|reach| !reach.nlri.is_empty());
        if classic_reach.is_some() || mp_reach.is_some() {
            scan.require(AttributeCode::ORIGIN, "ORIGIN is missing");
            scan.require(AttributeCode::AS_PATH, "AS_PATH is missing");
        }
        let classic_reach = classic_reach.map(|nlri| (scan.classic_next_hop(), nlri));
        let reachable = !is_empty(&nlri) || scan.reach.is_some_and(|mp| !mp.is_empty());

        let mut update = Update {
            attributes: Cow::Borrowed(&[]),
            reach: [None; 2],
            unreach: [withdrawn, scan.unreach.and_then(Mp::routes), None, None],
            ignored: ignored(&withdrawn, &nlri, &scan),
            end_of_rib: match reachable || !is_empty(&withdrawn) {
                true => None,
                false => end_of_rib(&scan, cx),
            },
            faults: scan.faults,
        };
        if let Some(fatal) = scan.withdraw {
            // RFC 7606 §5.2: without reachable NLRI nobody knows what should be withdrawn.
            if !reachable {
                return Err(fatal.into_error());
            }
            update.unreach[2] = classic_reach.map(|(_, nlri)| nlri);
            update.unreach[3] = mp_reach.map(|reach| reach.nlri);
        } else if classic_reach.is_some() || mp_reach.is_some() {
            let classic_reach = classic_reach.and_then(|(next_hop, nlri)| {
                Some(Reach {
                    next_hop: next_hop?,
                    nlri,
                })
            });
            update.reach = [classic_reach, mp_reach];
            update.attributes = scan.block.finish();
        }
        for run in &mut update.unreach {
            *run = run.filter(|nlri| !nlri.is_empty());
        }
        Ok(update)
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

    /// The attributes of all that is reachable; none when nothing is.
    pub fn attributes(&self) -> RawAttributes<'_> {
        RawAttributes::new(&self.attributes)
    }

    /// The family of which this message ends the first transfer of routes (RFC 4724 §2).
    pub const fn end_of_rib(&self) -> Option<Family> {
        self.end_of_rib
    }

    /// Families whose NLRI were ignored, as they are unknown or not negotiated.
    pub fn ignored(&self) -> impl Iterator<Item = AfiSafi> + '_ {
        self.ignored.iter().flatten().copied()
    }

    /// What was wrong with it.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether it is treated as a withdraw of all it calls reachable (RFC 7606).
    pub fn treated_as_withdraw(&self) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.action == FaultAction::TreatAsWithdraw)
    }
}

/// A classic field of IPv4 prefixes; `None` when it was not checked, as IPv4 was not negotiated and it is not empty.
type Classic<'a> = Option<Nlri<'a>>;

fn is_empty(field: &Classic<'_>) -> bool {
    field.is_some_and(|nlri| nlri.is_empty())
}

/// The families whose NLRI are not taken.
fn ignored(withdrawn: &Classic<'_>, nlri: &Classic<'_>, scan: &Scan<'_>) -> [Option<AfiSafi>; 3] {
    let classic = withdrawn.is_none() || nlri.is_none();
    let reach = scan.reach.and_then(|mp| mp.ignored());
    let unreach = scan.unreach.and_then(|mp| mp.ignored());
    [
        classic.then_some(AfiSafi::IPV4_UNICAST),
        reach,
        unreach.filter(|_| unreach != reach),
    ]
}

/// What a message without any classic or reachable NLRI ends.
fn end_of_rib(scan: &Scan<'_>, cx: &DecodeContext) -> Option<Family> {
    match (scan.reach, scan.unreach) {
        (None, Some(Mp::Routes(nlri))) if nlri.is_empty() => Some(nlri.family()),
        (None, None) if scan.is_empty() && cx.families.ipv4 => Some(Family::Ipv4),
        _ => None,
    }
}

fn classic<'a>(
    bytes: &'a [u8],
    field: &'static str,
    cx: &DecodeContext,
) -> Result<Classic<'a>, NotificationError> {
    if !cx.families.ipv4 {
        return Ok(bytes.is_empty().then_some(Nlri::empty(Family::Ipv4)));
    }
    Nlri::check(bytes, Family::Ipv4, cx.add_path.ipv4)
        .map(Some)
        .map_err(|error| {
            let text = alloc::format!("{field}: {}", error.text());
            NotificationError::new(ErrorCode::INVALID_NETWORK, &[], text)
        })
}

impl NlriError {
    /// For people.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            NlriError::PrefixLength => "a prefix is longer than its family allows",
            NlriError::Overrun => "the last prefix is cut short",
        }
    }
}
