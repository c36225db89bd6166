//! Policies that call policies.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;

fn decide(action: Verdict) -> Rule {
    rule(Match::default(), Set::default(), action)
}

fn med(med: u32, action: Verdict) -> Rule {
    let set = Set {
        med: Some(med),
        ..Set::default()
    };
    rule(Match::default(), set, action)
}

fn all(policies: impl IntoIterator<Item = Policy>) -> Policies {
    let mut all = Policies::default();
    all.set(policies);
    all
}

/// `accept 5 by b 0`: the answer of policy `a` for an own route, its MED, and the deciding rule.
fn answer(policies: &Policies) -> String {
    let (own, tor1) = (own(), name("tor1"));
    let (a, route) = (policy_name("a"), RouteView::own(&own));
    let got = policies.named(&a).evaluate(&route, &export(&tor1));
    let by = match got.by {
        None => String::from("nothing"),
        Some(By::BuiltIn(policy)) => policy.name().to_string(),
        Some(By::Rule { policy, rule }) => alloc::format!("{policy} {rule}"),
    };
    let what = if got.accepted { "accept" } else { "reject" };
    let med = got
        .changes
        .med
        .map_or(String::new(), |m| alloc::format!(" {m}"));
    alloc::format!("{what}{med} by {by}")
}

#[test]
fn called_rules_are_read_as_if_they_stood_there() {
    use Verdict::{Accept, Next, Reject};
    let b = |rules: &[Rule]| policy("b", rules);
    let a = |rules: &[Rule]| policy("a", rules);
    let rows = [
        ("accept by b 0", a(&[call("b", Next)]), b(&[decide(Accept)])),
        (
            "reject by b 0",
            a(&[call("b", Accept)]),
            b(&[decide(Reject)]),
        ),
        ("accept by a 0", a(&[call("b", Accept)]), b(&[decide(Next)])),
        (
            "accept 5 by a 1",
            a(&[call("b", Next), decide(Accept)]),
            b(&[med(5, Next)]),
        ),
        (
            "accept 6 by b 0",
            a(&[med(5, Next), call("b", Reject)]),
            b(&[med(6, Accept)]),
        ),
        ("reject by nothing", a(&[call("b", Next)]), b(&[])),
        ("accept by claims", a(&[call("claims", Reject)]), b(&[])),
        ("accept by a 0", a(&[call("default-route", Accept)]), b(&[])),
        ("reject by none", a(&[call("none", Accept)]), b(&[])),
        ("reject by nothing", a(&[call("c", Accept)]), b(&[])),
    ];
    for (expected, a, b) in rows {
        let text = alloc::format!("{a:?} {b:?}");
        assert_eq!(answer(&all([a, b])), expected, "{text}");
    }
}

#[test]
fn a_trace_shows_the_way() {
    let policies = all([
        policy("a", [call("b", Verdict::Next), decide(Verdict::Accept)]),
        policy("b", [decide(Verdict::Next)]),
    ]);
    let (own, tor1) = (own(), name("tor1"));
    let (a, b, route) = (policy_name("a"), policy_name("b"), RouteView::own(&own));
    let (_, steps) = policies.named(&a).trace(&route, &export(&tor1));
    let steps: Vec<_> = steps
        .iter()
        .map(|s| (s.policy, s.rule, s.depth, s.result))
        .collect();
    let expected = [
        (&a, 0, 0, StepResult::Called(&b)),
        (&b, 0, 1, StepResult::Matched(Verdict::Next)),
        (&a, 1, 0, StepResult::Matched(Verdict::Accept)),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn what_calls_itself_lets_nothing_through() {
    let policies = all([
        policy("a", [call("b", Verdict::Accept)]),
        policy("b", [call("a", Verdict::Accept)]),
    ]);
    assert_eq!(answer(&policies), "reject by nothing");
}

#[test]
fn calls_follow_changes() {
    let mut policies = all([policy("a", [call("b", Verdict::Next)])]);
    let set = |policies: &mut Policies, rule: Rule| policies.set([policy("b", [rule])]);
    let changed = |names: &[&str]| {
        names
            .iter()
            .map(|n| policy_name(n))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(answer(&policies), "reject by nothing");
    assert_eq!(set(&mut policies, decide(Verdict::Accept)), changed(&["b"]));
    assert_eq!(answer(&policies), "accept by b 0");
    assert_eq!(set(&mut policies, decide(Verdict::Accept)), changed(&[]));
    assert_eq!(policies.set([policy("aa", [])]), changed(&["aa"]));
    assert_eq!(answer(&policies), "accept by b 0", "places have shifted");
    assert!(policies.remove(&policy_name("b")) && !policies.remove(&policy_name("b")));
    assert_eq!(answer(&policies), "reject by nothing");
    let names: Vec<_> = policies.iter().map(|p| p.name.to_string()).collect();
    assert_eq!(names, ["a", "aa"]);
}

#[test]
fn who_reaches_whom() {
    let policies = all([
        policy("a", [call("b", Verdict::Next), call("c", Verdict::Next)]),
        policy("b", [call("a", Verdict::Next), call("d", Verdict::Next)]),
        policy("e", []),
    ]);
    for (from, to, reaches) in [
        ("a", "a", true),
        ("a", "b", true),
        ("a", "d", true),
        ("b", "c", true),
        ("a", "e", false),
        ("e", "a", false),
        ("claims", "a", false),
    ] {
        let wanted = [policy_name(to)].into();
        assert_eq!(
            policies.reaches(&policy_name(from), &wanted),
            reaches,
            "{from} {to}"
        );
    }
}

fn faults(policies: &[Policy]) -> Vec<String> {
    let elsewhere = policy_name("elsewhere");
    check_calls(policies, |name| *name == elsewhere)
        .iter()
        .map(|e| alloc::format!("{}[{}]: {}", e.policy, e.rule, e.fault))
        .collect()
}

#[test]
fn faults_of_calls() {
    let next = |name| call(name, Verdict::Next);
    let good = [
        policy("a", [next("b"), next("claims"), next("elsewhere")]),
        policy("b", [next("c"), next("c")]),
        policy("c", [decide(Verdict::Next)]),
    ];
    assert_eq!(faults(&good), [""; 0]);
    let unknown = [policy("a", [decide(Verdict::Next), next("bb")])];
    assert_eq!(faults(&unknown), ["a[1]: there is no policy bb"]);
    let itself = [policy("a", [next("a")])];
    assert_eq!(
        faults(&itself),
        ["a[0]: a calls a: a policy cannot come back to itself; remove one of the calls"]
    );
    let circle = [
        policy("a", [next("b")]),
        policy("b", [next("c")]),
        policy("c", [next("b")]),
    ];
    assert_eq!(
        faults(&circle),
        ["c[0]: b calls c calls b: a policy cannot come back to itself; remove one of the calls"]
    );
}

/// `p00` calls `p01` and so on, each as often as said.
fn chain(length: usize, times: usize) -> Vec<Policy> {
    let names: Vec<String> = (0..length).map(|i| alloc::format!("p{i:02}")).collect();
    let calls = names[1..].iter().map(|n| call(n, Verdict::Next));
    let rules = calls.map(|rule| alloc::vec![rule; times]);
    let last = core::iter::once(alloc::vec![decide(Verdict::Accept)]);
    names
        .iter()
        .zip(rules.chain(last))
        .map(|(name, rules)| policy(name, rules))
        .collect()
}

#[test]
fn calls_have_an_end() {
    let deepest = chain(MAX_DEPTH + 1, 1);
    assert_eq!(faults(&deepest), [""; 0]);
    let (own, tor1) = (own(), name("tor1"));
    let passes = |policies: Vec<Policy>| {
        let policies = all(policies);
        let named = policies.named(&policy_name("p00"));
        named
            .evaluate(&RouteView::own(&own), &export(&tor1))
            .accepted
    };
    assert!(passes(deepest));
    let too_deep = chain(MAX_DEPTH + 2, 1);
    let found = faults(&too_deep);
    assert!(
        found.len() == 1 && found[0].contains("more than 32 calls"),
        "{found:?}"
    );
    assert!(!passes(too_deep));
    let found = faults(&chain(MAX_DEPTH + 1, 2));
    assert!(
        found.len() == 1 && found[0].contains("more than 1000000 rules"),
        "{found:?}"
    );
}

fn action() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        1 => Just(Verdict::Accept),
        1 => Just(Verdict::Reject),
        4 => Just(Verdict::Next),
    ]
}

/// Rules of policy number `n`, which calls only those before it.
fn rules(n: usize) -> impl Strategy<Value = Vec<Rule>> {
    let rule = (any::<bool>(), 0..100u32, action(), 0..2 * n.max(1)).prop_map(
        move |(for_v4, value, action, called)| Rule {
            matches: Match {
                prefixes: within(if for_v4 { "0.0.0.0/0" } else { "::/0" }, 0, 32),
                ..Match::default()
            },
            call: (called < n).then(|| policy_name(&alloc::format!("p{called}"))),
            ..med(value, action)
        },
    );
    proptest::collection::vec(rule, 0..5)
}

/// The rules with those that are called in their callers' places.
fn inlined(policies: &[Policy], at: usize) -> Vec<Rule> {
    let mut all = Vec::new();
    for rule in &policies[at].rules {
        let Some(called) = &rule.call else {
            all.push(rule.clone());
            continue;
        };
        let called = policies.iter().position(|p| p.name == *called).unwrap();
        let here = |set: &Set, action| Rule {
            set: set.clone(),
            call: None,
            action,
            ..rule.clone()
        };
        all.push(here(&rule.set, Verdict::Next));
        // Under the caller's condition, too: both are about the same prefix, or never hold together.
        let inner = inlined(policies, called).into_iter();
        all.extend(inner.filter(|r| r.matches == rule.matches));
        all.push(here(&Set::default(), rule.action));
    }
    all
}

proptest! {
    #[test]
    fn a_call_is_the_same_as_its_rules(
        rules in (rules(0), rules(1), rules(2), rules(3)).prop_map(|(a, b, c, d)| [a, b, c, d]),
    ) {
        let defined: Vec<Policy> = rules
            .into_iter()
            .enumerate()
            .map(|(n, rules)| policy(&alloc::format!("p{n}"), rules))
            .collect();
        prop_assert!(check_calls(&defined, |_| false).is_empty());
        let flat = all([policy("flat", inlined(&defined, 3))]);
        let nested = all(defined);
        let (own, tor1) = (own(), name("tor1"));
        let route = RouteView::own(&own);
        let (p3, flat_name) = (policy_name("p3"), policy_name("flat"));
        let by_calls = nested.named(&p3).evaluate(&route, &export(&tor1));
        let by_rules = flat.named(&flat_name).evaluate(&route, &export(&tor1));
        prop_assert_eq!(by_calls.accepted, by_rules.accepted);
        prop_assert_eq!(by_calls.changes, by_rules.changes);
    }
}
