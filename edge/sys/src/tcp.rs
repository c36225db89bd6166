//! TCP sockets as BGP needs them: signed (RFC 2385), with the TTL checked (RFC 5082), bound to an
//! interface, never blocking.
//!
//! Everything fails closed: when one option cannot be set there is no socket. Reading and writing is
//! `std::net::TcpStream::from(fd)`.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{arrival, md5, option};

/// `IP_MINTTL` (`linux/in.h`)
const IP_MINTTL: i32 = 21;
/// `IPV6_MINHOPCOUNT` (`linux/in6.h`)
const IPV6_MINHOPCOUNT: i32 = 73;
/// `SO_BINDTOIFINDEX` (`asm-generic/socket.h`)
const SO_BINDTOIFINDEX: i32 = 62;
/// `SIOCOUTQNSD` (`linux/sockios.h`)
const SIOCOUTQNSD: libc::Ioctl = 0x894b;
/// Class selector 6, internetwork control (RFC 4271 implementations send it by custom).
const CS6: u32 = 0xc0;

/// Options of a connection.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions<'a> {
    /// The key that both directions are signed with.
    pub md5: Option<&'a [u8]>,
    /// TTL or hop limit of what is sent.
    pub ttl: u8,
    /// What arrives with less is dropped by the kernel (RFC 5082).
    pub min_ttl: Option<u8>,
    /// The interface that packets leave and arrive by.
    pub bind_device: Option<&'a str>,
    /// How long written bytes may stay unacknowledged before the connection ends.
    pub user_timeout: Option<Duration>,
}

impl Default for TcpOptions<'_> {
    fn default() -> Self {
        TcpOptions {
            md5: None,
            ttl: 64,
            min_ttl: None,
            bind_device: None,
            user_timeout: None,
        }
    }
}

/// Begins to connect. The socket becomes writable when it is decided; ask [`connect_error`] then.
///
/// A link-local `remote` needs its scope; a link-local `local` gets the same one.
///
/// # Errors
/// When an option cannot be set, the local address is not this host's, or there is no route.
pub fn tcp_connect(
    local: Option<IpAddr>,
    remote: SocketAddr,
    options: &TcpOptions<'_>,
) -> io::Result<OwnedFd> {
    let socket = Socket::new(
        Domain::for_address(remote),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    if let Some(name) = options.bind_device {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    configure(&socket, remote.is_ipv6(), options)?;
    if let Some(key) = options.md5 {
        md5::set_key(&socket, remote.ip(), whole(&remote.ip()), Some(key))?;
    }
    if let Some(local) = local {
        let local = match (local, remote) {
            (IpAddr::V6(a), SocketAddr::V6(r)) if a.is_unicast_link_local() => {
                SocketAddr::V6(SocketAddrV6::new(a, 0, 0, r.scope_id()))
            }
            _ => SocketAddr::new(local, 0),
        };
        socket.bind(&local.into())?;
    }
    match socket.connect(&remote.into()) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(e) => return Err(e),
    }
    Ok(socket.into())
}

/// Listens. The address need not be there yet (`IP_FREEBIND`); IPv6 takes no IPv4. `prepare` gets the
/// bound socket before it listens: keys that are set there are on it before the first handshake.
/// Handshakes are answered with the highest TTL, which a peer with TTL security asks for (RFC 5082 §3).
///
/// # Errors
/// `AddrInUse` when somebody else listens there; when an option cannot be set; what `prepare` says.
pub fn tcp_listen(
    addr: SocketAddr,
    bind_device: Option<&str>,
    backlog: i32,
    prepare: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if let Some(name) = bind_device {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
        socket.set_tclass_v6(CS6)?;
        socket.set_unicast_hops_v6(u8::MAX.into())?;
    } else {
        socket.set_freebind_v4(true)?;
        socket.set_tos_v4(CS6)?;
        socket.set_ttl_v4(u8::MAX.into())?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    prepare(socket.as_fd())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Sets the key of peers in `addr/len` on a listener, or takes it away. See [`md5::set_key`].
///
/// # Errors
/// As [`md5::set_key`].
pub fn set_md5_key(
    listener: impl AsFd,
    addr: IpAddr,
    len: u8,
    key: Option<&[u8]>,
) -> io::Result<()> {
    md5::set_key(listener, addr, len, key)
}

/// Sets the TTL below which arriving packets are dropped; 0 turns the check off.
///
/// On a listener it also guards the handshake and is inherited by what is accepted, so one listener
/// for peers with and without TTL security must leave it at 0 and set it on each accepted socket.
///
/// # Errors
/// What the kernel says.
pub fn set_min_ttl(socket: impl AsFd, min_ttl: u8) -> io::Result<()> {
    let v6 = SockRef::from(&socket).local_addr()?.is_ipv6();
    min_ttl_of(&socket, v6, min_ttl)
}

/// A connection that came in.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, non-blocking.
    pub fd: OwnedFd,
    /// The other end; a link-local address has its scope.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// The interface it is tied to: that of the listener if bound to one, or of a link-local peer.
    pub ifindex: Option<u32>,
    /// The interface that it came in on, whatever it is tied to; `None`: the kernel does not say.
    pub arrived: Option<u32>,
}

/// Takes the next connection. `None` when there is none now. Connections that ended while they
/// waited are skipped.
///
/// # Errors
/// When descriptors are used up; wait before the next try then.
pub fn accept(listener: impl AsFd) -> io::Result<Option<Accepted>> {
    let listener = SockRef::from(&listener);
    loop {
        let (socket, peer) = match listener.accept_raw() {
            Ok(accepted) => accepted,
            Err(e) => match e.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(None),
                // accept(2): errors of the new connection itself; go on to the next.
                Some(
                    libc::EINTR
                    | libc::ECONNABORTED
                    | libc::EPROTO
                    | libc::ENETDOWN
                    | libc::EHOSTUNREACH
                    | libc::ENETUNREACH,
                ) => {
                    continue;
                }
                _ => return Err(e),
            },
        };
        socket.set_cloexec(true)?;
        socket.set_nonblocking(true)?;
        let (Some(peer), Some(local)) = (peer.as_socket(), socket.local_addr()?.as_socket()) else {
            continue;
        };
        let bound = option::get(socket.as_fd(), libc::SOL_SOCKET, SO_BINDTOIFINDEX)?;
        let scope = match peer {
            SocketAddr::V6(a) => a.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let ifindex = [u32::try_from(bound).unwrap_or(0), scope]
            .into_iter()
            .find(|index| *index != 0);
        let arrived = arrival::interface(socket.as_fd(), local.is_ipv6()).unwrap_or(None);
        return Ok(Some(Accepted {
            fd: socket.into(),
            peer,
            local,
            ifindex,
            arrived,
        }));
    }
}

/// Gives an accepted socket its peer's options. The key is not among them: it had to be on the
/// listener before the handshake.
///
/// # Errors
/// When one cannot be set; close the connection then.
pub fn configure_accepted(socket: impl AsFd, options: &TcpOptions<'_>) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    let v6 = socket.local_addr()?.is_ipv6();
    configure(&socket, v6, options)
}

/// How a connect ended: `None` when it is established or still under way.
///
/// # Errors
/// When the socket cannot be asked.
pub fn connect_error(socket: impl AsFd) -> io::Result<Option<io::Error>> {
    SockRef::from(&socket).take_error()
}

/// This end's address.
///
/// # Errors
/// When the socket cannot be asked.
pub fn local_addr(socket: impl AsFd) -> io::Result<SocketAddr> {
    SockRef::from(&socket)
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// The other end's address.
///
/// # Errors
/// When it is not connected.
pub fn peer_addr(socket: impl AsFd) -> io::Result<SocketAddr> {
    SockRef::from(&socket)
        .peer_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Bytes written but not sent yet, because the other end's window or the network is full.
///
/// # Errors
/// When the socket cannot be asked.
pub fn tcp_unsent(socket: impl AsFd) -> io::Result<usize> {
    Ok(usize::try_from(option::ioctl_int(socket.as_fd(), SIOCOUTQNSD)?).unwrap_or(0))
}

/// Bytes written but not acknowledged yet.
///
/// # Errors
/// When the socket cannot be asked.
pub fn tcp_unacknowledged(socket: impl AsFd) -> io::Result<usize> {
    Ok(usize::try_from(option::ioctl_int(socket.as_fd(), libc::TIOCOUTQ)?).unwrap_or(0))
}

fn configure(socket: &Socket, v6: bool, options: &TcpOptions<'_>) -> io::Result<()> {
    if v6 {
        socket.set_tclass_v6(CS6)?;
        socket.set_unicast_hops_v6(options.ttl.into())?;
    } else {
        socket.set_tos_v4(CS6)?;
        socket.set_ttl_v4(options.ttl.into())?;
    }
    if let Some(min_ttl) = options.min_ttl {
        min_ttl_of(socket, v6, min_ttl)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(options.user_timeout)
}

fn min_ttl_of(socket: &impl AsFd, v6: bool, min_ttl: u8) -> io::Result<()> {
    let (level, name) = if v6 {
        (libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT)
    } else {
        (libc::IPPROTO_IP, IP_MINTTL)
    };
    option::set(socket.as_fd(), level, name, &libc::c_int::from(min_ttl))
}

const fn whole(addr: &IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
