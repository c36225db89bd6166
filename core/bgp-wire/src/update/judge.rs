//! What one attribute by itself is worth (RFC 7606 §7, RFC 8092, RFC 9234, RFC 6793 §6).

use crate::attribute::{AsnWidth, PathFault};
use crate::{AsPath, AttributeCode, DecodeContext, ErrorCode, FaultAction, RawAttribute};

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is kept.
    Keep,
    /// It is left out, and nothing is wrong.
    Drop,
    /// It is left out, and something is wrong.
    Fault(FaultAction, ErrorCode, &'static str),
    /// The session ends.
    Reset(ErrorCode, &'static str),
}

const DISCARD: FaultAction = FaultAction::AttributeDiscard;
const WITHDRAW: FaultAction = FaultAction::TreatAsWithdraw;

/// Judges any attribute but MP_REACH_NLRI and MP_UNREACH_NLRI.
pub(super) fn judge(attribute: &RawAttribute<'_>, cx: &DecodeContext) -> Judgement {
    let code = attribute.code;
    let Some(flags) = code.flags() else {
        return unknown(attribute);
    };
    match code {
        // RFC 7606 §7.5, 7.9, 7.10
        AttributeCode::LOCAL_PREF | AttributeCode::ORIGINATOR_ID | AttributeCode::CLUSTER_LIST
            if !cx.internal =>
        {
            let reason = "only internal peers may send it";
            return Judgement::Fault(DISCARD, ErrorCode::OPTIONAL_ATTRIBUTE, reason);
        }
        // RFC 6793 §4.1
        AttributeCode::AS4_PATH | AttributeCode::AS4_AGGREGATOR if cx.four_octet_asn => {
            return Judgement::Drop;
        }
        _ => {}
    }
    if attribute.flags.0 & 0xc0 != flags {
        // RFC 7606 §3 (c), whatever a wrong content leads to.
        let reason = "its optional or transitive flag is wrong";
        return Judgement::Fault(WITHDRAW, ErrorCode::ATTRIBUTE_FLAGS, reason);
    }
    match content(attribute, cx) {
        Ok(()) => Judgement::Keep,
        Err((error, reason)) => Judgement::Fault(action(code), error, reason),
    }
}

/// RFC 4271 §6.3, which RFC 7606 leaves as it is for an unknown attribute that calls itself well-known;
/// §5: an unknown one that is not transitive is ignored.
fn unknown(attribute: &RawAttribute<'_>) -> Judgement {
    if !attribute.flags.optional() {
        let reason = "it calls itself well-known but is unknown";
        return Judgement::Reset(ErrorCode::UNRECOGNIZED_WELL_KNOWN, reason);
    }
    match attribute.flags.transitive() {
        true => Judgement::Keep,
        false => Judgement::Drop,
    }
}

/// What a fault in the content of this attribute leads to (RFC 7606 §7, RFC 6793 §6).
const fn action(code: AttributeCode) -> FaultAction {
    match code {
        AttributeCode::ATOMIC_AGGREGATE
        | AttributeCode::AGGREGATOR
        | AttributeCode::AS4_PATH
        | AttributeCode::AS4_AGGREGATOR => DISCARD,
        _ => WITHDRAW,
    }
}

fn content(
    attribute: &RawAttribute<'_>,
    cx: &DecodeContext,
) -> Result<(), (ErrorCode, &'static str)> {
    let value = attribute.value;
    let multiple_of = |unit: usize, reason| match value.len() {
        0 => Err((ErrorCode::ATTRIBUTE_LENGTH, "it is empty")),
        len if len % unit != 0 => Err((ErrorCode::ATTRIBUTE_LENGTH, reason)),
        _ => Ok(()),
    };
    let exactly = |len: usize, reason| match value.len() == len {
        true => Ok(()),
        false => Err((ErrorCode::ATTRIBUTE_LENGTH, reason)),
    };
    let width = match cx.four_octet_asn {
        true => AsnWidth::Four,
        false => AsnWidth::Two,
    };
    match attribute.code {
        AttributeCode::ORIGIN => match value {
            [0..=2] => Ok(()),
            [_] => Err((ErrorCode::INVALID_ORIGIN, "it is not 0, 1 or 2")),
            _ => Err((ErrorCode::ATTRIBUTE_LENGTH, "it has not one octet")),
        },
        AttributeCode::AS_PATH => as_path(value, width, cx),
        AttributeCode::NEXT_HOP
        | AttributeCode::MED
        | AttributeCode::LOCAL_PREF
        | AttributeCode::ORIGINATOR_ID
        | AttributeCode::ONLY_TO_CUSTOMER => exactly(4, "it has not four octets"),
        AttributeCode::ATOMIC_AGGREGATE => exactly(0, "it is not empty"),
        AttributeCode::AGGREGATOR => aggregator(value, width),
        AttributeCode::AS4_AGGREGATOR => aggregator(value, AsnWidth::Four),
        AttributeCode::COMMUNITIES | AttributeCode::CLUSTER_LIST => {
            multiple_of(4, "its length is no multiple of four")
        }
        AttributeCode::EXTENDED_COMMUNITIES => multiple_of(8, "its length is no multiple of eight"),
        AttributeCode::LARGE_COMMUNITIES => multiple_of(12, "its length is no multiple of twelve"),
        AttributeCode::AS4_PATH => match value {
            [] => Err((ErrorCode::ATTRIBUTE_LENGTH, "it is empty")),
            _ => AsPath::check(value, AsnWidth::Four, true)
                .map(|_| ())
                .map_err(|PathFault(reason)| (ErrorCode::OPTIONAL_ATTRIBUTE, reason)),
        },
        _ => Ok(()),
    }
}

fn as_path(
    value: &[u8],
    width: AsnWidth,
    cx: &DecodeContext,
) -> Result<(), (ErrorCode, &'static str)> {
    let malformed = |reason| (ErrorCode::MALFORMED_AS_PATH, reason);
    // Confederation segments do not come from outside, and there is no confederation here (RFC 5065 §5).
    let first =
        AsPath::check(value, width, cx.internal).map_err(|PathFault(reason)| malformed(reason))?;
    match cx.first_as {
        Some(asn) if !cx.internal && first != Some(asn) => {
            Err(malformed("it does not begin with the peer's AS"))
        }
        _ => Ok(()),
    }
}

fn aggregator(value: &[u8], width: AsnWidth) -> Result<(), (ErrorCode, &'static str)> {
    if value.len() != width.octets() + 4 {
        return Err((ErrorCode::ATTRIBUTE_LENGTH, "its length is wrong"));
    }
    // RFC 7607
    match value[..width.octets()].iter().all(|octet| *octet == 0) {
        true => Err((ErrorCode::OPTIONAL_ATTRIBUTE, "its AS is 0")),
        false => Ok(()),
    }
}
