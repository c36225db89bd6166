//! A route as a policy sees it: borrowed, its attributes read only where a rule asks for them.

use tapway_bgp_wire::{
    AsPathRef, AttributeCode, Attributes, Community, ExtendedCommunity, LargeCommunity, NextHop,
    Origin, RawAttributes, SegmentKind,
};
use tapway_model::{PeerName, Prefix};
use tapway_rpki::{RpkiState, VrpTable};

use crate::own::Announcement;

/// A route in front of a policy.
#[derive(Clone, Copy, Debug)]
pub struct RouteView<'a> {
    /// Its prefix.
    pub prefix: Prefix,
    /// Where it comes from.
    pub source: Source<'a>,
    /// The next hop it came with; of an own route that of its claim or network.
    pub next_hop: Option<NextHop>,
    /// Its attributes.
    pub attributes: RouteAttributes<'a>,
    /// Whether its origin may announce it (RFC 6811).
    pub rpki: Rpki<'a>,
}

/// Where a route comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// It is one of ours.
    Claim(&'a Announcement),
    /// This peer sent it.
    Peer(&'a PeerName),
}

/// The attributes of a route.
#[derive(Clone, Copy, Debug, Default)]
pub enum RouteAttributes<'a> {
    /// None: an own route.
    #[default]
    None,
    /// Decoded.
    Values(&'a Attributes),
    /// As received; with four-octet AS numbers.
    Bytes(RawAttributes<'a>),
}

/// How it is found out whether the origin of a route may announce it.
#[derive(Clone, Copy, Debug)]
pub enum Rpki<'a> {
    /// It is known.
    State(RpkiState),
    /// It is looked up here when a rule asks.
    Table(&'a VrpTable),
}

/// In which direction a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Whether a received route counts.
    Import,
    /// Whether a route is sent to a peer.
    Export,
    /// The same for a route that one internal peer sent and another is to be told, as one of them is a client (RFC 4456): what
    /// no rule decides passes.
    Reflect,
}

/// What the answer depends on besides the route.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// In which direction.
    pub way: Way,
    /// Of an import the sender, of an export the receiver; `None`: nobody in particular.
    pub peer: Option<&'a PeerName>,
    /// Our AS.
    pub asn: u32,
}

impl<'a> RouteView<'a> {
    /// An own route.
    pub fn own(announcement: &'a Announcement) -> RouteView<'a> {
        let next_hop = announcement.next_hop.map(|addr| match addr {
            core::net::IpAddr::V4(addr) => NextHop::V4(addr),
            core::net::IpAddr::V6(addr) if addr.is_unicast_link_local() => NextHop::LinkLocal(addr),
            core::net::IpAddr::V6(addr) => NextHop::V6(addr),
        });
        RouteView {
            prefix: announcement.id.prefix,
            source: Source::Claim(announcement),
            next_hop,
            attributes: RouteAttributes::None,
            rpki: Rpki::State(RpkiState::NotFound),
        }
    }

    /// A received route.
    pub fn received(
        prefix: Prefix,
        peer: &'a PeerName,
        next_hop: NextHop,
        attributes: RouteAttributes<'a>,
    ) -> RouteView<'a> {
        RouteView {
            prefix,
            source: Source::Peer(peer),
            next_hop: Some(next_hop),
            attributes,
            rpki: Rpki::State(RpkiState::NotFound),
        }
    }
}

impl RouteView<'_> {
    /// Whether its origin may announce it; `asn` is our AS.
    pub fn rpki_state(&self, asn: u32) -> RpkiState {
        match self.rpki {
            Rpki::State(state) => state,
            Rpki::Table(table) => table.validate(&self.prefix, self.attributes.origin_as(asn)),
        }
    }
}

impl<'a> RouteAttributes<'a> {
    /// The content of an attribute that is still bytes.
    fn content(self, code: AttributeCode) -> &'a [u8] {
        match self {
            RouteAttributes::Bytes(raw) => raw.get(code).map_or(&[], |a| a.value),
            RouteAttributes::None | RouteAttributes::Values(_) => &[],
        }
    }

    fn values(self) -> Option<&'a Attributes> {
        match self {
            RouteAttributes::Values(values) => Some(values),
            RouteAttributes::None | RouteAttributes::Bytes(_) => None,
        }
    }

    fn number(self, code: AttributeCode) -> Option<u32> {
        let content = self.content(code).try_into().ok()?;
        Some(u32::from_be_bytes(content))
    }

    /// AS_PATH.
    pub fn as_path(self) -> AsPathRef<'a> {
        match self {
            RouteAttributes::None => AsPathRef::default(),
            RouteAttributes::Values(values) => (&values.as_path).into(),
            RouteAttributes::Bytes(raw) => raw.as_path(),
        }
    }

    /// The AS that the RPKI must allow (RFC 6811 §2): `own` when the path does not leave our AS, none when a set is its
    /// end.
    pub fn origin_as(self, own: u32) -> Option<u32> {
        match self.as_path().segments().last() {
            Some((SegmentKind::Sequence, asns)) => asns.last(),
            Some((SegmentKind::Set, _)) => None,
            None | Some((SegmentKind::ConfedSequence | SegmentKind::ConfedSet, _)) => Some(own),
        }
    }

    /// ORIGIN.
    pub fn origin(self) -> Origin {
        match self.values() {
            Some(values) => values.origin,
            None => match self.content(AttributeCode::ORIGIN) {
                [1] => Origin::Egp,
                [2] => Origin::Incomplete,
                _ => Origin::Igp,
            },
        }
    }

    /// LOCAL_PREF.
    pub fn local_pref(self) -> Option<u32> {
        match self.values() {
            Some(values) => values.local_pref,
            None => self.number(AttributeCode::LOCAL_PREF),
        }
    }

    /// MULTI_EXIT_DISC.
    pub fn med(self) -> Option<u32> {
        match self.values() {
            Some(values) => values.med,
            None => self.number(AttributeCode::MED),
        }
    }

    /// COMMUNITIES.
    pub fn communities(self) -> impl Iterator<Item = Community> + use<'a> {
        let values = self.values().map_or(&[][..], |v| &v.communities);
        let (bytes, _) = self.content(AttributeCode::COMMUNITIES).as_chunks::<4>();
        let bytes = bytes.iter().map(|b| Community(u32::from_be_bytes(*b)));
        values.iter().copied().chain(bytes)
    }

    /// LARGE_COMMUNITIES.
    pub fn large_communities(self) -> impl Iterator<Item = LargeCommunity> + use<'a> {
        let values = self.values().map_or(&[][..], |v| &v.large_communities);
        let (bytes, _) = self
            .content(AttributeCode::LARGE_COMMUNITIES)
            .as_chunks::<12>();
        let bytes = bytes.iter().map(|b| {
            let [g1, g2, g3, g4, a1, a2, a3, a4, b1, b2, b3, b4] = *b;
            LargeCommunity {
                global: u32::from_be_bytes([g1, g2, g3, g4]),
                local1: u32::from_be_bytes([a1, a2, a3, a4]),
                local2: u32::from_be_bytes([b1, b2, b3, b4]),
            }
        });
        values.iter().copied().chain(bytes)
    }

    /// EXTENDED_COMMUNITIES.
    pub fn extended_communities(self) -> impl Iterator<Item = ExtendedCommunity> + use<'a> {
        let values = self.values().map_or(&[][..], |v| &v.extended_communities);
        let (bytes, _) = self
            .content(AttributeCode::EXTENDED_COMMUNITIES)
            .as_chunks::<8>();
        let bytes = bytes.iter().map(|b| ExtendedCommunity(*b));
        values.iter().copied().chain(bytes)
    }
}
