//! In what the codecs may differ, and by which clause tapway's does what it does.

use tapway_bgp_wire::DecodeContext;

use crate::message::Message;
use crate::reading::{Action, Reading};
use Action::{Accept, Discard, Reset, Withdraw};
use Codec::{Bgpkit, Netgauze, Rustbgpd};

/// Another codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// rustbgpd-wire.
    Rustbgpd,
    /// netgauze-bgp-pkt.
    Netgauze,
    /// bgpkit-parser.
    Bgpkit,
}

/// What differences are explained by.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) cx: &'a DecodeContext,
}

/// A difference that may be. The other two codecs than rustbgpd-wire know no actions: what they refuse is a reset here.
pub(crate) struct Known {
    whom: &'static [Codec],
    ours: &'static [Action],
    theirs: &'static [Action],
    when: fn(&Facts<'_>) -> bool,
    /// Why tapway's is right to do so, or at least free to.
    pub(crate) why: &'static str,
}

const ALL: &[Codec] = &[Rustbgpd, Netgauze, Bgpkit];
const ANY: &[Action] = &[Accept, Discard, Withdraw, Reset];

pub(crate) const KNOWN: &[Known] = &[
    Known {
        whom: &[Rustbgpd],
        ours: &[Reset],
        theirs: &[Withdraw],
        when: |facts| !facts.reaches(),
        why: "RFC 7606 §5.2: without reachable NLRI a withdraw says nothing; rustbgpd-wire leaves that to its session",
    },
    Known {
        whom: &[Rustbgpd],
        ours: &[Reset],
        theirs: &[Withdraw],
        when: |facts| facts.has_unknown_well_known(),
        why: "RFC 4271 §6.3: an unknown well-known attribute ends the session, which RFC 7606 leaves as it is",
    },
    Known {
        whom: ALL,
        ours: ANY,
        theirs: &[Withdraw, Reset],
        when: |facts| facts.has_other_family(),
        why: "RFC 4760 §6: families that are not spoken are ignored; the others read some and refuse the rest",
    },
    Known {
        whom: ALL,
        ours: ANY,
        theirs: &[Discard, Withdraw, Reset],
        when: |facts| facts.has_their_attribute(),
        why: "RFC 4271 §5: what is not known is passed on as it is; the others know the attribute and its errors",
    },
    Known {
        whom: ALL,
        ours: &[Discard],
        theirs: &[Accept, Withdraw, Reset],
        when: |facts| facts.has_internal(),
        why: "RFC 7606 §7.5, 7.9, 7.10: from an external peer LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST are discarded, right or wrong",
    },
    Known {
        whom: ALL,
        ours: &[Withdraw, Reset],
        theirs: &[Accept, Discard],
        when: |facts| facts.has_odd_next_hop(),
        why: "RFC 4271 §6.3: a next hop in 0/8, 127/8 or from 224/3, ::, ::1 or in ff00::/8 is no host's",
    },
    Known {
        whom: &[Rustbgpd],
        ours: &[Accept, Discard],
        theirs: &[Withdraw],
        when: |facts| facts.has_odd_second_next_hop(),
        why: "RFC 2545 §3: some write :: in the second place where they have only one address, which is read as one",
    },
    Known {
        whom: ALL,
        ours: ANY,
        theirs: &[Withdraw, Reset],
        when: |facts| facts.has_odd_partial(),
        why: "RFC 7606 §3 (c): only the optional and the transitive flag are an error",
    },
    Known {
        whom: &[Rustbgpd],
        ours: &[Reset],
        theirs: &[Accept, Discard, Withdraw],
        when: |facts| facts.has_odd_next_hop_length(),
        why: "RFC 8950 §4: IPv4 has an IPv6 next hop only where that was agreed on, which rustbgpd-wire is not told",
    },
    Known {
        whom: ALL,
        ours: &[Accept, Discard],
        theirs: &[Discard, Withdraw, Reset],
        when: |facts| facts.cx.four_octet_asn && (facts.message.has(17) || facts.message.has(18)),
        why: "RFC 6793 §4.1: who has four octets does not send AS4_PATH and AS4_AGGREGATOR, which are passed over",
    },
    Known {
        whom: &[Rustbgpd],
        ours: &[Withdraw],
        theirs: &[Accept, Discard],
        when: |facts| facts.cx.internal && facts.lacks_mandatory(),
        why: "RFC 4271 §5.1.3: NEXT_HOP is mandatory between internal peers, too",
    },
    Known {
        whom: ALL,
        ours: &[Accept, Discard],
        theirs: &[Withdraw, Reset],
        when: |facts| facts.message.nlri.is_empty() && facts.has_odd_next_hop(),
        why: "RFC 4760 §3: beside MP_REACH_NLRI alone, NEXT_HOP says nothing",
    },
    Known {
        whom: &[Rustbgpd],
        ours: &[Accept],
        theirs: &[Discard],
        when: |facts| facts.message.has(17) && !facts.cx.four_octet_asn,
        why: "RFC 6793 §6: confederation segments of an AS4_PATH are left out, and the rest of it counts",
    },
    Known {
        whom: &[Netgauze, Bgpkit],
        ours: &[Withdraw, Reset],
        theirs: &[Accept],
        when: |facts| facts.has_unknown_well_known() || facts.lacks_mandatory(),
        why: "RFC 4271 §6.3: these two leave both to their caller",
    },
    Known {
        whom: &[Netgauze],
        ours: &[Withdraw, Reset],
        theirs: &[Accept],
        when: |facts| facts.message.of(35).any(|a| a.value.len() > 4),
        why: "RFC 9234 §5: ONLY_TO_CUSTOMER has four octets; netgauze-bgp-pkt passes over further ones",
    },
    Known {
        whom: &[Netgauze],
        ours: &[Discard, Withdraw, Reset],
        theirs: &[Accept],
        when: |facts| facts.message.has(18),
        why: "RFC 6793 §3: AS4_AGGREGATOR, which netgauze-bgp-pkt does not know",
    },
    Known {
        whom: &[Rustbgpd, Netgauze],
        ours: &[Accept],
        theirs: &[Withdraw, Reset],
        when: |facts| facts.has_confederation(),
        why: "RFC 5065 §3: segments of confederations come from internal peers; these two do not know them",
    },
    Known {
        whom: ALL,
        ours: &[Discard, Withdraw, Reset],
        theirs: &[Accept],
        when: |facts| facts.has_as_zero(),
        why: "RFC 7607 §2: a path or an aggregator with AS 0 is malformed",
    },
    Known {
        whom: &[Netgauze, Bgpkit],
        ours: &[Discard, Reset],
        theirs: &[Accept],
        when: |facts| facts.message.repeats(),
        why: "RFC 7606 §3 (g): the first of two counts, and of MP_REACH_NLRI and MP_UNREACH_NLRI there is one",
    },
    Known {
        whom: &[Netgauze, Bgpkit],
        ours: &[Reset],
        theirs: &[Accept],
        when: |facts| facts.has_odd_next_hop_length(),
        why: "RFC 7606 §7.11: a next hop has a length of its family; netgauze-bgp-pkt does not look at it, bgpkit-parser not at the family",
    },
    Known {
        whom: &[Netgauze],
        ours: &[Accept, Discard],
        theirs: &[Reset],
        when: |facts| facts.has_multicast_mp(),
        why: "RFC 4271 §6.3: a prefix that is not unicast is ignored, also in MP_REACH_NLRI",
    },
    Known {
        whom: &[Bgpkit],
        ours: &[Withdraw, Reset],
        theirs: &[Accept],
        when: |facts| facts.message.cut,
        why: "RFC 7606 §4: an attribute that is cut is an error; bgpkit-parser reads what is there",
    },
    Known {
        whom: &[Bgpkit],
        ours: &[Withdraw],
        theirs: &[Accept],
        when: |facts| !facts.cx.internal && facts.has_confederation(),
        why: "RFC 5065 §5: confederation segments do not come from outside",
    },
];

/// The clause by which these two actions may differ.
pub(crate) fn clause(
    codec: Codec,
    facts: &Facts<'_>,
    ours: Action,
    theirs: Action,
) -> Option<&'static str> {
    let known = KNOWN.iter().find(|known| {
        known.whom.contains(&codec)
            && known.ours.contains(&ours)
            && known.theirs.contains(&theirs)
            && (known.when)(facts)
    });
    known.map(|known| known.why)
}

/// Known to this codec: code and flags.
const OURS: &[(u8, u8)] = &[
    (1, 0x40),
    (2, 0x40),
    (3, 0x40),
    (4, 0x80),
    (5, 0x40),
    (6, 0x40),
    (7, 0xc0),
    (8, 0xc0),
    (9, 0x80),
    (10, 0x80),
    (14, 0x80),
    (15, 0x80),
    (16, 0xc0),
    (17, 0xc0),
    (18, 0xc0),
    (32, 0xc0),
    (35, 0xc0),
];

/// Known to at least one of the others.
const THEIRS: &[u8] = &[
    22, 23, 24, 25, 26, 27, 29, 33, 34, 36, 37, 38, 39, 40, 41, 128,
];

fn flags(code: u8) -> Option<u8> {
    OURS.iter()
        .find(|(c, _)| *c == code)
        .map(|(_, flags)| *flags)
}

/// What is behind the next hop of an MP_REACH_NLRI.
fn mp_nlri(value: &[u8]) -> &[u8] {
    let next_hop = value.get(3).map_or(0, |len| usize::from(*len));
    value.get(5 + next_hop..).unwrap_or_default()
}

/// Whether a prefix of length 0 is among these, without identifiers.
fn has_default(mut nlri: &[u8]) -> bool {
    while let [bits, rest @ ..] = nlri {
        if *bits == 0 {
            return true;
        }
        nlri = rest
            .get(usize::from(bits.div_ceil(8))..)
            .unwrap_or_default();
    }
    false
}

impl Facts<'_> {
    /// Whether the other can be told what the session agreed on.
    pub(crate) fn comparable(&self, codec: Codec) -> bool {
        match codec {
            // It has one switch for all families, and guesses that a prefix of length 0 is an identifier.
            Bgpkit => {
                let ids = self.cx.add_path.ipv4 || self.cx.add_path.ipv6;
                !ids && !self.nlri().any(has_default)
            }
            _ => true,
        }
    }

    /// All fields of NLRI.
    fn nlri(&self) -> impl Iterator<Item = &[u8]> {
        let Message {
            withdrawn, nlri, ..
        } = self.message;
        let reach = self.message.of(14).map(|a| mp_nlri(a.value));
        let unreach = self.message.of(15);
        let unreach = unreach.map(|a| a.value.get(3..).unwrap_or_default());
        [*withdrawn, *nlri].into_iter().chain(reach).chain(unreach)
    }

    /// Whether anything is called reachable.
    fn reaches(&self) -> bool {
        let mut mp = self.message.of(14);
        !self.message.nlri.is_empty() || mp.any(|a| !mp_nlri(a.value).is_empty())
    }

    fn lacks_mandatory(&self) -> bool {
        let classic = !self.message.nlri.is_empty() && !self.message.has(3);
        self.reaches() && (!self.message.has(1) || !self.message.has(2)) || classic
    }

    /// Perhaps: such an octet may be another part of the path.
    fn has_confederation(&self) -> bool {
        let mut paths = self.message.of(2).chain(self.message.of(17));
        paths.any(|a| a.value.contains(&3) || a.value.contains(&4))
    }

    /// Perhaps, as above.
    fn has_as_zero(&self) -> bool {
        let mut all = self.message.attributes.iter();
        let zeros = |value: &[u8], width| value.windows(width).any(|w| w.iter().all(|b| *b == 0));
        let narrow = if self.cx.four_octet_asn { 4 } else { 2 };
        all.any(|a| match a.code {
            2 | 7 => zeros(a.value, narrow),
            17 | 18 => zeros(a.value, 4),
            _ => false,
        })
    }

    fn has_multicast_mp(&self) -> bool {
        let mut mp = self.message.of(14).chain(self.message.of(15));
        mp.any(|a| a.value.iter().any(|byte| *byte >= 224))
    }

    fn has_odd_second_next_hop(&self) -> bool {
        let odd =
            |value: &[u8]| value.get(3) == Some(&32) && value.get(20..22) != Some(&[0xfe, 0x80]);
        self.message.of(14).any(|a| odd(a.value))
    }

    fn has_odd_next_hop_length(&self) -> bool {
        let odd = |value: &[u8]| match value {
            [0, 1, 1, 4, ..] | [0, 2, 1, 16 | 32, ..] => false,
            [0, 1, 1, 16 | 32, ..] => !self.cx.extended_next_hop,
            _ => true,
        };
        self.message.of(14).any(|a| odd(a.value))
    }

    fn has_unknown_well_known(&self) -> bool {
        let mut all = self.message.attributes.iter();
        all.any(|a| flags(a.code).is_none() && a.flags & 0x80 == 0)
    }

    fn has_other_family(&self) -> bool {
        self.message
            .families()
            .any(|family| !matches!(family, [0, 1 | 2, 1]))
    }

    fn has_their_attribute(&self) -> bool {
        THEIRS.iter().any(|code| self.message.has(*code))
    }

    fn has_internal(&self) -> bool {
        let mut all = self.message.attributes.iter();
        !self.cx.internal && all.any(|a| matches!(a.code, 5 | 9 | 10))
    }

    fn has_odd_next_hop(&self) -> bool {
        let odd = |value: &[u8]| matches!(value, [0 | 127 | 224.., _, _, _]);
        let odd_v6 = |value: &[u8]| value[0] == 255 || value[..15].iter().all(|b| *b == 0);
        let mp = |value: &[u8]| match value.get(3) {
            Some(4) => value.get(4..8).is_some_and(odd),
            _ => value.get(4..20).is_some_and(odd_v6),
        };
        self.message.of(3).any(|a| odd(a.value)) || self.message.of(14).any(|a| mp(a.value))
    }

    /// On an attribute that must not have it, or on ONLY_TO_CUSTOMER, where netgauze-bgp-pkt does not expect it.
    fn has_odd_partial(&self) -> bool {
        let mut all = self
            .message
            .attributes
            .iter()
            .filter(|a| a.flags & 0x20 != 0);
        all.any(|a| a.code == 35 || flags(a.code).is_some_and(|flags| flags != 0xc0))
    }

    pub(crate) fn same_routes(&self, ours: &Reading, theirs: &Reading) -> Result<(), String> {
        if ours.reach != theirs.reach {
            return Err(format!(
                "reachable are {:?} and {:?}",
                ours.reach, theirs.reach
            ));
        }
        if ours.unreach != theirs.unreach {
            return Err(format!(
                "unreachable are {:?} and {:?}",
                ours.unreach, theirs.unreach
            ));
        }
        Ok(())
    }

    /// Whether the attributes are the same, content and partial flag, as far as both keep them.
    pub(crate) fn same_attributes(
        &self,
        codec: Codec,
        ours: &Reading,
        theirs: &Reading,
    ) -> Result<(), String> {
        if ours.reach.is_empty() {
            return Ok(());
        }
        let mut codes: Vec<u8> = ours
            .attributes
            .keys()
            .chain(theirs.attributes.keys())
            .copied()
            .collect();
        codes.sort_unstable();
        codes.dedup();
        for code in codes {
            let (mine, other) = (ours.attributes.get(&code), theirs.attributes.get(&code));
            if mine != other && !self.may_differ(codec, code, mine, other) {
                return Err(format!("attribute {code} is {mine:?} and {other:?}"));
            }
        }
        Ok(())
    }

    fn may_differ(
        &self,
        codec: Codec,
        code: u8,
        ours: Option<&(bool, Vec<u8>)>,
        theirs: Option<&(bool, Vec<u8>)>,
    ) -> bool {
        let came = self.message.of(code).next();
        match (ours, theirs) {
            (Some((_, ours)), Some((_, theirs))) if ours == theirs => {
                // The partial flag: a speaker sets it on what it does not know, and some keep none of what they do.
                let wide = code == 7 && self.message.has(18);
                codec == Rustbgpd && (flags(code) != Some(0xc0) || wide)
            }
            // RFC 4271 §5: kept as it is; the others make something of it.
            _ if THEIRS.contains(&code) => true,
            // It writes some types of extended communities otherwise than they came.
            (Some(_), Some(_)) if code == 16 => codec == Netgauze,
            // RFC 6793 §4.2.3: AS_PATH and AGGREGATOR are one with their wide forms; the others leave that to the caller.
            (Some(_), Some(_)) if matches!(code, 2 | 7) && codec != Rustbgpd => {
                !self.cx.four_octet_asn && (self.message.has(17) || self.message.has(18))
            }
            (None, Some(_)) => match code {
                // An AS4_AGGREGATOR alone says nothing here.
                7 => !self.cx.four_octet_asn && self.message.has(18),
                // RFC 6793 §4.1, and as above.
                17 | 18 => true,
                // RFC 7606 §7.5, 7.9, 7.10.
                5 | 9 | 10 => !self.cx.internal,
                // RFC 4271 §5: not transitive.
                _ => flags(code).is_none() && came.is_some_and(|a| a.flags & 0x40 == 0),
            },
            _ => false,
        }
    }
}
