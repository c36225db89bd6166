//! `tapway policy list`, `show` and `test`.

use tapway_api::list::List;
use tapway_api::policy::{
    InstallChanges, Policy, PolicyChanges, PolicyTested, TestedRoute, TestedRule,
};

use super::{remedy, rpki, settings, word};
use crate::style::{Style, Tone};
use crate::table::Table;

pub(crate) fn list(policies: &List<Policy>, style: Style) -> String {
    let mut table = Table::new(&["POLICY", "DEFINED BY", ">RULES", "USED BY", "WHAT IT DOES"]);
    for policy in &policies.items {
        let rules = match policy.rules.len() {
            0 => String::new(),
            n => n.to_string(),
        };
        table.row([
            (&policy.name).into(),
            word(policy.origin).into(),
            rules.into(),
            policy.used_by.join(", ").into(),
            policy.text.as_deref().unwrap_or_default().into(),
        ]);
    }
    table.render(style, "No policies.")
}

pub(crate) fn show(policy: &Policy, style: Style) -> String {
    let mut out = format!(
        "{} (defined by {})\n",
        style.paint(Tone::Strong, policy.name.as_str()),
        word(policy.origin)
    );
    if let Some(text) = &policy.text {
        out.push_str(&format!("  {text}\n"));
    }
    if !policy.used_by.is_empty() {
        out.push_str(&format!("  used by {}\n", policy.used_by.join(", ")));
    }
    for (i, rule) in policy.rules.iter().enumerate() {
        out.push_str(&format!("  rule {}\n", i + 1));
        out.push_str(&settings("    ", rule));
    }
    out
}

/// What was decided, by which rule, and what changes.
pub(crate) fn tested(tested: &PolicyTested, style: Style) -> String {
    all_tested(tested, false, style)
}

/// The same, with every rule that was looked at.
pub(crate) fn tested_with_rules(tested: &PolicyTested, style: Style) -> String {
    all_tested(tested, true, style)
}

fn all_tested(tested: &PolicyTested, with_rules: bool, style: Style) -> String {
    let mut out = String::new();
    for route in &tested.items {
        tested_route(route, with_rules, style, &mut out);
    }
    for prefix in &tested.missing {
        out.push_str(&format!(
            "{prefix}: nothing to test; no claim has it, and no peer sent it\n"
        ));
    }
    if !tested.missing.is_empty() {
        out.push_str(&remedy(
            "  ",
            "describe a claim with --kind, or a received route with --received",
            style,
        ));
    }
    out
}

fn tested_route(route: &TestedRoute, with_rules: bool, style: Style, out: &mut String) {
    let (tone, word) = if route.accepted {
        (Tone::Good, "accept")
    } else {
        (Tone::Bad, "reject")
    };
    let by = match (&route.policy, route.rule) {
        (Some(policy), Some(rule)) => format!("rule {rule} of {policy}"),
        (Some(policy), None) => format!("built-in policy {policy}"),
        (None, _) => "no rule decides".to_owned(),
    };
    out.push_str(&format!(
        "{}: {}, {by}\n  {}\n",
        style.paint(Tone::Strong, &route.prefix.to_string()),
        style.paint(tone, word),
        route.route
    ));
    if let Some(state) = route.rpki {
        let state = style.paint(rpki::tone(state), &super::word(state));
        out.push_str(&format!("  rpki {state}\n"));
    }
    if with_rules {
        for step in &route.steps {
            out.push_str(&tested_rule(step, style));
        }
    }
    for line in changes(&route.set) {
        out.push_str(&format!("  {line}\n"));
    }
}

fn tested_rule(step: &TestedRule, style: Style) -> String {
    let what = match (&step.missed, &step.called, &step.action) {
        (Some(key), _, _) => style.paint(Tone::Dim, &format!("not for it: {key}")),
        (None, Some(called), _) => format!("calls {called}"),
        (None, None, action) => action.clone().unwrap_or_default(),
    };
    let indent = "  ".repeat(step.depth as usize + 1);
    format!("{indent}rule {} of {}: {what}\n", step.rule, step.policy)
}

/// What changes, one line each, named like the keys of `set`.
fn changes(set: &PolicyChanges) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |key: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{key} {value}")));
    };
    let list = |all: &Option<Vec<String>>| {
        let all = all.as_ref()?;
        Some(if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(" ")
        })
    };
    let numbers = |all: &[u32]| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        (!all.is_empty()).then(|| all.join(" "))
    };
    say("local_pref", set.local_pref.map(|n| n.to_string()));
    say("med", set.med.map(|n| n.to_string()));
    say("origin", set.origin.clone());
    say("prepend", numbers(&set.prepend));
    say("communities", list(&set.communities));
    say("large_communities", list(&set.large_communities));
    say("extended_communities", list(&set.extended_communities));
    say("next_hop", set.next_hop.clone());
    say("install", set.install.as_ref().map(install));
    lines
}

fn install(change: &InstallChanges) -> String {
    if change.enabled == Some(false) {
        return "no".to_owned();
    }
    let parts = [
        change.table.map(|n| format!("table {n}")),
        change.metric.map(|n| format!("metric {n}")),
        change.prefsrc.map(|addr| format!("prefsrc {addr}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "yes".to_owned()
    } else {
        parts.join(", ")
    }
}
