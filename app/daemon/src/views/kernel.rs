//! Kernel objects and the plan.

use tapway_api::config::Checked;
use tapway_api::kernel::{KernelKind, KernelObject, KernelStatus};
use tapway_api::plan::{Plan, PlanKind, PlanLine};
use tapway_fib::{Change, Fib, Key, Object, Status};
use tapway_node::{ClaimId, Gate, Node};

use super::claims::errno_text;
use crate::http::ApiReply;
use crate::sliced::Rows;

/// Everything that is wanted in the kernel, and what is ours there and not wanted any more.
pub fn kernel(node: &Node) -> Rows<Key, KernelObject> {
    let fib = node.fib();
    let all = fib.wants().chain(fib.leftovers());
    Rows::whole(
        all.map(|object| object.key()).collect(),
        |node, key| {
            let fib = node.fib();
            let object = fib.wanted(&key).or_else(|| fib.held(&key))?;
            Some(kernel_object(node, &object))
        },
        ApiReply::Kernel,
    )
}

fn kernel_object(node: &Node, object: &Object) -> KernelObject {
    let key = object.key();
    let (status, reason) = match node.fib().status(&key) {
        Status::InSync => (KernelStatus::InPlace, None),
        Status::NotWanted => (KernelStatus::Leftover, None),
        Status::Pending | Status::InFlight => (KernelStatus::Missing, None),
        Status::Foreign => (
            KernelStatus::Foreign,
            Some("somebody else's object has its key; it is left alone".to_owned()),
        ),
        Status::Failed {
            errno,
            message,
            attempts,
        } => {
            let why = message.unwrap_or_else(|| errno_text(errno));
            (
                KernelStatus::Failed,
                Some(format!("{why} (tried {attempts} times)")),
            )
        }
    };
    let old_value = match &key {
        Key::Sysctl(path) => node
            .old_sysctls()
            .find(|(p, _)| p == path)
            .map(|(_, old)| old.to_owned()),
        _ => None,
    };
    KernelObject {
        kind: kind(&key),
        object: text(node.fib(), object),
        status,
        purpose: purpose(node, &key),
        reason,
        old_value,
    }
}

fn kind(key: &Key) -> KernelKind {
    match key {
        Key::Sysctl(_) => KernelKind::Sysctl,
        Key::Address(..) => KernelKind::Address,
        Key::Rule(..) => KernelKind::Rule,
        Key::Route(..) => KernelKind::Route,
        Key::Neighbour(..) => KernelKind::Neighbour,
    }
}

/// The object as `ip` writes it, without the verb.
fn text(fib: &Fib, object: &Object) -> String {
    let command = fib.command(&Change::Add(object.clone())).to_string();
    for verb in [" add ", "sysctl -w "] {
        if let Some(at) = command.find(verb) {
            return command[at + verb.len()..].to_owned();
        }
    }
    command
}

fn purpose(node: &Node, key: &Key) -> Option<String> {
    match key {
        Key::Sysctl(_) => Some("forwarding".to_owned()),
        Key::Rule(..) => Some("a network's table".to_owned()),
        Key::Route(..) if node.is_import(key) => Some("received route".to_owned()),
        Key::Address(_, addr, _) if node.is_gateway(addr) => Some("gateway".to_owned()),
        Key::Route(..) | Key::Address(..) => Some("claim".to_owned()),
        Key::Neighbour(..) => Some("claim's neighbour".to_owned()),
    }
}

/// What would change, as lines of `ip`, `sysctl`, `announce`; and what `reload` would do.
pub fn plan(node: &Node, reload: Option<Checked>) -> Rows<Planned, PlanLine> {
    let changes = node.fib().plan().into_iter().map(Planned::Change);
    let waiting = node
        .claims()
        .filter(|(_, gate, announced)| !announced && !matches!(gate, Gate::Open))
        .map(|(id, _, _)| Planned::Announcement(*id));
    Rows::whole(changes.chain(waiting).collect(), plan_line, |lines| {
        let lines = lines.items;
        ApiReply::Plan(Plan { lines, reload })
    })
}

/// What a line of the plan is about.
pub enum Planned {
    /// A change in the kernel.
    Change(Change),
    /// An announcement that waits.
    Announcement(ClaimId),
}

fn plan_line(node: &Node, planned: Planned) -> Option<PlanLine> {
    let fib = node.fib();
    let change = match planned {
        Planned::Change(change) => change,
        Planned::Announcement(id) => {
            let reason = match node.claim(&id)? {
                (Gate::Shut(reason), _) => reason.to_string(),
                (Gate::Kernel(_), _) => "when the kernel has its route".to_owned(),
                (Gate::Open, _) => return None,
            };
            return Some(PlanLine {
                kind: PlanKind::Announcement,
                command: format!("announce {}", id.1),
                reason: Some(reason),
            });
        }
    };
    let (Change::Add(object) | Change::Replace(object) | Change::Remove(object)) = &change;
    let reason = match fib.status(&object.key()) {
        Status::NotWanted if !node.settled() => {
            Some("kept until the start-up grace is over".to_owned())
        }
        Status::Failed { errno, message, .. } => Some(message.unwrap_or_else(|| errno_text(errno))),
        Status::Foreign => Some("somebody else's object is in the way".to_owned()),
        _ => None,
    };
    Some(PlanLine {
        kind: PlanKind::Kernel,
        command: fib.command(&change).to_string(),
        reason,
    })
}
