//! `doctor`: what on this host can keep the guests from being reached.
//!
//! The loop takes [`Facts`] from its own state; the checks read `/proc`, configuration files and the
//! ruleset of other firewalls on a thread of their own, because that may take long.

mod firewall;
mod networkd;
mod port;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tapway_api::doctor::{Check, CheckStatus, Diagnosis};
use tapway_bgp::Speaker;
use tapway_model::PeerName;
use tapway_node::Node;
use tapway_sys::sysctl;

/// What the checks need of the daemon.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Host-side interfaces of guests that are there.
    pub guest_interfaces: Vec<String>,
    /// Whether any guest or import needs forwarding.
    pub forwards: bool,
    /// Listeners that could not be opened, and why.
    pub failed_listeners: Vec<(SocketAddr, String)>,
    /// Why nothing is kept across restarts.
    pub not_kept: Option<String>,
    /// Peers that are not established, and why.
    pub peers_down: Vec<(String, String)>,
    /// Kernel objects that cannot be had.
    pub kernel_problems: Vec<String>,
    /// That scans of the kernel are never whole.
    pub torn_scans: Option<String>,
    /// What is wrong with RPKI caches and their use.
    pub rpki: Vec<String>,
    /// How many caches there are.
    pub rpki_caches: usize,
    /// Peers that hear from us of routes that are not in the kernel, with those who sent them.
    pub transit: Vec<String>,
}

impl Facts {
    /// What the node knows.
    pub fn of(
        node: &Node,
        failed_listeners: Vec<(SocketAddr, String)>,
        not_kept: Option<String>,
    ) -> Facts {
        let guest_interfaces: Vec<String> = node
            .intent()
            .nics()
            .filter(|nic| node.fib().link_named(&nic.interface).is_some())
            .map(|nic| nic.interface.to_string())
            .collect();
        let peers_down = node
            .speaker()
            .peers()
            .filter(|peer| !peer.disabled && peer.state != tapway_bgp::State::Established)
            .map(|peer| {
                let why = match node.endpoint(&peer.name) {
                    Some(Err(why)) => why.clone(),
                    _ => peer
                        .last_down
                        .map_or_else(|| peer.state.to_string(), |(_, reason)| reason.to_string()),
                };
                (peer.name.to_string(), why)
            })
            .collect();
        Facts {
            forwards: node.intent().nics().next().is_some(),
            guest_interfaces,
            failed_listeners,
            not_kept,
            peers_down,
            kernel_problems: crate::views::kernel_problems(node)
                .map(|p| format!("{}: {}", p.subject, p.message))
                .collect(),
            torn_scans: None,
            rpki: Vec::new(),
            rpki_caches: 0,
            transit: transit_of(node.speaker()),
        }
    }
}

/// Who draws packets here for which the kernel has no route.
fn transit_of(speaker: &Speaker) -> Vec<String> {
    // The members of a range are alike.
    let mut kinds: BTreeMap<&PeerName, (PeerName, bool)> = BTreeMap::new();
    for peer in speaker.peers() {
        if let Some(config) = speaker.peer_config(&peer.name) {
            let installs = config.install.is_some();
            kinds.insert(config.known_as(), (peer.name, installs));
        }
    }
    let unwired = |to: &PeerName| -> Vec<String> {
        let from = kinds.iter().filter(|(_, (_, installs))| !installs);
        let drawn = from.filter(|(_, (from, _))| speaker.draws_transit(to, from));
        drawn.map(|(kind, _)| kind.to_string()).collect()
    };
    let rows = kinds.iter().map(|(kind, (to, _))| (kind, unwired(to)));
    rows.filter(|(_, senders)| !senders.is_empty())
        .map(|(name, senders)| format!("{name} may be told what {} sent", senders.join(", ")))
        .collect()
}

/// All checks. Blocks on files and on one run of `nft`.
pub fn diagnose(facts: &Facts) -> Diagnosis {
    let mut checks = vec![
        forwarding("ipv4", "ipv4/conf/all/forwarding", facts.forwards),
        forwarding("ipv6", "ipv6/conf/all/forwarding", facts.forwards),
        rp_filter(&facts.guest_interfaces),
        firewall::check(),
        port::check(&facts.failed_listeners),
        networkd::check(),
        kernel_objects(&facts.kernel_problems),
        scans(facts.torn_scans.as_deref()),
        state(facts.not_kept.as_deref()),
        rpki(&facts.rpki, facts.rpki_caches),
        transit(&facts.transit),
    ];
    checks.extend(facts.peers_down.iter().map(|(peer, why)| {
        with_remedy(
            check(
                "peer",
                CheckStatus::Failed,
                format!("the session with {peer} is not up: {why}"),
            ),
            format!("tapway peer show {peer}"),
        )
    }));
    Diagnosis { checks }
}

fn check(name: &str, status: CheckStatus, summary: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        status,
        summary: summary.into(),
        detail: Vec::new(),
        remedy: None,
    }
}

fn with_remedy(check: Check, remedy: impl Into<String>) -> Check {
    Check {
        remedy: Some(remedy.into()),
        ..check
    }
}

fn forwarding(family: &str, path: &str, needed: bool) -> Check {
    let name = format!("forwarding-{family}");
    let sysctl_name = format!("net.{}", path.replace('/', "."));
    match sysctl::read(path).as_deref() {
        Ok("1") => check(&name, CheckStatus::Ok, format!("{sysctl_name} is 1")),
        Ok(value) if needed => with_remedy(
            check(
                &name,
                CheckStatus::Failed,
                format!("{sysctl_name} is {value}: guests cannot be reached from outside"),
            ),
            format!(
                "find what sets it back (sysctl.d, another daemon), then sysctl -w {sysctl_name}=1"
            ),
        ),
        Ok(value) => check(
            &name,
            CheckStatus::Ok,
            format!("{sysctl_name} is {value}; no guest needs it"),
        ),
        Err(error) => check(
            &name,
            CheckStatus::Skipped,
            format!("{sysctl_name}: {error}"),
        ),
    }
}

/// The kernel uses the larger of `all` and the interface (`Documentation/networking/ip-sysctl.rst`).
fn rp_filter(interfaces: &[String]) -> Check {
    let read = |name: &str| {
        sysctl::read(&format!("ipv4/conf/{name}/rp_filter"))
            .ok()
            .and_then(|v| v.parse::<u8>().ok())
            .unwrap_or(0)
    };
    let all = read("all");
    let strict: Vec<&String> = interfaces
        .iter()
        .filter(|name| all.max(read(name)) == 1)
        .collect();
    if strict.is_empty() {
        return check(
            "rp-filter",
            CheckStatus::Ok,
            "no guest's interface has strict reverse path filtering",
        );
    }
    let mut found = with_remedy(
        check(
            "rp-filter",
            CheckStatus::Warning,
            format!(
                "{} guests' interfaces filter by reverse path strictly: a guest whose address also has a better \
                 route elsewhere (anycast, a second NIC) is dropped",
                strict.len()
            ),
        ),
        "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0, or 2 for loose",
    );
    found.detail = strict.iter().take(10).map(|name| (*name).clone()).collect();
    found
}

fn state(not_kept: Option<&str>) -> Check {
    match not_kept {
        None => check("state", CheckStatus::Ok, "state is kept across restarts"),
        Some(why) => with_remedy(
            check(
                "state",
                CheckStatus::Failed,
                format!("nothing is kept across restarts: {why}"),
            ),
            crate::store::MEND,
        ),
    }
}

fn rpki(problems: &[String], caches: usize) -> Check {
    match (problems, caches) {
        ([], 0) => check(
            "rpki",
            CheckStatus::Ok,
            "no RPKI cache, and no policy that asks for one",
        ),
        ([], _) => check(
            "rpki",
            CheckStatus::Ok,
            format!("{caches} RPKI caches answer"),
        ),
        (problems, _) => {
            let summary = "RPKI states may be wrong or too old";
            let mut found = check("rpki", CheckStatus::Warning, summary);
            found.detail = problems.iter().take(10).cloned().collect();
            with_remedy(found, "tapway rpki")
        }
    }
}

fn transit(unwired: &[String]) -> Check {
    if unwired.is_empty() {
        let summary = "no peer is told to send here what the kernel has no route for";
        return check("transit", CheckStatus::Ok, summary);
    }
    let summary = "peers send packets here for routes that are not put in the kernel; they may go round in a loop";
    let mut found = check("transit", CheckStatus::Warning, summary);
    found.detail = unwired.iter().take(10).cloned().collect();
    with_remedy(
        found,
        "set install = true at the peers that send these routes, or next_hop = \"unchanged\" in the rule with from = \"peer\"",
    )
}

/// What helps when interfaces change without a pause.
pub const CALM: &str = "find what makes and removes interfaces or routes all the time (ip monitor link route), and let it pause";

fn scans(torn: Option<&str>) -> Check {
    match torn {
        None => check(
            "kernel-scan",
            CheckStatus::Ok,
            "what the kernel holds can be listed whole",
        ),
        Some(torn) => with_remedy(check("kernel-scan", CheckStatus::Warning, torn), CALM),
    }
}

fn kernel_objects(problems: &[String]) -> Check {
    if problems.is_empty() {
        return check(
            "kernel-objects",
            CheckStatus::Ok,
            "everything wanted is in the kernel, or waits for its interface",
        );
    }
    let mut found = with_remedy(
        check(
            "kernel-objects",
            CheckStatus::Failed,
            format!("{} kernel objects cannot be had", problems.len()),
        ),
        "tapway kernel list",
    );
    found.detail = problems.iter().take(10).cloned().collect();
    found
}
