//! `explain`: one prefix followed from claim to kernel to BGP to peer, with the first broken link named.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use tapway_bgp::{AnnouncementId, NotSent};
use tapway_fib::{Key, Status};
use tapway_intent::{Covering, Effective, SourceState, Standing};
use tapway_model::{Domain, Family, Instant, NetworkName, PeerName, Prefix};

use crate::describe::{describe, refusal};
use crate::forwarding;
use crate::node::Node;
use crate::way::Way;
use crate::wiring::{Blocked, Gate, LAST_RESORT_METRIC};

/// A link of the chain, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Some source says that somebody owns the prefix.
    Claim,
    /// Nobody else does, and its network allows it.
    Conflict,
    /// The owner's interface is there, up, with carrier.
    Interface,
    /// The kernel's route is there, and forwarding is on.
    KernelRoute,
    /// The kernel knows the owner's MAC.
    Neighbour,
    /// The speaker originates it.
    Announcement,
    /// A peer got it.
    Peer,
}

/// Whether a link of the chain holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Ok,
    /// It does not.
    Broken,
    /// It holds, but somebody should look.
    Warning,
    /// There is no such link for this claim.
    NotApplicable,
    /// Not looked at, because an earlier link is broken.
    Skipped,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which link.
    pub stage: Stage,
    /// The peer, for [`Stage::Peer`].
    pub peer: Option<PeerName>,
    /// Whether it holds.
    pub verdict: Verdict,
    /// One sentence.
    pub summary: String,
    /// More, one line each.
    pub detail: Vec<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The chain for one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was asked for.
    pub asked: Prefix,
    /// The claimed prefix, when something covers what was asked for.
    pub claimed: Option<Prefix>,
    /// The network of the claim.
    pub network: Option<NetworkName>,
    /// One sentence.
    pub summary: String,
    /// The links, in order.
    pub steps: Vec<Step>,
}

impl Step {
    pub(crate) fn new(stage: Stage, verdict: Verdict, summary: String) -> Step {
        Step {
            stage,
            peer: None,
            verdict,
            summary,
            detail: Vec::new(),
            remedy: None,
        }
    }

    pub(crate) fn broken(stage: Stage, summary: String, remedy: impl Into<String>) -> Step {
        Step {
            remedy: Some(remedy.into()),
            ..Step::new(stage, Verdict::Broken, summary)
        }
    }
}

impl Node {
    /// Follows `asked` from claim to peers; in `network` only, when given.
    pub fn explain(
        &self,
        now: Instant,
        asked: Prefix,
        network: Option<&NetworkName>,
    ) -> Explanation {
        self.explain_by(now, asked, network, &[])
    }

    /// The same, with what the kernel does with packets for `asked`.
    pub fn explain_by(
        &self,
        now: Instant,
        asked: Prefix,
        network: Option<&NetworkName>,
        ways: &[Way],
    ) -> Explanation {
        let coverage = self.intent().covering(&asked);
        let best = coverage
            .claims
            .iter()
            .filter(|c| network.is_none_or(|n| c.claim.network == *n))
            .min_by_key(|c| {
                (
                    128 - c.claim.prefix.len(),
                    c.standing != Standing::Effective,
                    c.claim.order,
                )
            });
        let mut steps = Vec::new();
        match best {
            None => steps.push(self.no_claim(now, asked, network, &coverage.unused)),
            Some(best) => self.follow(best, ways, &mut steps),
        }
        let last = steps.last().map(|s| s.stage);
        if steps
            .iter()
            .any(|s| s.verdict == Verdict::Broken && s.stage != Stage::Peer)
        {
            for stage in STAGES
                .into_iter()
                .filter(|s| last.is_some_and(|last| *s > last))
            {
                steps.push(Step::new(
                    stage,
                    Verdict::Skipped,
                    "not looked at".to_string(),
                ));
            }
        }
        Explanation {
            asked,
            claimed: best.map(|b| b.claim.prefix),
            network: best.map(|b| b.claim.network.clone()),
            summary: summary(asked, &steps),
            steps,
        }
    }

    fn no_claim(
        &self,
        now: Instant,
        asked: Prefix,
        network: Option<&NetworkName>,
        unused: &[tapway_intent::Problem],
    ) -> Step {
        let within = network
            .map(|n| format!(" in network {n}"))
            .unwrap_or_default();
        let mut step = Step::broken(
            Stage::Claim,
            format!("no source says that anybody owns {asked}{within}"),
            "give an instance this address, or ask the source that should know it",
        );
        if let Some(first) = unused.first() {
            // Problems end with what to do about them.
            let text = first.to_string();
            let (why, remedy) = text.rsplit_once("; ").unwrap_or((&text, "see its source"));
            step.summary = format!("{asked} is claimed{within}, but the claim is not used: {why}");
            step.remedy = Some(remedy.to_string());
            step.detail = unused[1..].iter().map(ToString::to_string).collect();
            return step;
        }
        if let Some(received) = self.received_around(asked) {
            step.summary += &format!("; peers send routes to {}", received.prefix);
            step.detail = received.lines;
            step.remedy = received.remedy.or(step.remedy);
        }
        for source in self.intent().sources(now) {
            step.detail.push(match source.state {
                SourceState::Waiting => {
                    format!("source {} has not said all it knows yet", source.name)
                }
                SourceState::Live => {
                    let plural = if source.instances == 1 { "" } else { "s" };
                    format!(
                        "source {} is live with {} instance{plural}",
                        source.name, source.instances
                    )
                }
                SourceState::Dead { reason, .. } => {
                    format!("source {} is dead: {reason}", source.name)
                }
            });
        }
        step
    }

    fn follow(&self, best: &Covering, ways: &[Way], steps: &mut Vec<Step>) {
        let effective = self.intent().effective(best.domain, &best.claim.prefix);
        steps.push(claim_step(best, effective.as_ref()));
        let conflict = conflict_step(best);
        let broken = conflict.verdict == Verdict::Broken;
        steps.push(conflict);
        let Some(effective) = effective.filter(|_| !broken) else {
            return;
        };
        let id = (best.domain, best.claim.prefix);
        let Some(state) = self.claims.states.get(&id) else {
            return;
        };
        steps.push(self.interface_step(&effective, &state.gate));
        if matches!(&state.gate, Gate::Shut(_))
            && steps.last().is_some_and(|s| s.verdict == Verdict::Broken)
        {
            return;
        }
        let mut kernel = self.kernel_step(id.1.family(), &state.gate, &state.keys);
        if let (Verdict::Ok, Gate::Kernel(key)) = (kernel.verdict, &state.gate) {
            kernel = self.way_step(key, ways).unwrap_or(kernel);
        }
        steps.push(kernel);
        if steps.last().is_some_and(|s| s.verdict == Verdict::Broken) {
            return;
        }
        steps.push(self.neighbour_step(&state.keys));
        let step = announcement_step(state.announced.is_some(), &state.gate);
        let announced = step.verdict == Verdict::Ok;
        steps.push(step);
        if announced {
            self.peer_steps(best.domain, id.1, steps);
        }
    }

    fn interface_step(&self, effective: &Effective, gate: &Gate) -> Step {
        let names: Vec<String> = effective
            .holders
            .iter()
            .filter_map(|h| h.interface.as_ref())
            .map(|name| match self.fib().link_named(name) {
                Some(link) => format!(
                    "{name} (index {}, {})",
                    link.index,
                    link_words(link.up, link.carrier)
                ),
                None => format!("{name} (absent)"),
            })
            .collect();
        if let Gate::Shut(reason) = gate {
            let remedy = match reason {
                Blocked::NoInterface(name) => {
                    format!("start the guest, or correct the interface {name} in its instance")
                }
                Blocked::LinkDown(name) => format!("ip link set {name} up"),
                Blocked::NoCarrier(name) => {
                    format!("start the guest behind {name}; its end of the interface is down")
                }
                Blocked::NoNetwork => "configure the network".to_string(),
                Blocked::Arriving | Blocked::GuestBgp | Blocked::Transparent => {
                    return Step {
                        detail: names,
                        ..Step::new(Stage::Interface, Verdict::NotApplicable, reason.to_string())
                    };
                }
            };
            return Step {
                detail: names,
                ..Step::broken(Stage::Interface, reason.to_string(), remedy)
            };
        }
        match names.as_slice() {
            [] => Step::new(
                Stage::Interface,
                Verdict::NotApplicable,
                "no guest's interface is involved".to_string(),
            ),
            [one] => Step::new(Stage::Interface, Verdict::Ok, format!("interface {one}")),
            many => Step {
                detail: many.to_vec(),
                ..Step::new(
                    Stage::Interface,
                    Verdict::Ok,
                    format!("{} interfaces share it", many.len()),
                )
            },
        }
    }

    fn kernel_step(&self, family: Family, gate: &Gate, keys: &[Key]) -> Step {
        let key = match gate {
            Gate::Kernel(key) => Some(key),
            Gate::Shut(_) => keys
                .iter()
                .find(|k| matches!(k, Key::Route(..) | Key::Address(..))),
            Gate::Open => None,
        };
        let Some(key) = key else {
            return Step::new(
                Stage::KernelRoute,
                Verdict::NotApplicable,
                "needs no route of ours".to_string(),
            );
        };
        let what = describe(key, self.fib());
        let mut step = match self.fib().status(key) {
            Status::InSync if is_last_resort(key) => Step::new(
                Stage::KernelRoute,
                Verdict::Ok,
                format!("delivered by routes of the host itself; behind them is {what}"),
            ),
            Status::InSync => Step::new(Stage::KernelRoute, Verdict::Ok, what),
            Status::Pending | Status::InFlight => Step::broken(
                Stage::KernelRoute,
                format!("{what} is not in the kernel yet"),
                "wait a moment; if it stays, see `tapway plan` and the log",
            ),
            Status::Failed {
                errno,
                message,
                attempts,
            } => Step {
                detail: vec![format!("errno {errno}, tried {attempts} times")],
                ..Step::broken(
                    Stage::KernelRoute,
                    refusal(&what, errno, message),
                    "mend the cause; it is tried again by itself",
                )
            },
            Status::Foreign => Step::broken(
                Stage::KernelRoute,
                format!("somebody else's object is where {what} should be"),
                match key {
                    Key::Route(table, prefix, _) => format!(
                        "remove it; `ip route show table {table} exact {prefix}` shows it, and tapway never touches what is not its own"
                    ),
                    _ => "remove it; tapway never touches what is not its own".to_string(),
                },
            ),
            Status::NotWanted => Step::broken(
                Stage::KernelRoute,
                format!("{what} is not wanted"),
                "see the log",
            ),
        };
        let guest_route = matches!(key, Key::Route(..)) && !is_last_resort(key);
        let path = match family {
            Family::Ipv4 => forwarding::IPV4,
            Family::Ipv6 => forwarding::IPV6,
        };
        let sysctl = Key::Sysctl(path.to_string());
        if step.verdict == Verdict::Ok && guest_route && !self.fib().in_sync(&sysctl) {
            let name = format!("net.{}", path.replace('/', "."));
            let mut detail = vec![step.summary];
            if let Status::Failed { errno, message, .. } = self.fib().status(&sysctl) {
                detail.push(refusal(&describe(&sysctl, self.fib()), errno, message));
            }
            step = Step {
                detail,
                ..Step::broken(
                    Stage::KernelRoute,
                    format!("the route is there, but {name} is not 1: the host does not forward"),
                    format!("sysctl -w {name}=1, and find what sets it back"),
                )
            };
        }
        step
    }

    fn neighbour_step(&self, keys: &[Key]) -> Step {
        let Some(key) = keys.iter().find(|k| matches!(k, Key::Neighbour(..))) else {
            return Step::new(
                Stage::Neighbour,
                Verdict::NotApplicable,
                "the kernel asks the guest itself".to_string(),
            );
        };
        let what = describe(key, self.fib());
        if self.fib().in_sync(key) {
            Step::new(Stage::Neighbour, Verdict::Ok, what)
        } else {
            Step {
                remedy: Some("it is put back by itself; see the log if it stays".to_string()),
                ..Step::new(
                    Stage::Neighbour,
                    Verdict::Warning,
                    format!("{what} is not in the kernel"),
                )
            }
        }
    }

    fn peer_steps(&self, domain: Domain, prefix: Prefix, steps: &mut Vec<Step>) {
        let id = AnnouncementId { domain, prefix };
        if self.config().peers.is_empty() {
            steps.push(Step::broken(
                Stage::Peer,
                "no peer is configured".to_string(),
                "add a [peer.NAME] section",
            ));
        }
        for name in self.peer_names() {
            let mut step = peer_step(self.speaker().why_not_sent(name, &id), name);
            if let (NotSent::SessionDown(_), Some(Err(why))) =
                (self.speaker().why_not_sent(name, &id), self.endpoint(name))
            {
                step.detail.push(why.clone());
            } else if step.verdict == Verdict::Broken
                && let Some(peer) = self.speaker().peer(name)
                && let Some((_, reason)) = peer.last_down
            {
                step.detail.push(format!("last: {reason}"));
            }
            step.peer = Some(name.clone());
            steps.push(step);
        }
    }
}

pub(crate) fn is_last_resort(key: &Key) -> bool {
    matches!(key, Key::Route(_, _, LAST_RESORT_METRIC))
}

const STAGES: [Stage; 6] = [
    Stage::Claim,
    Stage::Conflict,
    Stage::Interface,
    Stage::KernelRoute,
    Stage::Neighbour,
    Stage::Announcement,
];

fn link_words(up: bool, carrier: bool) -> &'static str {
    match (up, carrier) {
        (true, true) => "up",
        (true, false) => "up, no carrier",
        (false, _) => "down",
    }
}

fn claim_step(best: &Covering, effective: Option<&Effective>) -> Step {
    let mut step = Step::new(Stage::Claim, Verdict::Ok, best.claim.to_string());
    if effective.is_some_and(|e| e.holders.iter().all(|h| h.stale)) {
        step.verdict = Verdict::Warning;
        step.detail
            .push("its source has not repeated it since it died or since the start".to_string());
    }
    step
}

fn conflict_step(best: &Covering) -> Step {
    match &best.standing {
        Standing::Effective => Step::new(
            Stage::Conflict,
            Verdict::Ok,
            "nobody else claims it".to_string(),
        ),
        Standing::Refused { by } => Step::broken(
            Stage::Conflict,
            format!("refused: {by} was first"),
            "take the address away from one of the two; the other follows at once",
        ),
        Standing::Arriving { behind } => Step::broken(
            Stage::Conflict,
            format!("the guest is arriving and waits for {behind}"),
            "set its state to running when it runs here",
        ),
    }
}

fn announcement_step(announced: bool, gate: &Gate) -> Step {
    if announced {
        return Step::new(Stage::Announcement, Verdict::Ok, "announced".to_string());
    }
    match gate {
        Gate::Shut(reason @ (Blocked::Arriving | Blocked::GuestBgp | Blocked::Transparent)) => {
            Step::broken(
                Stage::Announcement,
                format!("not announced: {reason}"),
                "nothing to mend here",
            )
        }
        _ => Step::broken(
            Stage::Announcement,
            "not announced".to_string(),
            "see the log",
        ),
    }
}

fn peer_step(answer: NotSent, name: &PeerName) -> Step {
    match answer {
        NotSent::Sent(hop) => Step::new(
            Stage::Peer,
            Verdict::Ok,
            format!("{name} has it, next hop {hop}"),
        ),
        NotSent::Pending => Step::new(
            Stage::Peer,
            Verdict::Warning,
            format!("on its way to {name}"),
        ),
        NotSent::NotAnnounced | NotSent::NoSuchPeer => Step::broken(
            Stage::Peer,
            format!("{name} does not know of it"),
            "see the log",
        ),
        NotSent::SessionDown(state) => Step::broken(
            Stage::Peer,
            format!("the session with {name} is not up: {state}"),
            format!("tapway peer show {name}"),
        ),
        NotSent::FamilyNotNegotiated(family) => Step::broken(
            Stage::Peer,
            format!("{name} does not speak {family} on this session"),
            format!("add {family} on both sides"),
        ),
        NotSent::NotForPeer(network) => Step::new(
            Stage::Peer,
            Verdict::NotApplicable,
            format!("network {network} is not shown to {name}"),
        ),
        NotSent::Filtered { policy, rule } => {
            let by = rule.map_or_else(
                || "no rule accepts it".to_string(),
                |r| format!("rule {} rejects it", r + 1),
            );
            Step::broken(
                Stage::Peer,
                format!("policy {policy} keeps it from {name}: {by}"),
                "ask `tapway policy test POLICY PREFIX --rules` which condition fails; change the policy, or export = \"claims\"",
            )
        }
        NotSent::Conflict(kept) => Step::broken(
            Stage::Peer,
            format!("{name} has {kept} already, from another routing domain"),
            "let each peer see only one of the two networks (peers = [..])",
        ),
        NotSent::NoNextHop(why) => Step::broken(
            Stage::Peer,
            format!("there is no next hop that {name} would accept: {why}"),
            "give the session's interface an address of the family, or set next_hop",
        ),
    }
}

/// Stands behind the prefix and a colon.
fn summary(asked: Prefix, steps: &[Step]) -> String {
    let peers = || steps.iter().filter(|s| s.stage == Stage::Peer);
    let reached = peers().filter(|s| s.verdict == Verdict::Ok).count();
    let all = peers().count();
    let Some(step) = steps.iter().find(|s| s.verdict == Verdict::Broken) else {
        return format!("wired and announced to {reached} of {all} peers");
    };
    let why = &step.summary;
    match step.stage {
        Stage::Claim => why.replace(&asked.to_string(), "it"),
        Stage::Announcement => why.clone(),
        Stage::Peer if reached > 0 => {
            format!("wired and announced to {reached} of {all} peers; {why}")
        }
        Stage::Peer => format!("wired, but announced to no peer: {why}"),
        _ => format!("not reachable: {why}"),
    }
}
