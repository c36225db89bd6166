//! One pass over the attributes of an UPDATE (RFC 7606 §3, 4).

use alloc::format;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use super::block::{Block, slice};
use super::distinct::distinct;
use super::judge::{Judgement, judge};
use super::multiprotocol::{self, Mp};
use super::{Fault, FaultAction, Reach, widen};
use crate::attribute::put;
use crate::reader::Reader;
use crate::{
    AttributeCode, DecodeContext, ErrorCode, NextHop, Nlri, NotificationError, RawAttribute,
};

/// What the attributes of one UPDATE say.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// All that is kept.
    pub(super) block: Block<'a>,
    pub(super) reach: Option<Mp<Reach<'a>>>,
    pub(super) unreach: Option<Mp<Nlri<'a>>>,
    pub(super) faults: Vec<Fault>,
    /// The first fault that asks for treat-as-withdraw.
    pub(super) withdraw: Option<Fatal<'a>>,
    next_hop: Option<Ipv4Addr>,
    bytes: &'a [u8],
    seen: Seen,
}

/// A fault with the bytes that a NOTIFICATION about it would carry.
#[derive(Clone, Debug)]
pub(super) struct Fatal<'a> {
    attribute: Option<AttributeCode>,
    error: ErrorCode,
    reason: &'static str,
    data: &'a [u8],
}

/// The codes that have come.
#[derive(Clone, Copy, Debug, Default)]
struct Seen([u64; 4]);

impl Seen {
    const fn place(code: AttributeCode) -> (usize, u64) {
        ((code.0 >> 6) as usize, 1 << (code.0 & 63))
    }

    /// Whether `code` is new.
    const fn insert(&mut self, code: AttributeCode) -> bool {
        let (word, bit) = Seen::place(code);
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    const fn contains(&self, code: AttributeCode) -> bool {
        let (word, bit) = Seen::place(code);
        self.0[word] & bit != 0
    }
}

impl Fatal<'_> {
    pub(super) fn into_error(self) -> NotificationError {
        let text = match self.attribute {
            Some(code) => format!("{code}: {}", self.reason),
            None => self.reason.into(),
        };
        match (self.error, self.attribute) {
            (ErrorCode::MISSING_WELL_KNOWN, Some(code)) => {
                NotificationError::new(self.error, &[code.0], text)
            }
            _ => NotificationError::new(self.error, self.data, text),
        }
    }
}

impl<'a> Scan<'a> {
    /// Reads the attribute field.
    pub(super) fn run(bytes: &'a [u8], cx: &DecodeContext) -> Result<Scan<'a>, NotificationError> {
        let mut scan = Scan {
            block: Block::new(bytes),
            reach: None,
            unreach: None,
            faults: Vec::new(),
            withdraw: None,
            next_hop: None,
            bytes,
            seen: Seen::default(),
        };
        let mut read = Reader::new(bytes);
        while !read.is_empty() {
            let start = bytes.len() - read.rest().len();
            let Some(attribute) = RawAttribute::read(&mut read) else {
                scan.cut_short(start)?;
                break;
            };
            let at = start..bytes.len() - read.rest().len();
            if scan.take(attribute, slice(bytes, at.clone()), cx)? {
                scan.keep(attribute, at);
            }
        }
        if !cx.four_octet_asn {
            scan.block.replace(widen::widen);
        }
        Ok(scan)
    }

    /// Keeps an attribute that lies at `at`.
    fn keep(&mut self, attribute: RawAttribute<'a>, at: Range<usize>) {
        let RawAttribute { flags, code, value } = attribute;
        let shorter = (code == AttributeCode::LARGE_COMMUNITIES)
            .then(|| distinct(value))
            .flatten();
        match shorter {
            Some(value) => self.block.add(|out| {
                put(out, flags.0, code, |out| out.extend_from_slice(&value));
            }),
            None => self.block.keep(at),
        }
    }

    /// Takes in one attribute; whether it is kept.
    fn take(
        &mut self,
        attribute: RawAttribute<'a>,
        raw: &'a [u8],
        cx: &DecodeContext,
    ) -> Result<bool, NotificationError> {
        let code = attribute.code;
        let mp = matches!(
            code,
            AttributeCode::MP_REACH_NLRI | AttributeCode::MP_UNREACH_NLRI
        );
        let reset = |error, reason, data| {
            Err(Fatal {
                attribute: Some(code),
                error,
                reason,
                data,
            }
            .into_error())
        };
        if !self.seen.insert(code) {
            let (error, reason) = (ErrorCode::MALFORMED_ATTRIBUTE_LIST, "it is there twice");
            if mp {
                return reset(error, reason, &[]);
            }
            self.fault(
                Some(code),
                FaultAction::AttributeDiscard,
                error,
                reason,
                raw,
            );
            return Ok(false);
        }
        if mp {
            if attribute.flags.0 & 0xc0 != 0x80 {
                let reason = "its optional or transitive flag is wrong";
                return reset(ErrorCode::ATTRIBUTE_FLAGS, reason, raw);
            }
            let result = match code {
                AttributeCode::MP_REACH_NLRI => {
                    multiprotocol::reach(attribute.value, cx).map(|mp| self.reach = Some(mp))
                }
                _ => multiprotocol::unreach(attribute.value, cx).map(|mp| self.unreach = Some(mp)),
            };
            if let Err(reason) = result {
                return reset(ErrorCode::OPTIONAL_ATTRIBUTE, reason, raw);
            }
            if let Some(Mp::Routes(Reach { next_hop, .. })) = self.reach
                && code == AttributeCode::MP_REACH_NLRI
                && !usable(&next_hop)
            {
                let reason = "its next hop is no unicast address";
                let error = ErrorCode::INVALID_NEXT_HOP;
                self.fault(Some(code), FaultAction::TreatAsWithdraw, error, reason, raw);
            }
            return Ok(false);
        }
        match judge(&attribute, cx) {
            Judgement::Keep => {
                if code == AttributeCode::NEXT_HOP
                    && let Ok(octets) = <[u8; 4]>::try_from(attribute.value)
                {
                    self.next_hop = Some(octets.into());
                }
                Ok(true)
            }
            Judgement::Drop => Ok(false),
            Judgement::Fault(action, error, reason) => {
                self.fault(Some(code), action, error, reason, raw);
                Ok(false)
            }
            Judgement::Reset(error, reason) => reset(error, reason, raw),
        }
    }

    /// The field ends within the attribute that begins at `start` (RFC 7606 §4). Where that holds
    /// NLRI, they are lost, and with them the choice (§3 (j)).
    fn cut_short(&mut self, start: usize) -> Result<(), NotificationError> {
        let data = slice(self.bytes, start..self.bytes.len());
        let code = data.get(1).map(|code| AttributeCode(*code));
        let (error, reason) = (
            ErrorCode::MALFORMED_ATTRIBUTE_LIST,
            "it is longer than the attribute field",
        );
        if let Some(AttributeCode::MP_REACH_NLRI | AttributeCode::MP_UNREACH_NLRI) = code {
            return Err(Fatal {
                attribute: code,
                error,
                reason,
                data: &[],
            }
            .into_error());
        }
        self.fault(code, FaultAction::TreatAsWithdraw, error, reason, &[]);
        Ok(())
    }

    fn fault(
        &mut self,
        attribute: Option<AttributeCode>,
        action: FaultAction,
        error: ErrorCode,
        reason: &'static str,
        data: &'a [u8],
    ) {
        self.faults.push(Fault {
            attribute,
            action,
            error,
            reason,
        });
        if action == FaultAction::TreatAsWithdraw && self.withdraw.is_none() {
            self.withdraw = Some(Fatal {
                attribute,
                error,
                reason,
                data,
            });
        }
    }

    /// Records a fault when a mandatory attribute has not come (RFC 7606 §3 (d)).
    pub(super) fn require(&mut self, code: AttributeCode, reason: &'static str) {
        if !self.seen.contains(code) {
            let error = ErrorCode::MISSING_WELL_KNOWN;
            self.fault(Some(code), FaultAction::TreatAsWithdraw, error, reason, &[]);
        }
    }

    /// The next hop of classic NLRI; a fault when it is missing or no host's address.
    pub(super) fn classic_next_hop(&mut self) -> Option<NextHop> {
        let code = AttributeCode::NEXT_HOP;
        self.require(code, "NEXT_HOP is missing");
        let next_hop = NextHop::V4(self.next_hop?);
        if !usable(&next_hop) {
            let (error, reason) = (ErrorCode::INVALID_NEXT_HOP, "it is no unicast address");
            self.fault(Some(code), FaultAction::TreatAsWithdraw, error, reason, &[]);
        }
        Some(next_hop)
    }

    /// Whether there was no attribute at all.
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Whether a host could have it (RFC 4271 §6.3).
fn usable(next_hop: &NextHop) -> bool {
    let v6 =
        |addr: &Ipv6Addr| !(addr.is_unspecified() || addr.is_loopback() || addr.is_multicast());
    match next_hop {
        NextHop::V4(addr) => !matches!(addr.octets()[0], 0 | 127 | 224..),
        NextHop::V6(addr) => v6(addr),
        NextHop::V6WithLinkLocal { global, .. } => v6(global),
        NextHop::LinkLocal(_) => true,
    }
}
