//! Every route of the API: the one list that the server, the command line and the reference share.

use std::fmt;

/// `GET`: [`Status`](crate::status::Status).
pub const STATUS: &str = "/v1/status";
/// `GET`, `POST`.
pub const INSTANCES: &str = "/v1/instances";
/// `GET`, `PUT`, `DELETE`.
pub const INSTANCE: &str = "/v1/instances/{name}";
/// `GET`.
pub const PEERS: &str = "/v1/peers";
/// `GET`, `PUT`, `DELETE`.
pub const PEER: &str = "/v1/peers/{name}";
/// `POST`.
pub const PEER_RESET: &str = "/v1/peers/{name}/reset";
/// `POST`.
pub const PEER_DISABLE: &str = "/v1/peers/{name}/disable";
/// `POST`.
pub const PEER_ENABLE: &str = "/v1/peers/{name}/enable";
/// `GET`.
pub const POLICIES: &str = "/v1/policies";
/// `GET`, `PUT`, `DELETE`.
pub const POLICY: &str = "/v1/policies/{name}";
/// `POST`.
pub const POLICY_TEST: &str = "/v1/policies/{name}/test";
/// `GET`.
pub const ROUTES: &str = "/v1/routes";
/// `GET`.
pub const RPKI: &str = "/v1/rpki";
/// `GET`.
pub const RPKI_STATE: &str = "/v1/rpki/state";
/// `POST`.
pub const MRT_DUMP: &str = "/v1/mrt/dump";
/// `GET`.
pub const BMP: &str = "/v1/bmp";
/// `GET`.
pub const BMP_COLLECTOR: &str = "/v1/bmp/{name}";
/// `GET`.
pub const ANNOUNCEMENTS: &str = "/v1/announcements";
/// `GET`.
pub const CONFLICTS: &str = "/v1/conflicts";
/// `GET`.
pub const PROBLEMS: &str = "/v1/problems";
/// `GET`.
pub const SOURCES: &str = "/v1/sources";
/// `POST`.
pub const SOURCE_REFRESH: &str = "/v1/sources/{name}/refresh";
/// `POST`.
pub const SOURCE_FORGET: &str = "/v1/sources/{name}/forget";
/// `GET`.
pub const KERNEL: &str = "/v1/kernel";
/// `GET`.
pub const PLAN: &str = "/v1/plan";
/// `GET`.
pub const EXPLAIN: &str = "/v1/explain";
/// `GET`.
pub const DOCTOR: &str = "/v1/doctor";
/// `GET`: JSON lines without end.
pub const EVENTS: &str = "/v1/events";
/// `GET`.
pub const CONFIG: &str = "/v1/config";
/// `POST`.
pub const CONFIG_CHECK: &str = "/v1/config/check";
/// `POST`.
pub const CONFIG_RELOAD: &str = "/v1/config/reload";
/// `PUT`.
pub const DRAIN: &str = "/v1/drain";
/// `POST`.
pub const SHUTDOWN: &str = "/v1/shutdown";

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Puts one named object there.
    Put,
    /// Does something.
    Post,
    /// Removes one named object.
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        })
    }
}

/// A method of a route.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path; `{name}` stands for a percent-encoded name.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Type of the query; empty when it takes none.
    pub query: &'static str,
    /// Type of the body; empty when it takes none.
    pub body: &'static str,
    /// Type of the answer.
    pub answer: &'static str,
}

/// The path of one object: `of(PEER_RESET, "tor1")` is `/v1/peers/tor1/reset`.
pub fn of(template: &str, name: &str) -> String {
    template.replace("{name}", &encode(name))
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

const fn get(
    path: &'static str,
    query: &'static str,
    answer: &'static str,
    summary: &'static str,
) -> Endpoint {
    Endpoint {
        method: Method::Get,
        path,
        summary,
        query,
        body: "",
        answer,
    }
}

const fn write(
    method: Method,
    path: &'static str,
    body: &'static str,
    answer: &'static str,
    summary: &'static str,
) -> Endpoint {
    Endpoint {
        method,
        path,
        summary,
        query: "",
        body,
        answer,
    }
}

/// Every route.
pub const ALL: &[Endpoint] = &[
    get(STATUS, "", "Status", "The daemon at a glance."),
    get(
        INSTANCES,
        "InstanceQuery",
        "List<Instance>",
        "Instances of all sources.",
    ),
    write(
        Method::Post,
        INSTANCES,
        "[InstanceBody]",
        "Applied",
        "Apply several instances: all of them or, when one is wrong, none.",
    ),
    get(
        INSTANCE,
        "",
        "List<InstanceDetail>",
        "The instances of this name; names are unique only within a source.",
    ),
    write(
        Method::Put,
        INSTANCE,
        "InstanceBody",
        "Applied",
        "Apply one instance.",
    ),
    write(
        Method::Delete,
        INSTANCE,
        "",
        "Done",
        "Remove an instance that was applied through the API.",
    ),
    get(PEERS, "", "List<Peer>", "Peers and their sessions."),
    get(
        PEER,
        "",
        "PeerDetail",
        "One peer, its session and its configuration.",
    ),
    write(Method::Put, PEER, "PeerBody", "Applied", "Apply a peer."),
    write(
        Method::Delete,
        PEER,
        "",
        "Done",
        "Remove a peer that was applied through the API.",
    ),
    write(
        Method::Post,
        PEER_RESET,
        "Reset",
        "Done",
        "Exchange all routes again, or end the session and make it again.",
    ),
    write(
        Method::Post,
        PEER_DISABLE,
        "Disable",
        "Done",
        "End the session and stay down, also after a restart.",
    ),
    write(Method::Post, PEER_ENABLE, "", "Done", "Undo a disable."),
    get(POLICIES, "", "List<Policy>", "Policies, built-in ones too."),
    get(POLICY, "", "Policy", "One policy."),
    write(
        Method::Put,
        POLICY,
        "PolicyBody",
        "Applied",
        "Apply a policy.",
    ),
    write(
        Method::Delete,
        POLICY,
        "",
        "Done",
        "Remove a policy that was applied through the API.",
    ),
    write(
        Method::Post,
        POLICY_TEST,
        "PolicyTest",
        "PolicyTested",
        "Ask what a policy would do with routes; nothing is changed.",
    ),
    get(
        ROUTES,
        "RouteQuery",
        "List<Route>",
        "BGP routes: received from a peer, sent to a peer, or the best.",
    ),
    get(
        RPKI,
        "",
        "List<RpkiCache>",
        "RPKI caches and how they fare.",
    ),
    get(
        RPKI_STATE,
        "RpkiQuery",
        "RpkiAnswer",
        "Whether an AS may announce a prefix, and the VRPs that cover it.",
    ),
    write(
        Method::Post,
        MRT_DUMP,
        "MrtDump",
        "Done",
        "Write the RIB to a file in the format of MRT; the answer comes when it is there.",
    ),
    get(
        BMP,
        "",
        "List<Collector>",
        "Collectors that are told routes by BMP, and how they fare.",
    ),
    get(BMP_COLLECTOR, "", "Collector", "One collector."),
    get(
        ANNOUNCEMENTS,
        "AnnouncementQuery",
        "List<Announcement>",
        "Routes originated here, and what each peer got.",
    ),
    get(
        CONFLICTS,
        "",
        "List<Conflict>",
        "Claims of different owners on equal or overlapping prefixes.",
    ),
    get(
        PROBLEMS,
        "",
        "List<Problem>",
        "What an operator should mend.",
    ),
    get(
        SOURCES,
        "",
        "List<Source>",
        "Sources of instances and how they fare.",
    ),
    write(
        Method::Post,
        SOURCE_REFRESH,
        "",
        "Done",
        "Have a source listed again now.",
    ),
    write(
        Method::Post,
        SOURCE_FORGET,
        "",
        "Done",
        "Drop what a stale source said: withdraw and unwire it.",
    ),
    get(
        KERNEL,
        "",
        "List<KernelObject>",
        "Kernel objects of ours: wanted, there, in the way.",
    ),
    get(
        PLAN,
        "",
        "Plan",
        "What would change now, as commands; nothing is done.",
    ),
    get(
        EXPLAIN,
        "ExplainQuery",
        "Explanation",
        "Why a prefix is or is not reachable: the chain from claim to peer.",
    ),
    get(DOCTOR, "", "Diagnosis", "Checks of the host."),
    get(
        EVENTS,
        "",
        "stream of Event",
        "What happens, one JSON object per line, without end.",
    ),
    get(
        CONFIG,
        "",
        "Configuration",
        "The configuration in effect, and what comes from where.",
    ),
    write(
        Method::Post,
        CONFIG_CHECK,
        "CheckBody",
        "Checked",
        "Check a configuration without loading it.",
    ),
    write(
        Method::Post,
        CONFIG_RELOAD,
        "",
        "Checked",
        "Read the configuration file again; a wrong one changes nothing.",
    ),
    write(
        Method::Put,
        DRAIN,
        "Drain",
        "Done",
        "Announce all routes as the last choice (RFC 8326), or as usual again; kept across restarts.",
    ),
    write(
        Method::Post,
        SHUTDOWN,
        "Shutdown",
        "Done",
        "Withdraw everything, remove what is ours from the kernel, end.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded() {
        assert_eq!(of(PEER_RESET, "tor1"), "/v1/peers/tor1/reset");
        assert_eq!(
            of(INSTANCE, "a:b@c+d/e ü"),
            "/v1/instances/a%3Ab%40c%2Bd%2Fe%20%C3%BC"
        );
    }
}
