//! The few facts about a block of attributes that routes are compared by, read from its bytes.

use tapway_bgp_wire::{AttributeCode, Community, Origin, RawAttributes};

/// LOCAL_PREF of routes that have none (RFC 4271 §5.1.5 leaves the value to us; everybody takes this).
pub const DEFAULT_LOCAL_PREF: u32 = 100;

/// LLGR_STALE (RFC 9494 §4.2).
const LLGR_STALE: Community = Community(0xffff_0006);
/// NO_LLGR (RFC 9494 §4.3).
const NO_LLGR: Community = Community(0xffff_0007);

/// What decides about a route besides its source and its next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// LOCAL_PREF, or [`DEFAULT_LOCAL_PREF`].
    pub local_pref: u32,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// The neighbouring AS: the first of AS_PATH; 0 when there is none.
    pub neighbour_as: u32,
    /// ORIGINATOR_ID (RFC 4456), as a number.
    pub originator_id: Option<u32>,
    /// The length of AS_PATH: a set is one, a confederation's segment none (RFC 4271 §9.1.2.2, RFC 5065 §5.3).
    pub as_path_length: u16,
    /// Routers in CLUSTER_LIST (RFC 4456).
    pub cluster_length: u16,
    /// ORIGIN.
    pub origin: Origin,
    /// It has the community LLGR_STALE: anything else is better (RFC 9494 §4.3).
    pub llgr_stale: bool,
    /// It has the community NO_LLGR: it is not kept beyond the restart time (RFC 9494 §4.3).
    pub no_llgr: bool,
}

impl Facts {
    /// Reads them.
    pub fn read(raw: RawAttributes<'_>) -> Facts {
        let mut facts = Facts {
            local_pref: DEFAULT_LOCAL_PREF,
            med: None,
            neighbour_as: 0,
            originator_id: None,
            as_path_length: 0,
            cluster_length: 0,
            origin: Origin::Igp,
            llgr_stale: false,
            no_llgr: false,
        };
        for attribute in raw.iter() {
            let number = || attribute.value.try_into().ok().map(u32::from_be_bytes);
            match attribute.code {
                AttributeCode::ORIGIN => {
                    facts.origin = match attribute.value {
                        [0] => Origin::Igp,
                        [1] => Origin::Egp,
                        _ => Origin::Incomplete,
                    }
                }
                AttributeCode::AS_PATH => {
                    let path = raw.as_path();
                    facts.as_path_length = path.length() as u16;
                    facts.neighbour_as = path.first().unwrap_or(0);
                }
                AttributeCode::MED => facts.med = number(),
                AttributeCode::LOCAL_PREF => {
                    facts.local_pref = number().unwrap_or(DEFAULT_LOCAL_PREF)
                }
                AttributeCode::ORIGINATOR_ID => facts.originator_id = number(),
                AttributeCode::CLUSTER_LIST => {
                    facts.cluster_length = (attribute.value.len() / 4) as u16
                }
                AttributeCode::COMMUNITIES => {
                    for community in attribute.value.as_chunks::<4>().0 {
                        let community = Community(u32::from_be_bytes(*community));
                        facts.llgr_stale |= community == LLGR_STALE;
                        facts.no_llgr |= community == NO_LLGR;
                    }
                }
                _ => {}
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use tapway_bgp_wire::{AsPath, AsSegment, Attributes, SegmentKind};

    use super::*;

    #[test]
    fn read_from_bytes() {
        let mut as_path = AsPath::sequence([65001, 65002]);
        as_path.segments.push(AsSegment {
            kind: SegmentKind::Set,
            asns: Vec::from([1, 2, 3]),
        });
        let attributes = Attributes {
            origin: Origin::Egp,
            as_path,
            med: Some(7),
            local_pref: Some(300),
            originator_id: Some([10, 0, 0, 1].into()),
            cluster_list: Vec::from([[1, 1, 1, 1].into(), [2, 2, 2, 2].into()]),
            communities: Vec::from([Community(1), LLGR_STALE, NO_LLGR]),
            ..Attributes::default()
        };
        let mut block = Vec::new();
        attributes.encode(true, &mut block);
        let want = Facts {
            local_pref: 300,
            med: Some(7),
            neighbour_as: 65001,
            originator_id: Some(0x0a00_0001),
            as_path_length: 3,
            cluster_length: 2,
            origin: Origin::Egp,
            llgr_stale: true,
            no_llgr: true,
        };
        assert_eq!(Facts::read(RawAttributes::new(&block)), want);
        let none = Facts::read(RawAttributes::new(&[]));
        assert_eq!(
            (none.local_pref, none.med, none.as_path_length),
            (DEFAULT_LOCAL_PREF, None, 0)
        );
    }
}
