//! BGP roles: who sells transit to whom, and which routes therefore stay where they are (RFC 9234).
//!
//! A role is agreed on in the OPENs (§4), and decides by ONLY_TO_CUSTOMER ("OTC") about each route (§5): whoever takes a route
//! from above, or hands it sidewards or down, marks it; from then on it goes down only. No policy has a say in this.

use alloc::format;
use core::fmt;

use tapway_bgp_wire as wire;
use tapway_bgp_wire::{Capabilities, ErrorCode, NotificationError};

/// What we are to a peer of another AS (RFC 9234 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// We are its transit provider.
    Provider,
    /// We are a route server, and it is a client.
    RouteServer,
    /// It is a route server, and we are a client.
    RouteServerClient,
    /// It is our transit provider.
    Customer,
    /// Both tell each other of themselves and of their customers alone.
    Peer,
}

/// The role on a session, and whether the peer must have one, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRole {
    /// Ours.
    pub role: Role,
    /// A peer that says nothing of roles is refused (RFC 9234 §4.2, "strict mode").
    pub strict: bool,
}

/// What becomes of a received route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ingress {
    /// Nothing.
    Keep,
    /// It is marked with the AS of the peer.
    Mark,
    /// It should never have come here; the AS that marked it.
    Leak(u32),
}

/// What becomes of a route that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Egress {
    /// Nothing.
    Keep,
    /// It is marked with our AS.
    Mark,
    /// It is not sent.
    Hold,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [
        Role::Provider,
        Role::RouteServer,
        Role::RouteServerClient,
        Role::Customer,
        Role::Peer,
    ];

    /// As it is written in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Provider => "provider",
            Role::RouteServer => "route-server",
            Role::RouteServerClient => "route-server-client",
            Role::Customer => "customer",
            Role::Peer => "peer",
        }
    }

    /// What the other side is then (RFC 9234 §4.2, table 2).
    pub const fn counterpart(self) -> Role {
        match self {
            Role::Provider => Role::Customer,
            Role::RouteServer => Role::RouteServerClient,
            Role::RouteServerClient => Role::RouteServer,
            Role::Customer => Role::Provider,
            Role::Peer => Role::Peer,
        }
    }

    /// A route with this OTC comes from the peer, whose AS is `remote` (RFC 9234 §5, ingress).
    pub(crate) fn ingress(self, otc: Option<u32>, remote: u32) -> Ingress {
        match (self, otc) {
            (Role::Provider | Role::RouteServer, Some(by)) => Ingress::Leak(by),
            (Role::Peer, Some(by)) if by != remote => Ingress::Leak(by),
            (Role::Customer | Role::RouteServerClient | Role::Peer, None) => Ingress::Mark,
            _ => Ingress::Keep,
        }
    }

    /// A route with this OTC is to go to the peer (RFC 9234 §5, egress).
    pub(crate) const fn egress(self, otc: Option<u32>) -> Egress {
        match (self, otc) {
            (Role::Customer | Role::RouteServerClient | Role::Peer, Some(_)) => Egress::Hold,
            (Role::Provider | Role::RouteServer | Role::Peer, None) => Egress::Mark,
            _ => Egress::Keep,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Role> for wire::Role {
    fn from(role: Role) -> wire::Role {
        match role {
            Role::Provider => wire::Role::Provider,
            Role::RouteServer => wire::Role::RouteServer,
            Role::RouteServerClient => wire::Role::RouteServerClient,
            Role::Customer => wire::Role::Customer,
            Role::Peer => wire::Role::Peer,
        }
    }
}

/// Whether the peer's role and ours belong together: its own, if it has said one (RFC 9234 §4.2).
///
/// # Errors
/// Role Mismatch: it has another one, several, or none where it must have one.
pub(crate) fn agree(
    ours: Option<PeerRole>,
    theirs: &Capabilities,
) -> Result<Option<wire::Role>, NotificationError> {
    let mismatch = |text| NotificationError::new(ErrorCode::ROLE_MISMATCH, &[], text);
    let mut said = theirs.roles();
    let role = said.next();
    if said.any(|other| Some(other) != role) {
        return Err(mismatch("the peer says several roles that differ".into()));
    }
    let Some(PeerRole { role: ours, strict }) = ours else {
        return Ok(role);
    };
    let wanted = ours.counterpart();
    match role {
        Some(role) if role == wanted.into() => Ok(Some(role)),
        Some(wire::Role::Unknown(code)) => Err(mismatch(format!(
            "the peer says a role that is not known, {code}; with ours, {ours}, it must be {wanted}"
        ))),
        Some(role) => Err(mismatch(format!(
            "the peer says that its role is {}, but with ours, {ours}, it must be {wanted}; correct role here or at the peer",
            Named(role)
        ))),
        None if strict => Err(mismatch(format!(
            "the peer says no role, and role_strict asks for {wanted}; give it that role, or remove role_strict"
        ))),
        None => Ok(None),
    }
}

/// A role on the wire, for people.
pub(crate) struct Named(pub(crate) wire::Role);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Role::ALL
            .into_iter()
            .find(|r| wire::Role::from(*r) == self.0);
        match (known, self.0) {
            (Some(role), _) => role.fmt(f),
            (None, wire::Role::Unknown(code)) => write!(f, "unknown ({code})"),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use tapway_bgp_wire::Capability;

    use super::*;

    const REMOTE: u32 = 65001;
    const OTHER: u32 = 65099;

    /// RFC 9234 §5, each rule for each of our roles.
    #[test]
    fn every_role_and_mark() {
        use Egress::{Hold, Keep as Send, Mark as MarkOut};
        use Ingress::{Keep, Leak, Mark};
        let otc = [None, Some(REMOTE), Some(OTHER)];
        for (role, received, sent) in [
            (
                Role::Provider,
                [Keep, Leak(REMOTE), Leak(OTHER)],
                [MarkOut, Send, Send],
            ),
            (
                Role::RouteServer,
                [Keep, Leak(REMOTE), Leak(OTHER)],
                [MarkOut, Send, Send],
            ),
            (
                Role::RouteServerClient,
                [Mark, Keep, Keep],
                [Send, Hold, Hold],
            ),
            (Role::Customer, [Mark, Keep, Keep], [Send, Hold, Hold]),
            (Role::Peer, [Mark, Keep, Leak(OTHER)], [MarkOut, Hold, Hold]),
        ] {
            assert_eq!(otc.map(|o| role.ingress(o, REMOTE)), received, "{role}");
            assert_eq!(otc.map(|o| role.egress(o)), sent, "{role}");
            assert_eq!(role.counterpart().counterpart(), role);
        }
    }

    /// RFC 9234 §4.2.
    #[test]
    fn who_may_be_whom() {
        let says = |roles: &[wire::Role]| {
            let roles = roles.iter().map(|r| Capability::Role(*r));
            Capabilities(roles.collect::<Vec<_>>())
        };
        for role in Role::ALL {
            for theirs in Role::ALL {
                let ours = Some(PeerRole {
                    role,
                    strict: false,
                });
                let result = agree(ours, &says(&[theirs.into()]));
                let fits = matches!(
                    (role, theirs),
                    (Role::Provider, Role::Customer)
                        | (Role::Customer, Role::Provider)
                        | (Role::RouteServer, Role::RouteServerClient)
                        | (Role::RouteServerClient, Role::RouteServer)
                        | (Role::Peer, Role::Peer)
                );
                assert_eq!(result.is_ok(), fits, "{role} {theirs}: {result:?}");
                // Who has no role takes any.
                assert!(agree(None, &says(&[theirs.into()])).is_ok());
            }
        }
        let customer = |strict| {
            Some(PeerRole {
                role: Role::Customer,
                strict,
            })
        };
        let provider = wire::Role::Provider;
        assert_eq!(agree(customer(false), &says(&[])), Ok(None));
        let twice = says(&[provider, provider]);
        assert_eq!(agree(customer(true), &twice), Ok(Some(provider)));
        for (ours, theirs, text) in [
            (
                customer(true),
                says(&[]),
                "the peer says no role, and role_strict asks for provider; give it that role, or remove role_strict",
            ),
            (
                customer(false),
                says(&[provider, wire::Role::Peer]),
                "the peer says several roles that differ",
            ),
            (
                None,
                says(&[provider, wire::Role::Peer]),
                "the peer says several roles that differ",
            ),
            (
                customer(false),
                says(&[wire::Role::Unknown(9)]),
                "the peer says a role that is not known, 9; with ours, customer, it must be provider",
            ),
            (
                customer(false),
                says(&[wire::Role::Customer]),
                "the peer says that its role is customer, but with ours, customer, it must be provider; correct role here or at the peer",
            ),
        ] {
            let error = agree(ours, &theirs).unwrap_err();
            assert_eq!(error.code, ErrorCode::ROLE_MISMATCH);
            assert_eq!(error.text, text);
        }
        assert_eq!(
            Named(wire::Role::RouteServer).to_string(),
            Role::RouteServer.to_string()
        );
    }
}
