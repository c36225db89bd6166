//! Kernel objects and the plan.

use tapway_api::kernel::{KernelKind, KernelObject, KernelStatus};
use tapway_api::list::List;
use tapway_api::plan::{Plan, PlanKind, PlanLine};
use tapway_fib::{Change, Fib, Key, Object, Status};
use tapway_node::{Gate, Node};

use super::claims::errno_text;

/// Everything that is wanted in the kernel, and what is ours there and not wanted any more.
pub fn kernel(node: &Node) -> List<KernelObject> {
    let fib = node.fib();
    let wanted = fib.wants().map(|object| kernel_object(node, object));
    let leftovers = fib
        .ours()
        .filter(|object| fib.wanted(&object.key()).is_none())
        .map(|object| KernelObject {
            status: KernelStatus::Leftover,
            ..kernel_object(node, object)
        });
    List::whole(wanted.chain(leftovers).collect())
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

/// What would change, as lines of `ip`, `sysctl`, `announce`.
pub fn plan(node: &Node) -> Plan {
    let fib = node.fib();
    let mut lines: Vec<PlanLine> = fib
        .plan()
        .iter()
        .map(|change| {
            let object = match change {
                Change::Add(o) | Change::Replace(o) | Change::Remove(o) => o,
            };
            let reason = match fib.status(&object.key()) {
                Status::NotWanted if !node.settled() => {
                    Some("kept until the start-up grace is over".to_owned())
                }
                Status::Failed { errno, message, .. } => {
                    Some(message.unwrap_or_else(|| errno_text(errno)))
                }
                Status::Foreign => Some("somebody else's object is in the way".to_owned()),
                _ => None,
            };
            PlanLine {
                kind: PlanKind::Kernel,
                command: fib.command(change).to_string(),
                reason,
            }
        })
        .collect();
    lines.extend(
        node.claims()
            .filter(|(_, _, announced)| !announced)
            .filter_map(|(id, gate, _)| {
                let reason = match gate {
                    Gate::Shut(reason) => reason.to_string(),
                    Gate::Kernel(_) => "when the kernel has its route".to_owned(),
                    Gate::Open => return None,
                };
                Some(PlanLine {
                    kind: PlanKind::Announcement,
                    command: format!("announce {}", id.1),
                    reason: Some(reason),
                })
            }),
    );
    Plan { lines }
}
