//! The steps of a walk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tapway_intent::SourceEvent;
use tapway_model::{Domain, Instance, Prefix, SourceName};
use tapway_node::Start;

use super::{Keeps, Walk, content};

const SOURCES: [&str; 2] = ["files", "api"];

/// How long the bytes of a step are under way at most.
const UNDER_WAY: Duration = Duration::from_millis(3);

impl Walk {
    /// Does something, and looks at what must hold afterwards. Says what it was.
    pub(super) fn step(&mut self) -> String {
        let before = self.announced();
        self.world.watch.withdrawals.clear();
        let (what, keeps) = self.act();
        self.pass(UNDER_WAY);
        self.check_step(&before, keeps);
        what
    }

    /// What is due, the router has, and the daemon, if it runs, stands by.
    fn announced(&self) -> BTreeSet<(Domain, Prefix)> {
        let received = self.world.received();
        let has = |(_, prefix): &&(Domain, Prefix)| received.contains(prefix);
        let due: BTreeSet<_> = self.due.seen.iter().filter(has).copied().collect();
        let Some(node) = self.world.running() else {
            return due;
        };
        let announced = node.claims().filter(|(_, _, announced)| *announced);
        let announced: BTreeSet<_> = announced.map(|(id, _, _)| *id).collect();
        due.intersection(&announced).copied().collect()
    }

    /// Says what was done, and what must be kept through it.
    fn act(&mut self) -> (String, Keeps) {
        let running = self.world.is_running();
        match self.dice.roll(100) {
            0..44 if !running => (self.start(), Keeps::at_the_end(self.is_intact())),
            0..20 => (self.put(), Keeps::Throughout),
            20..26 => (self.gone(), Keeps::Throughout),
            26..31 => (self.repeat(), Keeps::Throughout),
            31..38 => (self.list(), Keeps::AtTheEnd),
            38 => (self.say_one(SourceEvent::Begin), Keeps::Throughout),
            39 => (self.say_one(SourceEvent::Complete), Keeps::Throughout),
            40..43 => (
                self.say_one(SourceEvent::Dead("lost".to_owned())),
                Keeps::Throughout,
            ),
            43 => (self.forget(), Keeps::Throughout),
            44..72 => (self.meddle(), Keeps::Nothing),
            72..76 => (self.flap_uplink(), Keeps::AtTheEnd),
            76 => {
                self.router_forgot = true;
                self.count("step: session reset");
                self.world.reset_session();
                ("the router resets the session".to_owned(), Keeps::Nothing)
            }
            77..80 if running => {
                self.count("step: kill");
                self.world.kill();
                ("the daemon is killed".to_owned(), Keeps::AtTheEnd)
            }
            80..82 => (self.disk(), Keeps::AtTheEnd),
            82 => (self.change_others(), Keeps::Throughout),
            83..95 => (self.wait(), Keeps::AtTheEnd),
            95..100 => (self.rest(), Keeps::AtTheEnd),
            _ => ("nothing".to_owned(), Keeps::Throughout),
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.world.advance(time);
        if self.world.is_running() {
            self.model.pass_time(self.world.now);
        }
    }

    /// A source says something.
    pub(super) fn say(&mut self, source: &str, event: SourceEvent) {
        let now = self.world.now;
        self.model.hear(now, &source_name(source), event.clone());
        self.world.say(source, event);
    }

    fn source(&mut self) -> &'static str {
        self.dice.pick(&SOURCES).unwrap_or(SOURCES[0])
    }

    fn said(&self, source: &str) -> Vec<Arc<Instance>> {
        self.model.instances_of(&source_name(source))
    }

    fn put(&mut self) -> String {
        let source = self.source();
        let name = content::name(&mut self.dice);
        let instance = Arc::new(content::instance(&mut self.dice, &name));
        self.count("step: put");
        let what = format!("{source} puts {}", words(&instance));
        self.say(source, SourceEvent::Put(instance));
        what
    }

    fn gone(&mut self) -> String {
        let source = self.source();
        let said = self.said(source);
        let Some(instance) = self.dice.pick(&said) else {
            return format!("{source} has nothing to take back");
        };
        self.count("step: gone");
        self.say(source, SourceEvent::Gone(instance.name.clone()));
        format!("{source} takes back {}", instance.name)
    }

    /// The same again changes nothing.
    fn repeat(&mut self) -> String {
        let source = self.source();
        let said = self.said(source);
        let Some(instance) = self.dice.pick(&said) else {
            return format!("{source} has nothing to repeat");
        };
        self.count("step: repeat");
        let before = self.world.watch.done.len();
        self.say(source, SourceEvent::Put(instance.clone()));
        if self.world.watch.done.len() != before {
            self.fault(format!(
                "{} was repeated and changed something",
                instance.name
            ));
        }
        format!("{source} repeats {}", instance.name)
    }

    fn list(&mut self) -> String {
        let source = self.source();
        let mut what = format!("{source} lists");
        self.count("step: listing");
        self.say(source, SourceEvent::Begin);
        for mut instance in self.said(source) {
            match self.dice.roll(10) {
                0 => continue,
                1 => {
                    let name = instance.name.as_str().to_owned();
                    instance = Arc::new(content::instance(&mut self.dice, &name));
                    what += &format!(" {} anew,", words(&instance));
                }
                _ => what += &format!(" {},", instance.name),
            }
            self.say(source, SourceEvent::Put(instance));
        }
        if self.dice.once_in(8) {
            self.say(source, SourceEvent::Dead("lost".to_owned()));
            return what + " and dies";
        }
        self.say(source, SourceEvent::Complete);
        what + " and that is all"
    }

    fn say_one(&mut self, event: SourceEvent) -> String {
        let source = self.source();
        self.count(match event {
            SourceEvent::Dead(_) => "step: source dies",
            _ => "step: stray Begin or Complete",
        });
        let what = format!("{source} says {event:?}");
        self.say(source, event);
        what
    }

    fn forget(&mut self) -> String {
        let source = self.source();
        self.count("step: forget");
        self.model.forget(self.world.now, &source_name(source));
        self.world.forget(source);
        format!("the operator forgets {source}")
    }

    fn flap_uplink(&mut self) -> String {
        let up = !self.world.has_uplink();
        self.count("step: uplink");
        self.world.set_uplink(up);
        format!("the uplink goes {}", if up { "up" } else { "down" })
    }

    fn disk(&mut self) -> String {
        self.count("step: disk");
        // A stuck disk lets go of all it was given, and sticks again or not.
        let stick = self.dice.once_in(2);
        self.free_disk();
        if stick {
            self.world.disk_stuck = true;
            self.model.stick_disk();
        }
        format!("the disk is {}", if stick { "stuck" } else { "free" })
    }

    pub(super) fn free_disk(&mut self) {
        self.world.disk_stuck = false;
        self.world.settle();
        if self.world.is_running() {
            self.model.free_disk();
        }
    }

    pub(super) fn start(&mut self) -> String {
        self.count("step: start");
        self.world.disk_stuck = false;
        self.model.restart(self.world.now, &self.world.kernel);
        self.world.start(Start::Warm);
        "the daemon starts".to_owned()
    }

    /// Whether the kernel has every route that is due.
    fn is_intact(&self) -> bool {
        let mut routes = self.due.must.keys();
        routes.all(|key| self.world.kernel.object(key).is_some())
    }

    fn wait(&mut self) -> String {
        let time = Duration::from_millis(match self.dice.roll(10) {
            0..4 => self.dice.roll(100),
            4..7 => self.dice.roll(5_000),
            7..9 => self.dice.roll(40_000),
            _ => self.dice.roll(200_000),
        });
        self.pass(time);
        format!("{time:?} pass")
    }
}

pub(super) fn source_name(source: &str) -> SourceName {
    SourceName::new(source).expect("a plain name")
}

pub(super) fn words(instance: &Instance) -> String {
    let mut words = instance.name.to_string();
    for nic in &instance.nics {
        let list = |what: &str, prefixes: &[tapway_model::Prefix]| match prefixes {
            [] => String::new(),
            all => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                format!(" {what} {}", all.join(" "))
            }
        };
        words += &format!(" ({} in {}", nic.interface, nic.network);
        words += &list("addresses", &nic.addresses);
        words += &list("routes", &nic.routes);
        words += &list("anycast", &nic.anycast);
        if let Some(guest) = &nic.guest_bgp {
            words += &list("guest-bgp", &guest.prefixes);
        }
        words += &nic.mac.map(|mac| format!(" mac {mac}")).unwrap_or_default();
        if nic.state != tapway_model::NicState::Running {
            words += &format!(" {:?}", nic.state);
        }
        words += ")";
    }
    for claim in &instance.claims {
        let owner = if claim.by_network { "network" } else { "host" };
        words += &format!(
            " ({owner} {} {} in {})",
            claim.kind, claim.prefix, claim.network
        );
    }
    words
}
