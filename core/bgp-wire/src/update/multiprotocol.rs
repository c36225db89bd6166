//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760, RFC 2545, RFC 8950).
//!
//! Everything wrong with their form ends the session: RFC 7606 §5.3, 7.11, 7.12.

use tapway_model::Family;

use crate::reader::Reader;
use crate::{AfiSafi, DecodeContext, NextHop, Nlri, Reach};

/// What one of the two holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mp<T> {
    /// Routes of a negotiated family.
    Routes(T),
    /// Another family.
    Ignored { family: AfiSafi, empty: bool },
}

impl<T> Mp<T> {
    pub(super) fn routes(self) -> Option<T> {
        match self {
            Mp::Routes(routes) => Some(routes),
            Mp::Ignored { .. } => None,
        }
    }

    pub(super) const fn ignored(&self) -> Option<AfiSafi> {
        match self {
            Mp::Routes(_) => None,
            Mp::Ignored { family, .. } => Some(*family),
        }
    }
}

impl Mp<Reach<'_>> {
    /// Whether there is not one prefix in it.
    pub(super) const fn is_empty(&self) -> bool {
        match self {
            Mp::Routes(reach) => reach.nlri.is_empty(),
            Mp::Ignored { empty, .. } => *empty,
        }
    }
}

/// Decodes MP_REACH_NLRI.
pub(super) fn reach<'a>(
    value: &'a [u8],
    cx: &DecodeContext,
) -> Result<Mp<Reach<'a>>, &'static str> {
    let mut read = Reader::new(value);
    let family = family(&mut read)?;
    let next_hop = read.u8().and_then(|len| read.take(usize::from(len)));
    let next_hop = next_hop.ok_or("its next hop is longer than the attribute")?;
    // One reserved octet, once a count of SNPAs.
    read.u8().ok_or("it ends after the next hop")?;
    let nlri = read.rest();
    let Some(known) = negotiated(family, cx) else {
        return Ok(Mp::Ignored {
            family,
            empty: nlri.is_empty(),
        });
    };
    let expected = match (known, next_hop.len()) {
        (Family::Ipv4, 4) | (Family::Ipv6, 16 | 32) => true,
        (Family::Ipv4, 16 | 32) => cx.extended_next_hop,
        _ => false,
    };
    let next_hop = expected.then(|| NextHop::from_field(next_hop)).flatten();
    let next_hop = next_hop.ok_or("its next hop has a length that the family cannot have")?;
    let nlri = Nlri::check(nlri, known, cx.add_path[known]).map_err(|error| error.text())?;
    Ok(Mp::Routes(Reach { next_hop, nlri }))
}

/// Decodes MP_UNREACH_NLRI.
pub(super) fn unreach<'a>(
    value: &'a [u8],
    cx: &DecodeContext,
) -> Result<Mp<Nlri<'a>>, &'static str> {
    let mut read = Reader::new(value);
    let family = family(&mut read)?;
    let nlri = read.rest();
    let Some(known) = negotiated(family, cx) else {
        return Ok(Mp::Ignored {
            family,
            empty: nlri.is_empty(),
        });
    };
    Nlri::check(nlri, known, cx.add_path[known])
        .map(Mp::Routes)
        .map_err(|error| error.text())
}

fn family(read: &mut Reader<'_>) -> Result<AfiSafi, &'static str> {
    read.array()
        .map(AfiSafi::from_bytes)
        .ok_or("it is too short for a family")
}

fn negotiated(family: AfiSafi, cx: &DecodeContext) -> Option<Family> {
    family.family().filter(|known| cx.families[*known])
}
