//! Changes of links and routes by hand-made rtnetlink requests: a forked `ip` takes longer than what
//! is measured here, and the product's own writer must not be what the others are measured with.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use tapway_lab::Netns;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLMSG_ERROR: u16 = 2;
const REQUEST_ACK: u16 = 0x05;
const CREATE_EXCL: u16 = 0x600;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 0x1_0000;
/// The group of link notifications, as a bit of the old kind.
const GROUP_LINK: u32 = 1;
/// `RTPROT_BOOT`: what `ip route add` writes.
const PROTOCOL_BOOT: u8 = 3;
const TABLE_MAIN: u8 = 254;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;

/// A socket of one namespace that waits for the kernel's answer.
pub(crate) struct Rtnl {
    fd: OwnedFd,
    sequence: u32,
}

impl Rtnl {
    /// Opens one in `ns`.
    pub(crate) fn open(ns: &Netns) -> io::Result<Rtnl> {
        Ok(Rtnl {
            fd: socket(ns, 0)?,
            sequence: 0,
        })
    }

    /// Makes a pair of interfaces, both down: `host` here, `guest` in the namespace `guests`. The two
    /// numbers must differ: the kernel defers carrier events of a pair whose numbers are equal.
    pub(crate) fn add_pair(
        &mut self,
        (host, host_index): (&str, u32),
        (guest, guest_index): (&str, u32),
        guests: &File,
    ) -> io::Result<()> {
        let header = link_header(host_index, 0, 0);
        let mut message = Message::new(RTM_NEWLINK, CREATE_EXCL, &header);
        message.attribute(IFLA_IFNAME, &name(host));
        let info = message.open(IFLA_LINKINFO);
        message.attribute(IFLA_INFO_KIND, b"veth");
        let data = message.open(IFLA_INFO_DATA);
        let peer = message.open(VETH_INFO_PEER);
        message.bytes.extend(link_header(guest_index, 0, 0));
        message.attribute(IFLA_IFNAME, &name(guest));
        let fd = u32::try_from(guests.as_raw_fd()).map_err(io::Error::other)?;
        message.attribute(IFLA_NET_NS_FD, &fd.to_ne_bytes());
        message.close(peer);
        message.close(data);
        message.close(info);
        self.send(message).map(|_| ())
    }

    /// Sets a link up or down; says when that was asked for.
    pub(crate) fn set_up(&mut self, index: u32, up: bool) -> io::Result<Instant> {
        let flags = if up { IFF_UP } else { 0 };
        let header = link_header(index, flags, IFF_UP);
        self.send(Message::new(RTM_NEWLINK, 0, &header))
    }

    /// Removes a link; says when that was asked for.
    pub(crate) fn delete(&mut self, index: u32) -> io::Result<Instant> {
        self.send(Message::new(RTM_DELLINK, 0, &link_header(index, 0, 0)))
    }

    /// Adds or removes the route of one IPv4 address; says when that was asked for.
    pub(crate) fn route(&mut self, add: bool, address: Ipv4Addr, oif: u32) -> io::Result<Instant> {
        let (kind, flags) = if add {
            (RTM_NEWROUTE, CREATE_EXCL)
        } else {
            (RTM_DELROUTE, 0)
        };
        let header = [2, 32, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, SCOPE_LINK, UNICAST];
        let mut message = Message::new(kind, flags, &[&header[..], &[0; 4]].concat());
        message.attribute(RTA_DST, &address.octets());
        message.attribute(RTA_OIF, &oif.to_ne_bytes());
        self.send(message)
    }

    fn send(&mut self, message: Message) -> io::Result<Instant> {
        self.sequence += 1;
        let bytes = message.finish(self.sequence);
        let at = Instant::now();
        rustix::net::send(&self.fd, &bytes, SendFlags::empty())?;
        let mut answer = [0; 4096];
        let (count, _) = rustix::net::recv(&self.fd, &mut answer, RecvFlags::empty())?;
        let answer = &answer[..count];
        let errno = word(answer, 16).unwrap_or(0).cast_signed();
        match half(answer, 4) {
            Some(NLMSG_ERROR) if errno == 0 => Ok(at),
            Some(NLMSG_ERROR) => Err(io::Error::from_raw_os_error(-errno)),
            other => Err(io::Error::other(format!("netlink answered {other:?}"))),
        }
    }
}

/// A link as a notification tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkNotice {
    /// The interface's number.
    pub index: u32,
    /// Up, with carrier, and not removed.
    pub usable: bool,
}

/// A socket that hears of links.
pub(crate) struct LinkMonitor(OwnedFd);

impl LinkMonitor {
    /// Opens one in `ns`.
    pub(crate) fn open(ns: &Netns) -> io::Result<LinkMonitor> {
        socket(ns, GROUP_LINK).map(LinkMonitor)
    }

    /// Waits for notifications and gives each to `take`.
    pub(crate) fn read(
        &self,
        buffer: &mut [u8],
        mut take: impl FnMut(LinkNotice),
    ) -> io::Result<()> {
        let (count, _) = rustix::net::recv(&self.0, &mut *buffer, RecvFlags::empty())?;
        let mut rest = &buffer[..count];
        while let (Some(len), Some(kind)) = (word(rest, 0), half(rest, 4)) {
            let (Some(index), Some(flags)) = (word(rest, 20), word(rest, 24)) else {
                return Ok(());
            };
            let both = IFF_UP | IFF_LOWER_UP;
            take(LinkNotice {
                index,
                usable: kind == RTM_NEWLINK && flags & both == both,
            });
            rest = rest
                .get((len as usize).next_multiple_of(4)..)
                .unwrap_or(&[]);
        }
        Ok(())
    }
}

fn socket(ns: &Netns, groups: u32) -> io::Result<OwnedFd> {
    ns.run_in(|| {
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(fd)
    })
}

struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16, header: &[u8]) -> Message {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | REQUEST_ACK).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(header);
        Message { bytes }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let at = self.open(kind);
        self.bytes.extend(value);
        self.close(at);
    }

    fn open(&mut self, kind: u16) -> usize {
        let at = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        at
    }

    fn close(&mut self, at: usize) {
        let len = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for word in [index, flags, change] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}

fn name(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}
