//! Lists that change while the kernel gives them out.
//!
//! The kernel fills one buffer after another, the next one when there is room for it. Here they are small, and none is read before the
//! last one was looked at: so it is certain that a change comes in the middle of a list.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

use tapway_fib::{Address, Change, Neighbour, Object, Outcome, Route, RouteKind, Rule};
use tapway_model::{Family, Prefix};
use tapway_sys::netns;

use super::*;
use crate::Writer;
use crate::constants::{RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_NEWRULE};
use crate::decode;

const OURS: u8 = 112;
/// Some 20 buffers.
const MANY: u32 = 1000;
/// Links are long: as many buffers.
const LINKS_MANY: u32 = 40;
const BUFFER: usize = 4096;

/// A list that was asked for once.
#[derive(Debug, Default)]
struct List {
    torn: bool,
    names: BTreeSet<String>,
}

/// All lists of one kind of objects that a scan asks for, in order, and what the scan says of them. As soon as the first
/// object of a list is told, `change` happens, with its name.
fn lists(
    kind: u16,
    name: impl Fn(&[u8]) -> Option<String>,
    mut change: impl FnMut(&str),
) -> (Vec<List>, Torn) {
    // Nothing is handed over before it is taken.
    let (part, parts) = mpsc::sync_channel(0);
    let wake = Arc::new(Waker::new().expect("waker"));
    let wanted = Arc::new(AtomicU64::new(1));
    let mut lister = Lister::open(OURS, part, wake, wanted).expect("lister");
    lister.buffer = vec![0; BUFFER];
    let (orders, order) = mpsc::channel();
    std::thread::spawn(move || lister.serve(&order));
    orders.send(1).expect("the lister");
    let mut all: BTreeMap<u32, List> = BTreeMap::new();
    loop {
        match parts.recv().expect("a part") {
            Part::End(_, torn) => {
                return (all.into_values().collect(), torn.expect("a scan"));
            }
            Part::Buffer(_, bytes) => {
                for message in messages(&bytes).filter(|m| m.kind == kind) {
                    let Some(name) = name(message.payload) else {
                        continue;
                    };
                    let list = all.entry(message.sequence).or_default();
                    if list.names.is_empty() {
                        change(&name);
                    }
                    list.torn |= message.flags & NLM_F_DUMP_INTR != 0;
                    list.names.insert(name);
                }
            }
        }
    }
}

/// The object of a number.
type Make = fn(u32) -> Object;

/// Many objects of one sort, by their names, all there.
struct Sort {
    kind: u16,
    object: Make,
    all: BTreeMap<String, Object>,
    writer: Writer,
}

impl Sort {
    fn put(kind: u16, object: Make) -> Sort {
        let all = (0..MANY).map(object).map(|o| (name(&o), o)).collect();
        let mut sort = Sort {
            kind,
            object,
            all,
            writer: Writer::open().expect("writer"),
        };
        let add: Vec<Change> = sort.all.values().cloned().map(Change::Add).collect();
        add.chunks(256).for_each(|batch| sort.apply(batch));
        sort
    }

    fn apply(&mut self, changes: &[Change]) {
        for (change, outcome) in changes.iter().zip(self.writer.apply(changes)) {
            assert_eq!(outcome, Outcome::Done, "{change:?}");
        }
    }

    /// Lists them; in the middle of the first list the object that was told first goes and another one comes.
    fn lists(&mut self) -> (Vec<List>, Torn) {
        let new = (self.object)(MANY);
        let known: BTreeSet<String> = self.names().into_iter().chain([name(&new)]).collect();
        let mut new = Some(new);
        lists(self.kind, read(self.kind, known), |told| {
            if let Some(new) = new.take() {
                let old = self.all.remove(told).expect("one of them");
                self.all.insert(name(&new), new.clone());
                self.apply(&[Change::Remove(old), Change::Add(new)]);
            }
        })
    }

    /// Lists them, and nothing happens.
    fn list_again(&self) -> (Vec<List>, Torn) {
        lists(self.kind, read(self.kind, self.names()), |_| ())
    }

    fn names(&self) -> BTreeSet<String> {
        self.all.keys().cloned().collect()
    }
}
/// The name of what a message tells, if it is one of these.
fn read(kind: u16, known: BTreeSet<String>) -> impl Fn(&[u8]) -> Option<String> {
    move |payload| {
        let object = match kind {
            RTM_NEWADDR => decode::address(payload).map(Object::Address),
            RTM_NEWROUTE => decode::route(payload).map(Object::Route),
            RTM_NEWRULE => decode::rule(payload).map(Object::Rule),
            _ => decode::neighbour(payload).map(Object::Neighbour),
        };
        object.map(|o| name(&o)).filter(|n| known.contains(n))
    }
}

fn name(object: &Object) -> String {
    match object {
        Object::Address(address) => address.addr.to_string(),
        Object::Route(route) => route.prefix.to_string(),
        Object::Rule(rule) => format!("{} {}", rule.family, rule.priority),
        Object::Neighbour(neighbour) => neighbour.addr.to_string(),
        Object::Sysctl(sysctl) => sysctl.path.clone(),
    }
}

fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + n).into()
}

fn v6(n: u32) -> IpAddr {
    Ipv6Addr::from((0x2001_0db8 << 96) + u128::from(n)).into()
}

fn address(addr: IpAddr) -> Object {
    Object::Address(Address {
        index: 1,
        addr,
        len: Prefix::host(addr).len(),
        scope: 0,
        flags: 0,
        protocol: OURS,
    })
}

fn route(to: IpAddr) -> Object {
    Object::Route(Route {
        table: 254,
        prefix: Prefix::host(to),
        metric: 5,
        kind: RouteKind::Unreachable,
        scope: 0,
        next_hops: Vec::new(),
        prefsrc: None,
        protocol: OURS,
    })
}

fn rule(family: Family, n: u32) -> Object {
    Object::Rule(Rule {
        family,
        priority: 1000 + n,
        table: 100,
        iif: None,
        protocol: OURS,
    })
}

fn neighbour(addr: IpAddr) -> Object {
    Object::Neighbour(Neighbour {
        index: 2,
        addr,
        mac: Some([2, 0, 0, 0, 0, 1]),
        state: 0x80,
        router: false,
        protocol: OURS,
    })
}

/// Does what these lines for `ip` say.
fn ip(lines: &str) {
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("ip is installed");
    let mut stdin = ip.stdin.take().expect("a pipe");
    stdin.write_all(lines.as_bytes()).expect("ip reads");
    drop(stdin);
    assert!(ip.wait().expect("ip").success(), "{lines}");
}

/// Links of the host, each with another end.
fn links() -> BTreeSet<String> {
    let mut all = BTreeSet::from(["lo".to_owned()]);
    let mut lines = String::new();
    for n in 0..LINKS_MANY {
        lines += &format!("link add a{n} type veth peer name b{n}\n");
        all.extend(["a", "b"].map(|end| format!("{end}{n}")));
    }
    ip(&lines);
    all
}

fn link_name(payload: &[u8]) -> Option<String> {
    decode::link(payload).map(|link| link.name.to_string())
}

fn v4_addresses() -> Sort {
    ip("link set lo up\n");
    Sort::put(RTM_NEWADDR, |n| address(v4(n)))
}

/// What is told of lists by and by: whether the kernel said that it was torn, and whether it was told in full.
fn told(lists: &[List], there: &BTreeSet<String>) -> Vec<(bool, bool)> {
    let one = |list: &List| (list.torn, list.names == *there);
    lists.iter().map(one).collect()
}

#[test]
fn addresses_that_changed_while_they_were_listed_are_listed_again() {
    netns::for_test(|| {
        let mut sort = v4_addresses();
        let (lists, torn) = sort.lists();
        // One is gone that the first list has.
        assert_eq!(told(&lists, &sort.names()), [(true, false), (false, true)]);
        assert_eq!(torn, Torn::default());
    });
}

#[test]
fn links_that_changed_while_they_were_listed_are_listed_again() {
    netns::for_test(|| {
        let mut there = links();
        let mut change = Some("link add new type veth peer name new2\nlink del a0\n");
        let (lists, torn) = lists(RTM_NEWLINK, link_name, |_| {
            change.take().into_iter().for_each(ip);
        });
        there.retain(|name| !["a0", "b0"].contains(&name.as_str()));
        there.extend(["new", "new2"].map(str::to_owned));
        assert_eq!(told(&lists, &there), [(true, false), (false, true)]);
        assert_eq!(torn, Torn::default());
    });
}

#[test]
fn what_changes_each_time_is_told_as_torn() {
    netns::for_test(|| {
        let flap = |_: &str| ip("link add new type veth peer name new2\nlink del new\n");
        links();
        let (lists_of_links, torn) = lists(RTM_NEWLINK, link_name, flap);
        assert!(lists_of_links.iter().all(|list| list.torn));
        assert_eq!(lists_of_links.len(), usize::from(TRIES));
        let expected = Torn {
            links: true,
            others: false,
        };
        assert_eq!(torn, expected);

        let sort = v4_addresses();
        let read = |payload: &[u8]| decode::address(payload).map(|a| a.addr.to_string());
        let mut writer = Writer::open().expect("writer");
        let new = (sort.object)(MANY);
        let flap = [Change::Add(new.clone()), Change::Remove(new)];
        let (lists_of_addresses, torn) = lists(RTM_NEWADDR, read, |_| {
            assert!(writer.apply(&flap).iter().all(|o| *o == Outcome::Done));
        });
        assert_eq!(lists_of_addresses.len(), usize::from(TRIES));
        let expected = Torn {
            links: false,
            others: true,
        };
        assert_eq!(torn, expected);
    });
}

/// The kernel may leave out of such a list what stays, and says nothing of it: so one list is not believed that something is gone
/// (`core/fib`). The next one must have it.
#[test]
fn of_other_lists_the_next_one_is_whole() {
    netns::for_test(|| {
        ip("link set lo up\nlink add a0 type veth peer name a1\nlink set a0 up\n");
        let sorts: [(u16, Make); 6] = [
            (RTM_NEWRULE, |n| rule(Family::Ipv4, n)),
            (RTM_NEWRULE, |n| rule(Family::Ipv6, n)),
            (RTM_NEWROUTE, |n| route(v4(0x0100_0000 + n))),
            (RTM_NEWROUTE, |n| route(v6(0x0100_0000 + n))),
            (RTM_NEWNEIGH, |n| neighbour(v4(0x0200_0000 + n))),
            (RTM_NEWNEIGH, |n| neighbour(v6(0x0200_0000 + n))),
        ];
        for (kind, object) in sorts {
            let mut sort = Sort::put(kind, object);
            let one = sort.all.keys().next().cloned().expect("one");
            let (lists, torn) = sort.lists();
            assert_eq!(torn, Torn::default(), "{one}");
            let lacks = |list: &List| sort.names().difference(&list.names).count();
            let lacking = lacks(&lists[lists.len() - 1]);
            assert!(lacking <= 2, "{one} and others: {lacking} are missing");
            let (lists, torn) = sort.list_again();
            assert_eq!(told(&lists, &sort.names()), [(false, true)], "{one}");
            assert_eq!(torn, Torn::default(), "{one}");
        }
    });
}
