//! The RIB and the model side by side, and peers that read.

use std::collections::{BTreeMap, BTreeSet};

use tapway_bgp_wire::{
    Attributes, DecodeContext, EncodeContext, Frame, Message, NextHop, NlriEntry, PerFamily,
    RawAttributes,
};
use tapway_model::{Family, Prefix};
use tapway_rib::decide::Rules;
use tapway_rib::{
    AttrId, Exported, GroupConfig, GroupId, Import, Judged, MemberId, Next, Paths, Rib, RouteView,
    SourceId, SourceInfo,
};

use crate::reference::{
    self, HOPS, MEMBERS, PREFIXES, Reference, Route, SOURCES, Step, export, hop, import, kind,
    prefix,
};

/// A peer that is sent routes.
struct Member {
    id: MemberId,
    /// It is in the second group of its kind.
    second: bool,
    /// What it has, by prefix and path identifier.
    view: BTreeMap<(Prefix, u32), (Vec<u8>, NextHop)>,
}

pub struct World {
    rib: Rib,
    model: Reference,
    sources: [SourceId; SOURCES],
    members: [Option<Member>; MEMBERS],
    /// Two of each kind, of which the second has the export after that of the first.
    groups: BTreeMap<(usize, bool), GroupId>,
    watched: bool,
    /// Next hops that are looked for.
    sought: BTreeSet<usize>,
    /// Best routes as told by what changed.
    followed: BTreeMap<Prefix, (usize, u32)>,
}

/// Family, paths and source of a member: four of one group, of which two are sources; the others of groups of their own.
fn config(member: usize) -> (usize, Family, Paths, Option<usize>) {
    match member {
        0 | 1 => (0, Family::Ipv4, Paths::Best, Some(member + 1)),
        2 | 3 => (0, Family::Ipv4, Paths::Best, None),
        4 => (1, Family::Ipv6, Paths::Best, Some(3)),
        5 | 6 => (2, Family::Ipv4, Paths::All, (member == 5).then_some(1)),
        _ => (
            3,
            Family::Ipv4,
            Paths::Several(2),
            (member == 7).then_some(2),
        ),
    }
}

fn add_path(member: usize) -> PerFamily<bool> {
    PerFamily::from_fn(|_| config(member).2 != Paths::Best)
}

fn info(source: usize) -> SourceInfo {
    SourceInfo {
        router_id: reference::router_id(source).into(),
        addr: reference::addr(source),
        external: reference::external(source),
        class: source as u32,
    }
}

fn block(attributes: &Attributes) -> Vec<u8> {
    let mut block = Vec::new();
    attributes.encode(true, &mut block);
    block
}

impl World {
    /// `watched`: somebody follows what changes, which keeps the numbers of prefixes until it is taken.
    pub fn new(watched: bool) -> World {
        let mut rib = Rib::new([7; 16]);
        let mut sources = [SourceId::LOCAL; SOURCES];
        for (n, source) in sources.iter_mut().enumerate().skip(1) {
            *source = rib.add_source(info(n));
        }
        Family::ALL.iter().for_each(|f| rib.watch(*f, watched));
        World {
            rib,
            model: Reference {
                routes: BTreeMap::new(),
                metrics: [None; HOPS],
                rules: Rules::default(),
                export: 0,
            },
            sources,
            members: [const { None }; MEMBERS],
            groups: BTreeMap::new(),
            watched,
            sought: BTreeSet::new(),
            followed: BTreeMap::new(),
        }
    }

    pub fn step(&mut self, step: &Step) {
        match *step {
            Step::Insert(s, p, id, kind, how) => self.insert(s, prefix(p), id, kind, how),
            Step::Withdraw(s, p, id) => self.withdraw(s, prefix(p), id),
            Step::Burst(s, p) => {
                for n in 0..PREFIXES {
                    self.insert(s, prefix((p + n) % PREFIXES), 0, n % 9, 3);
                }
                for n in 0..PREFIXES / 2 {
                    self.withdraw(s, prefix((p + n) % PREFIXES), 0);
                }
            }
            Step::SourceDown(s) => self.source_down(s),
            Step::MarkStale(s) => {
                Family::ALL
                    .iter()
                    .for_each(|f| _ = self.rib.mark_stale(self.sources[s], *f));
                self.of_source(s, |r| r.stale = true);
            }
            Step::RemoveStale(s) => {
                Family::ALL
                    .iter()
                    .for_each(|f| _ = self.rib.remove_stale(self.sources[s], *f));
                self.model.routes.retain(|k, r| k.1 != s || !r.stale);
            }
            Step::KeepLong(s) => {
                Family::ALL
                    .iter()
                    .for_each(|f| self.rib.keep_long(self.sources[s], *f));
                self.of_source(s, |r| r.long = r.stale);
            }
            Step::Judge(s, how) => self.judge(s, how),
            Step::NextHop(h, metric) => {
                self.model.metrics[h] = metric;
                self.rib.set_next_hop(hop(h), metric);
            }
            Step::Seek(h) => {
                self.sought.insert(h);
                self.rib.seek_next_hop(hop(h));
            }
            Step::Rules(rules) => {
                self.model.rules = rules;
                self.rib.set_rules(rules);
            }
            Step::Join(m) => self.join(m),
            Step::Leave(m) => self.leave(m),
            Step::SendAgain(m) => {
                if let Some(member) = &self.members[m] {
                    self.rib.send_again(member.id);
                }
            }
            Step::Move(m) => self.move_over(m),
            Step::ExportChanged => {
                self.model.export = (self.model.export + 1) % 4;
                self.groups
                    .values()
                    .for_each(|g| self.rib.export_changed(*g));
            }
            Step::Read(m, n) => {
                (0..n).any(|_| !self.read(m));
            }
            Step::Work(n) => _ = self.rib.work(n),
            Step::Check => self.check(),
        }
    }

    fn of_source(&mut self, s: usize, change: impl Fn(&mut Route)) {
        self.model
            .routes
            .iter_mut()
            .filter(|(k, _)| k.1 == s)
            .for_each(|(_, r)| change(r));
    }

    fn intern(&mut self, attributes: &Attributes, next_hop: NextHop) -> AttrId {
        self.rib
            .intern(RawAttributes::new(&block(attributes)), next_hop)
    }

    fn insert(&mut self, s: usize, prefix: Prefix, path_id: u32, n: usize, how: u8) {
        let kind = kind(n);
        let used = import(how, &kind);
        let received = self.intern(&kind.0, kind.1);
        let after = used
            .as_ref()
            .map(|(a, hop, weight)| (self.intern(a, *hop), *weight));
        let import = match after {
            None => Import::Refused,
            Some((attributes, weight)) => Import::Accepted { attributes, weight },
        };
        self.rib.insert(
            self.sources[s],
            NlriEntry { prefix, path_id },
            received,
            import,
        );
        self.rib.release(received);
        if let Some((id, _)) = after {
            self.rib.release(id);
        }
        self.tell_next_hops();
        self.model.routes.insert(
            (prefix, s, path_id),
            Route {
                kind: n,
                used,
                stale: false,
                long: false,
            },
        );
    }

    /// Whoever knows where next hops are answers at once.
    fn tell_next_hops(&mut self) {
        while let Some(event) = self.rib.poll_next_hop() {
            if let tapway_rib::NextHopEvent::Track(next_hop) = event {
                let at = reference::place(next_hop);
                self.rib.set_next_hop(next_hop, self.model.metrics[at]);
            }
        }
    }

    fn withdraw(&mut self, s: usize, prefix: Prefix, path_id: u32) {
        self.rib
            .withdraw(self.sources[s], NlriEntry { prefix, path_id });
        self.model.routes.remove(&(prefix, s, path_id));
    }

    /// A session ends, and another one of the same peer begins at once.
    fn source_down(&mut self, s: usize) {
        if s == 0 {
            return;
        }
        let members: Vec<usize> = (0..MEMBERS).filter(|m| config(*m).3 == Some(s)).collect();
        members.iter().for_each(|m| self.leave(*m));
        self.rib.remove_source(self.sources[s]);
        self.sources[s] = self.rib.add_source(info(s));
        self.model.routes.retain(|k, _| k.1 != s);
    }

    fn judge(&mut self, s: usize, how: u8) {
        for family in Family::ALL {
            let mut page = Some(0);
            while let Some(from) = page {
                page = self.rib.judge(self.sources[s], family, from, |route| {
                    let kind = (route.received.raw.decode(), route.received.next_hop);
                    match import(how, &kind) {
                        None => Judged::Refused,
                        Some((attributes, next_hop, weight)) if attributes != kind.0 => {
                            Judged::Changed {
                                block: block(&attributes),
                                next_hop,
                                weight,
                            }
                        }
                        Some((_, _, weight)) => Judged::Accepted { weight },
                    }
                });
            }
        }
        self.of_source(s, |route| route.used = import(how, &kind(route.kind)));
    }

    fn join(&mut self, m: usize) {
        if self.members[m].is_some() {
            return;
        }
        let source = config(m).3.map(|s| self.sources[s]);
        let group = self.group(m, false);
        let id = self.rib.join(group, source).expect("a group");
        self.members[m] = Some(Member {
            id,
            second: false,
            view: BTreeMap::new(),
        });
    }

    /// One of the two groups of a member's kind, made when there is none.
    fn group(&mut self, m: usize, second: bool) -> GroupId {
        let (group, family, paths, _) = config(m);
        let encode = EncodeContext {
            add_path: add_path(m),
            ..EncodeContext::default()
        };
        let rib = &mut self.rib;
        let config = GroupConfig {
            family,
            encode,
            paths,
            backlog: 150,
        };
        *self
            .groups
            .entry((group, second))
            .or_insert_with(|| rib.add_group(config))
    }

    fn move_over(&mut self, m: usize) {
        let Some(second) = self.members[m].as_ref().map(|member| member.second) else {
            return;
        };
        let to = self.group(m, !second);
        if let Some(member) = &mut self.members[m] {
            member.id = self.rib.transfer(member.id, to).expect("a group");
            member.second = !second;
        }
        self.forget_group(m, second);
    }

    /// A group ends with its last member.
    fn forget_group(&mut self, m: usize, second: bool) {
        let group = config(m).0;
        let members = self.members.iter().enumerate();
        let mut others = members.filter_map(|(n, member)| Some((config(n).0, member.as_ref()?)));
        if !others.any(|(of, member)| of == group && member.second == second) {
            self.groups.remove(&(group, second));
        }
    }

    fn leave(&mut self, m: usize) {
        let Some(member) = self.members[m].take() else {
            return;
        };
        self.rib.leave(member.id);
        self.forget_group(m, member.second);
    }

    /// A member reads once. False: it has everything.
    fn read(&mut self, m: usize) -> bool {
        let Some(member) = &mut self.members[m] else {
            return false;
        };
        let sources = self.sources;
        let version = (self.model.export + u8::from(member.second)) % 4;
        let mut exporter = |_: GroupId, route: &RouteView<'_>, block: &mut Vec<u8>| {
            let source = sources
                .iter()
                .position(|s| *s == route.source)
                .expect("a source");
            let attributes = route.used.expect("a route that counts").raw.decode();
            let out = export(
                version,
                route.prefix,
                source,
                route.long_lived_stale,
                attributes,
            );
            let next_hop = out.map(|(bytes, next_hop)| {
                *block = bytes;
                next_hop
            });
            Exported {
                next_hop,
                for_attributes: version != 3 && route.prefix.family() == Family::Ipv4,
            }
        };
        match self.rib.next(member.id, 3, &mut exporter) {
            Next::Idle => false,
            Next::More => true,
            Next::Chunk(chunk) => {
                let cx = DecodeContext {
                    internal: true,
                    add_path: add_path(m),
                    ..DecodeContext::default()
                };
                member.apply(&chunk.bytes, &cx);
                true
            }
        }
    }

    /// Everything is done and read; then all is as in the model.
    pub fn check(&mut self) {
        for h in std::mem::take(&mut self.sought) {
            self.rib.set_next_hop(hop(h), self.model.metrics[h]);
        }
        assert!(!self.rib.seeks_next_hops());
        while self.rib.work(5) {}
        for m in 0..MEMBERS {
            let mut reads = 0;
            while self.read(m) {
                reads += 1;
                assert!(reads < 10_000, "member {m} never has everything");
            }
        }
        while self.rib.work(5) {}
        for m in 0..MEMBERS {
            self.check_member(m);
        }
        self.check_best();
        for (s, source) in self.sources.iter().enumerate() {
            for family in Family::ALL {
                let counts = self.rib.counts(*source, family);
                let of = |pick: fn(&Route) -> bool| {
                    self.model
                        .routes
                        .iter()
                        .filter(|(k, r)| k.1 == s && k.0.family() == family && pick(r))
                        .count()
                };
                assert_eq!(
                    (counts.routes, counts.accepted),
                    (of(|_| true), of(|r| r.used.is_some()))
                );
                assert_eq!(counts.stale, of(|r| r.stale));
            }
        }
    }

    fn check_member(&mut self, m: usize) {
        let export = self.model.export;
        let second = self.members[m].as_ref().is_some_and(|m| m.second);
        self.model.export = (export + u8::from(second)) % 4;
        self.compare(m);
        self.model.export = export;
    }

    fn compare(&self, m: usize) {
        let Some(member) = &self.members[m] else {
            return;
        };
        let (_, family, paths, source) = config(m);
        assert_eq!(self.rib.pending(member.id), 0);
        assert!(self.rib.is_in_step(member.id) && self.rib.is_complete(member.id));
        let most = match paths {
            Paths::Best => None,
            Paths::Several(n) => Some(usize::from(n)),
            Paths::All => Some(usize::MAX),
        };
        for p in (0..PREFIXES).map(prefix).filter(|p| p.family() == family) {
            let mut has: Vec<_> = member
                .view
                .range((p, 0)..=(p, u32::MAX))
                .map(|(_, v)| v.clone())
                .collect();
            has.sort();
            assert_eq!(has, self.model.wanted(p, most, source), "member {m}, {p}");
            let mut told = Vec::new();
            let pending = self.rib.told(member.id, p, |r| {
                assert_eq!(r.prefix, p);
                told.push((r.block.to_vec(), r.next_hop));
            });
            told.sort();
            assert!(!pending && told == has, "member {m}, {p}");
        }
        let (mut listed, mut after) = (0, None);
        loop {
            after = self.rib.list_told(member.id, after, 3, |_| listed += 1);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, member.view.len());
        assert_eq!(self.rib.told_count(member.id), listed);
    }

    /// The best routes by listing, by looking up, and by following changes.
    fn check_best(&mut self) {
        let position = |source: SourceId| self.sources.iter().position(|s| *s == source);
        for family in Family::ALL {
            let mut all = (0..PREFIXES).map(prefix).filter(|p| p.family() == family);
            while let Some(prefix) = match self.watched {
                true => self.rib.take_changed(family),
                false => all.next(),
            } {
                self.followed.remove(&prefix);
                let followed = &mut self.followed;
                self.rib.lookup(prefix, |r| {
                    if r.best {
                        followed.insert(prefix, (position(r.source).expect("a source"), r.path_id));
                    }
                });
            }
            let mut listed = BTreeMap::new();
            let mut after = None;
            loop {
                after = self.rib.list(family, after, 2, |r| {
                    let place = (r.prefix, position(r.source).expect("a source"), r.path_id);
                    assert!(listed.insert(place, r.stale).is_none());
                });
                if after.is_none() {
                    break;
                }
            }
            let routes = self
                .model
                .routes
                .iter()
                .filter(|(k, _)| k.0.family() == family);
            assert_eq!(listed, routes.map(|(k, r)| (*k, r.stale)).collect());
        }
        for family in Family::ALL {
            let all = (0..PREFIXES).map(prefix).filter(|p| p.family() == family);
            let received = all.filter(|p| self.model.best(*p).is_some_and(|k| k.1 != 0));
            assert_eq!(self.rib.received(family), received.count());
        }
        for p in (0..PREFIXES).map(prefix) {
            let mut sharing = Vec::new();
            self.rib.lookup(p, |r| {
                let source = position(r.source).expect("a source");
                sharing.extend(r.multipath.then_some((p, source, r.path_id)));
            });
            sharing.sort();
            assert_eq!(sharing, self.model.sharing(p), "{p}");
            let best = self.model.best(p).map(|k| (k.1, k.2));
            assert_eq!(self.followed.get(&p).copied(), best, "{p}");
        }
    }

    /// When all is gone, nothing is left.
    pub fn end(&mut self) {
        let keys: Vec<_> = self.model.routes.keys().copied().collect();
        keys.iter().for_each(|k| self.withdraw(k.1, k.0, k.2));
        self.check();
        assert!(
            self.rib.is_empty(),
            "{} and {} prefixes stay",
            self.rib.len(Family::Ipv4),
            self.rib.len(Family::Ipv6)
        );
        assert_eq!(self.rib.blocks(), 0);
        for group in self.groups.values() {
            let summary = self.rib.group(*group).expect("a group");
            assert_eq!(
                (summary.waiting, summary.blocks, summary.too_long),
                (0, 0, 0)
            );
        }
    }
}

impl Member {
    fn apply(&mut self, mut bytes: &[u8], cx: &DecodeContext) {
        while let Some((len, frame)) = Frame::next(bytes, cx.max_len()).expect("a message") {
            let Ok(Message::Update(update)) = frame.decode(cx) else {
                panic!("no UPDATE")
            };
            assert!(update.faults().is_empty(), "{:?}", update.faults());
            for entry in update.unreach().flat_map(|nlri| nlri.iter()) {
                self.view.remove(&(entry.prefix, entry.path_id));
            }
            for reach in update.reach() {
                let block = update.attributes().bytes().to_vec();
                for entry in reach.nlri {
                    self.view.insert(
                        (entry.prefix, entry.path_id),
                        (block.clone(), reach.next_hop),
                    );
                }
            }
            bytes = &bytes[len..];
        }
        assert!(bytes.is_empty());
    }
}
