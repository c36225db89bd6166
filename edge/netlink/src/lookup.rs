//! Where the kernel sends a packet, by its own decision: rules, tables, metrics and the more specific.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteHeader, RouteMessage};
use tapway_fib::{IfIndex, Route};
use tapway_model::Family;

use crate::constants::RTM_GETROUTE;
use crate::writer::Writer;
use crate::{decode, encode};

impl Writer {
    /// The route that the kernel takes for a packet to `to`: one that comes in from that address by that
    /// interface, or one of the host's own. `None`: there is none, or none that a [`Route`] can tell, such
    /// as the host itself.
    ///
    /// # Errors
    /// When such packets are refused: EHOSTUNREACH for an `unreachable` route, or for what comes in by an
    /// interface that does not forward.
    pub fn lookup(
        &mut self,
        to: IpAddr,
        from: Option<(IpAddr, IfIndex)>,
    ) -> io::Result<Option<Route>> {
        let family = Family::of(&to);
        // The entry itself, not what a packet would see of it, and its table, which IPv6 always tells.
        let flags = match family {
            Family::Ipv4 => RouteFlags::FibMatch | RouteFlags::LookupTable,
            Family::Ipv6 => RouteFlags::FibMatch,
        };
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: encode::family(family),
            destination_prefix_length: family.bits(),
            flags,
            ..RouteHeader::default()
        };
        message
            .attributes
            .push(RouteAttribute::Destination(to.into()));
        if let Some((source, index)) = from {
            message.header.source_prefix_length = family.bits();
            message
                .attributes
                .push(RouteAttribute::Source(source.into()));
            message.attributes.push(RouteAttribute::Iif(index));
        }
        self.exchange
            .get(RTM_GETROUTE, &message, decode::route)
            .map_err(|refusal| io::Error::from_raw_os_error(refusal.errno))
    }
}
