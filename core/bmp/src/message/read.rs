//! Messages read: for tests, and for tools that collect.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::{
    HEADER_LEN, LOC_RIB, MAX_LEN, Message, MirrorTlv, PeerDown, PeerHeader, PeerUp, Statistic, Tlv,
    VERSION, flag, kind,
};

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Another version.
    #[error("BMP version {0}; this reads version 3 (RFC 7854)")]
    Version(u8),
    /// The length in the header is smaller than a header, or larger than [`MAX_LEN`].
    #[error("a message of {0} bytes; from 6 to 262144 are read")]
    Length(u32),
    /// The type of the message is not known.
    #[error("message type {0} is not known")]
    Kind(u8),
    /// The message ends before its content does.
    #[error("the message ends in the middle of its {0}")]
    Short(&'static str),
    /// A number that stands for something unknown.
    #[error("{what} {number} is not known")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its number.
        number: u16,
    },
}

impl<'a> Message<'a> {
    /// The first message in `bytes` and its length; `None` while it is not complete.
    ///
    /// # Errors
    /// When it is no message of version 3. After [`DecodeError::Version`] and [`DecodeError::Length`] nobody knows where
    /// the next one begins.
    pub fn decode(bytes: &'a [u8]) -> Result<Option<(usize, Message<'a>)>, DecodeError> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let [version, l0, l1, l2, l3, kind] = *header;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        let length = len as usize;
        if !(HEADER_LEN..=MAX_LEN).contains(&length) {
            return Err(DecodeError::Length(len));
        }
        let Some(body) = bytes.get(HEADER_LEN..length) else {
            return Ok(None);
        };
        let mut read = Reader(body);
        let message = match kind {
            kind::ROUTE_MONITORING => Message::RouteMonitoring(read.peer()?, read.0),
            kind::STATISTICS => Message::Statistics(read.peer()?, read.statistics()?),
            kind::PEER_DOWN => Message::PeerDown(read.peer()?, read.peer_down()?),
            kind::PEER_UP => {
                let peer = read.peer()?;
                let ipv6 = peer.address.is_ipv6();
                let up = PeerUp {
                    local: read.address(ipv6)?,
                    local_port: read.u16("ports")?,
                    remote_port: read.u16("ports")?,
                    sent_open: read.bgp_message()?,
                    received_open: read.bgp_message()?,
                };
                Message::PeerUp(peer, up, read.tlvs()?)
            }
            kind::INITIATION => Message::Initiation(read.tlvs()?),
            kind::TERMINATION => Message::Termination(read.tlvs()?),
            kind::ROUTE_MIRRORING => Message::RouteMirroring(read.peer()?, read.mirror()?),
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Some((length, message)))
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, of: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Short(of))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, of: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Short(of))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self, of: &'static str) -> Result<u16, DecodeError> {
        self.array(of).map(u16::from_be_bytes)
    }

    fn u32(&mut self, of: &'static str) -> Result<u32, DecodeError> {
        self.array(of).map(u32::from_be_bytes)
    }

    fn address(&mut self, ipv6: bool) -> Result<IpAddr, DecodeError> {
        let octets: [u8; 16] = self.array("addresses")?;
        let [.., a, b, c, d] = octets;
        Ok(match ipv6 {
            true => Ipv6Addr::from(octets).into(),
            false => Ipv4Addr::new(a, b, c, d).into(),
        })
    }

    fn peer(&mut self) -> Result<PeerHeader, DecodeError> {
        const OF: &str = "per-peer header";
        let [kind, flags] = self.array(OF)?;
        if kind > LOC_RIB {
            return Err(DecodeError::Unknown {
                what: "peer type",
                number: kind.into(),
            });
        }
        let loc_rib = kind == LOC_RIB;
        let has = |flag: u8| !loc_rib && flags & flag != 0;
        let distinguisher = u64::from_be_bytes(self.array(OF)?);
        Ok(PeerHeader {
            loc_rib,
            post_policy: has(flag::POST_POLICY),
            two_octet: has(flag::TWO_OCTET),
            out: has(flag::OUT),
            distinguisher,
            address: self.address(has(flag::IPV6))?,
            asn: self.u32(OF)?,
            router_id: self.array(OF).map(Ipv4Addr::from)?,
            time: Duration::from_secs(self.u32(OF)?.into())
                + Duration::from_micros(self.u32(OF)?.into()),
        })
    }

    fn tlv(&mut self) -> Result<Tlv<'a>, DecodeError> {
        let kind = self.u16("TLVs")?;
        let len = self.u16("TLVs")?;
        let value = self.take(len.into(), "TLVs")?;
        Ok(Tlv { kind, value })
    }

    fn tlvs(&mut self) -> Result<Vec<Tlv<'a>>, DecodeError> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(self.tlv()?);
        }
        Ok(all)
    }

    fn mirror(&mut self) -> Result<Vec<MirrorTlv<'a>>, DecodeError> {
        let all = self.tlvs()?.into_iter();
        let read = |tlv: Tlv<'a>| match (tlv.kind, tlv.value) {
            (0, message) => Ok(MirrorTlv::BgpMessage(message)),
            (1, [0, 0]) => Ok(MirrorTlv::Errored),
            (1, [0, 1]) => Ok(MirrorTlv::Lost),
            (kind, _) => Err(DecodeError::Unknown {
                what: "route mirroring TLV",
                number: kind,
            }),
        };
        all.map(read).collect()
    }

    /// Those whose length says nothing that is known are left out.
    fn statistics(&mut self) -> Result<Vec<Statistic>, DecodeError> {
        let count = self.u32("statistics")?;
        let mut all = Vec::new();
        for _ in 0..count {
            let Tlv { kind, value } = self.tlv()?;
            let mut read = Reader(value);
            let statistic = match value.len() {
                4 => Statistic::Counter(kind, read.u32("statistics")?),
                8 => Statistic::Gauge(kind, u64::from_be_bytes(read.array("statistics")?)),
                11 => {
                    let afi = read.u16("statistics")?;
                    let [safi] = read.array("statistics")?;
                    let count = u64::from_be_bytes(read.array("statistics")?);
                    Statistic::FamilyGauge(kind, (afi, safi), count)
                }
                _ => continue,
            };
            all.push(statistic);
        }
        Ok(all)
    }

    fn peer_down(&mut self) -> Result<PeerDown<'a>, DecodeError> {
        let [reason] = self.array("reason")?;
        Ok(match reason {
            1 => PeerDown::LocalNotification(self.bgp_message()?),
            2 => PeerDown::LocalEvent(self.u16("reason")?),
            3 => PeerDown::RemoteNotification(self.bgp_message()?),
            4 => PeerDown::Remote,
            5 => PeerDown::Deconfigured,
            6 => PeerDown::LocRib(self.0),
            other => {
                return Err(DecodeError::Unknown {
                    what: "peer down reason",
                    number: other.into(),
                });
            }
        })
    }

    /// A BGP message, by the length in its header.
    fn bgp_message(&mut self) -> Result<&'a [u8], DecodeError> {
        const OF: &str = "BGP message";
        let len = match self.0.get(16..18) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(DecodeError::Short(OF)),
        };
        match len < tapway_bgp_wire::HEADER_LEN {
            true => Err(DecodeError::Short(OF)),
            false => self.take(len, OF),
        }
    }
}
