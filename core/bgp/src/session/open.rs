//! Our OPEN, and what it and the peer's agree on.
//!
//! RFC 4271 §4.2 and 6.2, RFC 5492, 6286, 6793, 2918, 7313, 4724, 8538, 9494, 7911, 8654, 8950, 9234.

use alloc::format;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire as wire;
use tapway_bgp_wire::{
    AddPathFamily, AfiSafi, Capabilities, Capability, DecodeContext, EncodeContext, ErrorCode,
    ExtendedNextHop, GracefulFamily, LongLivedFamily, NotificationError, Open, PerFamily,
};
use tapway_model::Family;

use crate::config::{self, PeerAsn, PeerConfig, Role};
use crate::role;

/// AFI of IPv6, as a next hop (RFC 8950).
const AFI_IPV6: u16 = 2;
/// The longest restart time that the field can say (RFC 4724 §3).
const RESTART_TIME_MAX: u64 = 4095;

/// What our OPEN says of ourselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ourselves {
    /// Our AS.
    pub(crate) asn: u32,
    /// Our identifier.
    pub(crate) router_id: Ipv4Addr,
    /// R: we restarted, and may not have sent all routes yet.
    pub(crate) restarting: bool,
    /// F: forwarding went on.
    pub(crate) forwarding: PerFamily<bool>,
}

/// The peer's side of graceful restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerRestart {
    /// How long it may be away.
    pub(crate) time: Duration,
    /// It said that it restarted.
    pub(crate) restarted: bool,
    /// Both sides take NOTIFICATIONs for a restart.
    pub(crate) notification: bool,
    /// Families that it can restart; and whether forwarding went on.
    pub(crate) families: PerFamily<Option<bool>>,
    /// Families whose routes are kept beyond that time.
    pub(crate) long_lived: PerFamily<Option<LongLived>>,
}

impl PeerRestart {
    /// Whether routes of a family are kept at all.
    pub(crate) fn keeps(&self, family: Family) -> bool {
        self.families[family].is_some() || self.long_lived[family].is_some()
    }
}

/// One family of long-lived graceful restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongLived {
    /// How long: what the peer says, or we, whichever is less; not zero.
    pub(crate) time: Duration,
    /// Forwarding went on.
    pub(crate) forwarding: bool,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    /// The peer's AS.
    pub(crate) asn: u32,
    /// The peer's identifier.
    pub(crate) router_id: Ipv4Addr,
    /// What the peer takes for our AS.
    pub(crate) our_as: u32,
    /// The peer's AS is not ours.
    pub(crate) external: bool,
    /// Zero: none.
    pub(crate) hold_time: Duration,
    /// Zero: none.
    pub(crate) keepalive: Duration,
    /// How UPDATEs are read.
    pub(crate) decode: DecodeContext,
    /// How UPDATEs are written.
    pub(crate) encode: EncodeContext,
    /// ROUTE-REFRESH.
    pub(crate) refresh: bool,
    /// With its begin and end marked.
    pub(crate) enhanced_refresh: bool,
    /// Graceful restart, when both sides speak it.
    pub(crate) restart: Option<PeerRestart>,
    /// The peer understands routes that are kept long (RFC 9494).
    pub(crate) long_lived: bool,
    /// What we are to the peer; external ones only.
    pub(crate) role: Option<Role>,
    /// What the peer says that it is to us.
    pub(crate) peer_role: Option<wire::Role>,
}

/// The OPEN for a peer.
pub(crate) fn our_open(us: &Ourselves, peer: &PeerConfig) -> Open {
    let asn = peer.our_as(us.asn);
    let mut all: Vec<Capability> = peer
        .families
        .iter()
        .map(|f| Capability::MultiProtocol((*f).into()))
        .collect();
    all.push(Capability::RouteRefresh);
    all.push(Capability::EnhancedRouteRefresh);
    if peer.families.contains(&Family::Ipv4) {
        let entry = ExtendedNextHop {
            nlri: AfiSafi::IPV4_UNICAST,
            next_hop_afi: AFI_IPV6,
        };
        all.push(Capability::ExtendedNextHop([entry].into()));
    }
    all.push(Capability::ExtendedMessage);
    all.push(Capability::FourOctetAs(asn));
    if let Some(ours) = peer.role.filter(|_| !peer.is_internal(us.asn)) {
        all.push(Capability::Role(ours.role.into()));
    }
    if let Some(restart) = peer.graceful_restart {
        all.push(Capability::GracefulRestart(wire::GracefulRestart {
            restarting: us.restarting,
            notification: restart.notification,
            time: restart.time.as_secs().min(RESTART_TIME_MAX) as u16,
            families: peer
                .families
                .iter()
                .map(|f| GracefulFamily {
                    family: (*f).into(),
                    forwarding: us.forwarding[*f],
                })
                .collect(),
        }));
        // Without families it says only that LLGR_STALE is understood.
        let families = peer.families.iter().filter_map(|f| {
            let time = restart
                .long_lived?
                .min(config::GracefulRestart::LONG_LIVED_MAX);
            Some(LongLivedFamily {
                family: (*f).into(),
                forwarding: us.forwarding[*f],
                time: time.as_secs() as u32,
            })
        });
        all.push(Capability::LongLived(families.collect()));
    }
    if let Some(direction) = peer.add_paths.direction() {
        let entry = |f: &Family| AddPathFamily {
            family: (*f).into(),
            direction,
        };
        all.push(Capability::AddPath(
            peer.families.iter().map(entry).collect(),
        ));
    }
    Open {
        asn,
        hold_time: u16::try_from(peer.hold_time.as_secs()).unwrap_or(u16::MAX),
        router_id: us.router_id,
        capabilities: Capabilities(all),
    }
}

/// What `ours` and `theirs` agree on; `router` is our AS, whatever the peer takes for it.
///
/// # Errors
/// When the session cannot be: what to send, and what to tell our own operator.
pub(crate) fn negotiate(
    ours: &Open,
    theirs: &Open,
    peer: &PeerConfig,
    router: u32,
) -> Result<Negotiated, NotificationError> {
    let of_ours = theirs.asn == ours.asn || theirs.asn == router;
    let internal = of_ours && peer.as_path.local.is_none();
    let right_as = match peer.asn {
        PeerAsn::Number(asn) => theirs.asn == asn && internal == of_ours,
        PeerAsn::Internal => internal,
        PeerAsn::External => !of_ours,
    };
    if !right_as {
        let expected = match peer.asn {
            PeerAsn::Number(asn) => format!("{asn}"),
            PeerAsn::Internal => format!("ours, {}", ours.asn),
            PeerAsn::External => format!("any but ours, {}", ours.asn),
        };
        let text = format!("the peer says it is AS {}, expected {expected}", theirs.asn);
        return Err(NotificationError::new(ErrorCode::BAD_PEER_AS, &[], text));
    }
    // RFC 6286 §2.2: the same identifier is an error only within an AS.
    if internal && theirs.router_id == ours.router_id {
        let text = format!(
            "the peer has our own identifier, {}; give one of the two another router_id",
            ours.router_id
        );
        return Err(NotificationError::new(ErrorCode::BAD_BGP_ID, &[], text));
    }
    // Roles are between ASes.
    let our_role = peer.role.filter(|_| !internal);
    let peer_role = match internal {
        true => None,
        false => role::agree(our_role, &theirs.capabilities)?,
    };
    let decode = DecodeContext::negotiated(&ours.capabilities, &theirs.capabilities, internal);
    if !Family::ALL.iter().any(|f| decode.families[*f]) {
        return Err(unsupported(peer));
    }
    let hold_time = Duration::from_secs(ours.hold_time.min(theirs.hold_time).into());
    let third = hold_time / 3;
    Ok(Negotiated {
        asn: theirs.asn,
        router_id: theirs.router_id,
        our_as: ours.asn,
        external: !internal,
        hold_time,
        keepalive: peer.keepalive.map_or(third, |k| k.min(third)),
        encode: EncodeContext::negotiated(&ours.capabilities, &theirs.capabilities),
        decode,
        refresh: theirs.capabilities.route_refresh(),
        enhanced_refresh: theirs.capabilities.enhanced_route_refresh(),
        restart: restart(ours, theirs, &decode),
        long_lived: theirs.capabilities.graceful_restart().is_some()
            && theirs.capabilities.has_long_lived(),
        role: our_role.map(|ours| ours.role),
        peer_role,
    })
}

/// Unsupported Capability, with those that we miss (RFC 5492 §5).
fn unsupported(peer: &PeerConfig) -> NotificationError {
    let mut data = Vec::new();
    for family in &peer.families {
        let AfiSafi { afi, safi } = (*family).into();
        let [high, low] = afi.to_be_bytes();
        data.extend_from_slice(&[1, 4, high, low, 0, safi]);
    }
    let text = "no address family in common; see families here and at the peer";
    NotificationError::new(ErrorCode::UNSUPPORTED_CAPABILITY, &data, text)
}

fn restart(ours: &Open, theirs: &Open, decode: &DecodeContext) -> Option<PeerRestart> {
    let our = ours.capabilities.graceful_restart()?;
    let their = theirs.capabilities.graceful_restart()?;
    Some(PeerRestart {
        time: Duration::from_secs(their.time.into()),
        restarted: their.restarting,
        notification: our.notification && their.notification,
        families: PerFamily::from_fn(|family| {
            let entry = their.families.iter().find(|f| f.family == family.into())?;
            decode.families[family].then_some(entry.forwarding)
        }),
        long_lived: PerFamily::from_fn(|family| {
            let our = ours.capabilities.long_lived(family)?;
            let their = theirs.capabilities.long_lived(family)?;
            let time = our.time.min(their.time);
            (decode.families[family] && time > 0).then_some(LongLived {
                time: Duration::from_secs(time.into()),
                forwarding: their.forwarding,
            })
        }),
    })
}

#[cfg(test)]
mod tests;
