//! What a peer should do, in words that all programs share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_model::{Family, Prefix};

/// A router: who it is, whom it talks to, what it originates.
#[derive(Clone, Debug)]
pub struct Router {
    /// Its AS.
    pub asn: u32,
    /// Its BGP identifier.
    pub id: Ipv4Addr,
    /// The TCP port that it listens on.
    pub port: u16,
    /// Its neighbours.
    pub neighbors: Vec<Neighbor>,
    /// Prefixes that it originates.
    pub originates: Vec<Prefix>,
    /// The next hops of what it originates, one for a family. Only GoBGP needs them: it gives the
    /// session's own address otherwise, whatever the family.
    pub next_hops: Vec<IpAddr>,
    /// Whether it puts what it learns into the kernel. GoBGP cannot.
    pub install: bool,
}

impl Router {
    /// A router without neighbours.
    pub fn new(asn: u32, id: Ipv4Addr) -> Router {
        Router {
            asn,
            id,
            port: 179,
            neighbors: Vec::new(),
            originates: Vec::new(),
            next_hops: Vec::new(),
            install: false,
        }
    }

    /// Adds a neighbour.
    #[must_use]
    pub fn neighbor(mut self, neighbor: Neighbor) -> Router {
        self.neighbors.push(neighbor);
        self
    }

    /// Adds a prefix to originate.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn originate(mut self, prefix: &str) -> Router {
        match prefix.parse() {
            Ok(prefix) => self.originates.push(prefix),
            Err(e) => panic!("{prefix}: {e}"),
        }
        self
    }

    /// Gives what it originates this next hop, as [`Router::next_hops`] says.
    ///
    /// # Panics
    /// When it is no address.
    #[must_use]
    #[track_caller]
    pub fn next_hop(mut self, address: &str) -> Router {
        match address.parse() {
            Ok(address) => self.next_hops.push(address),
            Err(e) => panic!("{address}: {e}"),
        }
        self
    }

    /// Puts what it learns into the kernel.
    #[must_use]
    pub fn install(mut self) -> Router {
        self.install = true;
        self
    }

    /// Listens on another port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Router {
        self.port = port;
        self
    }

    #[track_caller]
    pub(super) fn find(&self, name: &str) -> &Neighbor {
        match self.neighbors.iter().find(|n| n.name == name) {
            Some(neighbor) => neighbor,
            None => panic!("no neighbour {name} in {self:?}"),
        }
    }
}

/// Where a neighbour is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// At an address.
    Address(IpAddr),
    /// At a link-local address of an interface.
    LinkLocal(Ipv6Addr, String),
    /// Whoever sends router advertisements on an interface. BIRD cannot.
    Interface(String),
}

/// Graceful restart (RFC 4724), as a peer does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GracefulRestart {
    /// Not at all.
    Off,
    /// It keeps the neighbour's routes while that one restarts.
    Helper,
    /// It also asks its neighbours to keep its own.
    Full,
}

/// What a router is to a neighbour (RFC 9234).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sells transit to it.
    Provider,
    /// It buys transit from it.
    Customer,
    /// Neither.
    Peer,
    /// It is a route server, and the neighbour a client. FRR calls it otherwise.
    RouteServer,
}

impl Role {
    /// As BIRD and FRR call it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Role::Provider => "provider",
            Role::Customer => "customer",
            Role::Peer => "peer",
            Role::RouteServer => "rs_server",
        }
    }
}

/// A neighbour of a [`Router`]. Made by [`Neighbor::at`] or [`Neighbor::link_local`], both families on
/// one session, short timers, graceful restart as a helper.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// How it is called in configuration and questions: a lower-case word.
    pub name: String,
    /// Where it is.
    pub remote: Remote,
    /// Its AS.
    pub asn: u32,
    /// Its TCP port.
    pub port: u16,
    /// The own address towards it.
    pub local: Option<IpAddr>,
    /// TCP MD5 (RFC 2385).
    pub password: Option<String>,
    /// GTSM (RFC 5082).
    pub ttl_security: bool,
    /// Hops away, when not directly attached.
    pub multihop: Option<u8>,
    /// Wait to be called.
    pub passive: bool,
    /// Address families.
    pub families: Vec<Family>,
    /// Offer IPv4 with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Graceful restart.
    pub graceful_restart: GracefulRestart,
    /// Long-lived graceful restart (RFC 9494): for so many seconds, after a restart time of 1 s.
    pub long_lived: Option<u32>,
    /// Hold time and keepalive interval in seconds.
    pub timers: (u16, u16),
    /// It is a client of this router, which is its route reflector (RFC 4456).
    pub client: bool,
    /// It is a client of this router, which is a route server (RFC 7947). BIRD alone can.
    pub served: bool,
    /// Several paths of a prefix both ways (RFC 7911).
    pub add_paths: bool,
    /// What this router is to it, which must say its own role, too (RFC 9234). GoBGP knows no roles.
    pub role: Option<Role>,
    /// Mark what is originated for customers only, with this AS, role or not (RFC 9234). BIRD alone can.
    pub otc: Option<u32>,
    /// Put this AS in front of what is originated, behind the router's own. BIRD alone does.
    pub prepend: Option<u32>,
}

impl Neighbor {
    /// A neighbour at an address.
    ///
    /// # Panics
    /// When `address` is none.
    #[track_caller]
    pub fn at(name: &str, address: &str, asn: u32) -> Neighbor {
        match address.parse() {
            Ok(address) => Neighbor::new(name, Remote::Address(address), asn),
            Err(e) => panic!("{address}: {e}"),
        }
    }

    /// A neighbour at a link-local address of an interface, with RFC 8950 for IPv4.
    pub fn link_local(name: &str, address: Ipv6Addr, interface: &str, asn: u32) -> Neighbor {
        Neighbor {
            extended_next_hop: true,
            ..Neighbor::new(name, Remote::LinkLocal(address, interface.to_string()), asn)
        }
    }

    /// The neighbour that sends router advertisements on an interface, with RFC 8950 for IPv4.
    pub fn interface(name: &str, interface: &str, asn: u32) -> Neighbor {
        Neighbor {
            extended_next_hop: true,
            ..Neighbor::new(name, Remote::Interface(interface.to_string()), asn)
        }
    }

    fn new(name: &str, remote: Remote, asn: u32) -> Neighbor {
        Neighbor {
            name: name.to_string(),
            remote,
            asn,
            port: 179,
            local: None,
            password: None,
            ttl_security: false,
            multihop: None,
            passive: false,
            families: Family::ALL.to_vec(),
            extended_next_hop: false,
            graceful_restart: GracefulRestart::Helper,
            long_lived: None,
            timers: (90, 30),
            client: false,
            served: false,
            add_paths: false,
            role: None,
            otc: None,
            prepend: None,
        }
    }

    /// With TCP MD5.
    #[must_use]
    pub fn password(mut self, password: &str) -> Neighbor {
        self.password = Some(password.to_string());
        self
    }

    /// With GTSM, one hop.
    #[must_use]
    pub fn ttl_security(mut self) -> Neighbor {
        self.ttl_security = true;
        self
    }

    /// With a hold time and a keepalive interval in seconds.
    #[must_use]
    pub fn timers(mut self, hold: u16, keepalive: u16) -> Neighbor {
        self.timers = (hold, keepalive);
        self
    }

    /// Offering IPv4 routes with IPv6 next hops.
    #[must_use]
    pub fn extended_next_hop(mut self) -> Neighbor {
        self.extended_next_hop = true;
        self
    }

    /// With another way of graceful restart.
    #[must_use]
    pub fn graceful_restart(mut self, how: GracefulRestart) -> Neighbor {
        self.graceful_restart = how;
        self
    }

    /// With graceful restart both ways: 1 s, and so many seconds more (RFC 9494).
    #[must_use]
    pub fn long_lived(mut self, seconds: u32) -> Neighbor {
        self.graceful_restart = GracefulRestart::Full;
        self.long_lived = Some(seconds);
        self
    }

    /// With an own address.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn local(mut self, address: &str) -> Neighbor {
        match address.parse() {
            Ok(address) => self.local = Some(address),
            Err(e) => panic!("{address}: {e}"),
        }
        self
    }

    /// At another TCP port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Neighbor {
        self.port = port;
        self
    }

    /// Several hops away.
    #[must_use]
    pub fn multihop(mut self, hops: u8) -> Neighbor {
        self.multihop = Some(hops);
        self
    }

    /// Waiting to be called.
    #[must_use]
    pub fn passive(mut self) -> Neighbor {
        self.passive = true;
        self
    }

    /// With these families only.
    #[must_use]
    pub fn families(mut self, families: &[Family]) -> Neighbor {
        self.families = families.to_vec();
        self
    }

    /// A client, to which what other internal neighbours sent is reflected.
    #[must_use]
    pub fn client(mut self) -> Neighbor {
        self.client = true;
        self
    }

    /// A client of this route server, which passes on what others sent as it came.
    #[must_use]
    pub fn served(mut self) -> Neighbor {
        self.served = true;
        self
    }

    /// With several paths of a prefix.
    #[must_use]
    pub fn add_paths(mut self) -> Neighbor {
        self.add_paths = true;
        self
    }

    /// With this role of the router; the neighbour must say the one that belongs to it.
    #[must_use]
    pub fn role(mut self, role: Role) -> Neighbor {
        self.role = Some(role);
        self
    }

    /// Marking what is originated for customers only.
    #[must_use]
    pub fn otc(mut self, asn: u32) -> Neighbor {
        self.otc = Some(asn);
        self
    }

    /// With another AS behind the router's own in what it originates.
    #[must_use]
    pub fn prepend(mut self, asn: u32) -> Neighbor {
        self.prepend = Some(asn);
        self
    }

    pub(super) fn address(&self) -> String {
        match &self.remote {
            Remote::Address(address) => address.to_string(),
            Remote::LinkLocal(address, _) => address.to_string(),
            Remote::Interface(name) => name.clone(),
        }
    }
}
