//! One policy, one route: the answer.

use alloc::vec::Vec;

use tapway_model::PolicyName;

use super::modifications::Modifications;
use super::route::{Context, RouteView, Source, Way};
use super::rule::{Match, PathMatch, Verdict};
use super::{BuiltIn, MAX_DEPTH, Policies, Target, Traits};

/// What a policy says of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'p> {
    /// Whether the route passes.
    pub accepted: bool,
    /// What decided; absent: nothing did, so that the route is rejected, unless it is reflected.
    pub by: Option<By<'p>>,
    /// What changes about a route that passes.
    pub changes: Modifications,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'p> {
    /// A policy that is built in.
    BuiltIn(BuiltIn),
    /// A rule.
    Rule {
        /// Of this policy.
        policy: &'p PolicyName,
        /// From 0.
        rule: usize,
    },
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'p> {
    /// Whose rule.
    pub policy: &'p PolicyName,
    /// Which, from 0.
    pub rule: usize,
    /// How many calls led there.
    pub depth: usize,
    /// What came of it.
    pub result: StepResult<'p>,
}

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult<'p> {
    /// It is not for the route: the first of its conditions that does not hold, by its key.
    Missed(&'static str),
    /// It is, and asks another policy.
    Called(&'p PolicyName),
    /// It is, and this is its action.
    Matched(Verdict),
}

/// A policy, found by its name once for many routes.
#[derive(Clone, Copy, Debug)]
pub struct Named<'p> {
    pub(super) policies: &'p Policies,
    pub(super) target: Target,
}

impl<'p> Named<'p> {
    /// What the policy looks at and sets.
    pub(crate) fn traits(&self) -> Traits {
        self.policies.traits(self.target)
    }

    /// What the policy does with a route. Allocates nothing unless a list or the path is changed.
    pub fn evaluate(&self, route: &RouteView<'_>, context: &Context<'_>) -> Outcome<'p> {
        self.run(route, context, None)
    }

    /// The same, with every rule that was looked at.
    pub fn trace(
        &self,
        route: &RouteView<'_>,
        context: &Context<'_>,
    ) -> (Outcome<'p>, Vec<Step<'p>>) {
        let mut steps = Vec::new();
        let outcome = self.run(route, context, Some(&mut steps));
        (outcome, steps)
    }

    /// What is reflected passes unless a rule says otherwise, or the policy is for little else.
    fn passes_undecided(&self, context: &Context<'_>) -> bool {
        let default_route = Target::BuiltIn(BuiltIn::DefaultRoute);
        context.way == Way::Reflect && self.target != default_route
    }

    fn run(
        &self,
        route: &RouteView<'_>,
        context: &Context<'_>,
        steps: Option<&mut Vec<Step<'p>>>,
    ) -> Outcome<'p> {
        let mut run = Run {
            policies: self.policies,
            route,
            context,
            changes: Modifications::default(),
            steps,
        };
        match run.ask(self.target, 0) {
            Decision::Made(true, by) => Outcome {
                accepted: true,
                by,
                changes: run.changes,
            },
            Decision::Made(false, by) => Outcome::rejected(by),
            Decision::None if self.passes_undecided(context) => Outcome {
                accepted: true,
                by: None,
                changes: run.changes,
            },
            Decision::None => Outcome::rejected(None),
        }
    }
}

impl<'p> Outcome<'p> {
    fn rejected(by: Option<By<'p>>) -> Outcome<'p> {
        Outcome {
            accepted: false,
            by,
            changes: Modifications::default(),
        }
    }

    /// The deciding rule and its policy.
    pub fn rule(&self) -> Option<(&'p PolicyName, usize)> {
        match self.by? {
            By::Rule { policy, rule } => Some((policy, rule)),
            By::BuiltIn(_) => None,
        }
    }
}

enum Decision<'p> {
    Made(bool, Option<By<'p>>),
    None,
}

/// One route on its way through the rules.
struct Run<'p, 'r> {
    policies: &'p Policies,
    route: &'r RouteView<'r>,
    context: &'r Context<'r>,
    changes: Modifications,
    steps: Option<&'r mut Vec<Step<'p>>>,
}

impl<'p> Run<'p, '_> {
    fn ask(&mut self, target: Target, depth: usize) -> Decision<'p> {
        let index = match target {
            Target::BuiltIn(policy) => return self.built_in(policy),
            Target::Defined(index) if depth <= MAX_DEPTH => index,
            // What is not there lets nothing through, nor does what calls itself.
            Target::Defined(_) | Target::Missing => return Decision::Made(false, None),
        };
        let Some(compiled) = self.policies.all.get(index) else {
            return Decision::Made(false, None);
        };
        let name = &compiled.policy.name;
        for (at, rule) in compiled.policy.rules.iter().enumerate() {
            let mut step = |result| {
                if let Some(steps) = self.steps.as_deref_mut() {
                    steps.push(Step {
                        policy: name,
                        rule: at,
                        depth,
                        result,
                    });
                }
            };
            if let Err(key) = holds(&rule.matches, self.route, self.context, &self.changes) {
                step(StepResult::Missed(key));
                continue;
            }
            match &rule.call {
                Some(called) => step(StepResult::Called(called)),
                None => step(StepResult::Matched(rule.action)),
            }
            self.changes.add(&rule.set, self.route, self.context.asn);
            if rule.call.is_some() {
                let called = compiled.calls.get(&at).copied();
                let decision = self.ask(called.unwrap_or(Target::Missing), depth + 1);
                if let Decision::Made(..) = decision {
                    return decision;
                }
            }
            let by = Some(By::Rule {
                policy: name,
                rule: at,
            });
            match rule.action {
                Verdict::Accept => return Decision::Made(true, by),
                Verdict::Reject => return Decision::Made(false, by),
                Verdict::Next => {}
            }
        }
        Decision::None
    }

    fn built_in(&self, policy: BuiltIn) -> Decision<'p> {
        let own = matches!(self.route.source, Source::Claim(_));
        let eligible = own || self.context.way != Way::Export;
        let accepts = match policy {
            BuiltIn::Claims => own,
            BuiltIn::DefaultRoute => eligible && self.route.prefix.len() == 0,
            BuiltIn::All => eligible,
            BuiltIn::None => return Decision::Made(false, Some(By::BuiltIn(policy))),
        };
        if accepts {
            Decision::Made(true, Some(By::BuiltIn(policy)))
        } else {
            Decision::None
        }
    }
}

/// Whether a rule is for the route; else the key of a condition that does not hold.
fn holds(
    wanted: &Match,
    route: &RouteView<'_>,
    context: &Context<'_>,
    changes: &Modifications,
) -> Result<(), &'static str> {
    let must = |holds: bool, key: &'static str| if holds { Ok(()) } else { Err(key) };
    let family = route.prefix.family();
    must(wanted.family.is_none_or(|f| f == family), "family")?;
    of_source(wanted, route, context)?;
    must(
        wanted.prefixes.is_empty() || wanted.prefixes.contains(&route.prefix),
        "prefixes",
    )?;
    must(
        wanted.peers.is_empty() || context.peer.is_some_and(|p| wanted.peers.contains(p)),
        "peer",
    )?;
    must(
        wanted.next_hop.is_empty()
            || route.next_hop.is_some_and(|hop| {
                let link_local = hop.link_local().map(Into::into);
                wanted.next_hop.contains_addr(hop.addr())
                    || link_local.is_some_and(|a| wanted.next_hop.contains_addr(a))
            }),
        "next_hop",
    )?;
    must(
        wanted.rpki.is_empty() || wanted.rpki.contains(&route.rpki_state(context.asn)),
        "rpki",
    )?;
    let attributes = route.attributes;
    must(
        wanted.communities.is_empty()
            || match &changes.communities {
                Some(all) => wanted.communities.holds(|| all.iter().copied()),
                None => wanted.communities.holds(|| attributes.communities()),
            },
        "communities",
    )?;
    must(
        wanted.large_communities.is_empty()
            || match &changes.large_communities {
                Some(all) => wanted.large_communities.holds(|| all.iter().copied()),
                None => wanted
                    .large_communities
                    .holds(|| attributes.large_communities()),
            },
        "large_communities",
    )?;
    must(
        wanted.extended_communities.is_empty()
            || match &changes.extended_communities {
                Some(all) => wanted.extended_communities.holds(|| all.iter().copied()),
                None => wanted
                    .extended_communities
                    .holds(|| attributes.extended_communities()),
            },
        "extended_communities",
    )?;
    of_path(&wanted.as_path, route)
}

/// What depends on where the route comes from.
fn of_source(
    wanted: &Match,
    route: &RouteView<'_>,
    context: &Context<'_>,
) -> Result<(), &'static str> {
    let must = |holds: bool, key: &'static str| if holds { Ok(()) } else { Err(key) };
    match route.source {
        Source::Claim(own) => {
            must(!wanted.from_peer, "from")?;
            must(wanted.received_from.is_empty(), "received_from")?;
            must(
                wanted.kinds.is_empty() || wanted.kinds.contains(&own.kind),
                "kind",
            )?;
            let instances = &wanted.instances;
            must(
                instances.is_empty() || instances.iter().any(|i| own.instances.contains(i)),
                "instance",
            )?;
            let tags = &wanted.tags;
            must(
                tags.is_empty() || tags.iter().any(|t| own.tags.contains(t)),
                "tag",
            )?;
            must(
                wanted.networks.is_empty() || wanted.networks.contains(&own.network),
                "network",
            )
        }
        Source::Peer(sender) => {
            // What one peer sent goes to another only where a rule says so.
            must(wanted.from_peer || context.way == Way::Import, "from")?;
            let senders = &wanted.received_from;
            must(
                senders.is_empty() || senders.contains(sender),
                "received_from",
            )?;
            must(wanted.kinds.is_empty(), "kind")?;
            must(wanted.instances.is_empty(), "instance")?;
            must(wanted.tags.is_empty(), "tag")?;
            must(wanted.networks.is_empty(), "network")
        }
    }
}

fn of_path(wanted: &PathMatch, route: &RouteView<'_>) -> Result<(), &'static str> {
    let must = |holds: bool, key: &'static str| if holds { Ok(()) } else { Err(key) };
    if *wanted == PathMatch::default() {
        return Ok(());
    }
    let path = route.attributes.as_path();
    let is_any = |list: &[u32], asn: Option<u32>| asn.is_some_and(|a| list.contains(&a));
    must(
        wanted.first.is_empty() || is_any(&wanted.first, path.first()),
        "as_path.first",
    )?;
    must(
        wanted.origin.is_empty() || is_any(&wanted.origin, path.origin()),
        "as_path.origin",
    )?;
    must(
        wanted.contains.is_empty() || wanted.contains.iter().any(|asn| path.contains(*asn)),
        "as_path.contains",
    )?;
    must(
        wanted.length.is_none_or(|lengths| {
            let length = u32::try_from(path.length()).unwrap_or(u32::MAX);
            (lengths.ge..=lengths.le).contains(&length)
        }),
        "as_path.length",
    )?;
    must(
        wanted.regex.is_empty() || wanted.regex.iter().any(|regex| regex.fits(path)),
        "as_path.regex",
    )
}
