//! Where one daemon lives: a namespace with an uplink to the router's, a meter at the other end, a
//! link that is always up, and one that comes and goes.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tapway_lab::{Netns, Proc, veth};
use tapway_model::Prefix;
use tempfile::TempDir;

use crate::meter::Meter;
use crate::rtnl::Rtnl;
use crate::tally::{Event, Tally};

/// The link that is always up.
pub(crate) const STEADY: &str = "c0";
/// The link that comes and goes.
pub(crate) const LINK: &str = "g0";
/// What is applied and removed.
pub(crate) const APPLIED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// What is behind the link that comes and goes.
pub(crate) const LINKED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

/// How long an UPDATE may take before the event counts as missed.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a missed one may take before the run is given up.
const LAST_LIMIT: Duration = Duration::from_secs(60);
/// Rest after every event, so that none is measured while the one before is still worked on.
const REST: Duration = Duration::from_millis(5);

/// The namespace of the guests' ends.
pub(crate) struct Guests {
    ns: Netns,
    file: File,
    rtnl: Rtnl,
    next_index: u32,
}

impl Guests {
    /// Makes it.
    pub(crate) fn new() -> io::Result<Guests> {
        let ns = Netns::new("guests");
        Ok(Guests {
            file: File::open(ns.path())?,
            rtnl: Rtnl::open(&ns)?,
            ns,
            next_index: 1_000_000,
        })
    }

    fn next(&mut self) -> u32 {
        self.next_index += 1;
        self.next_index
    }
}

/// One daemon's place.
pub(crate) struct Site {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Its namespace.
    pub(crate) ns: Netns,
    /// Its folder.
    pub(crate) dir: TempDir,
    /// Its uplink's address.
    pub(crate) own: Ipv4Addr,
    /// The meter's address.
    pub(crate) remote: Ipv4Addr,
    /// The meter.
    pub(crate) meter: Meter,
    /// Changes its links and routes.
    pub(crate) rtnl: Rtnl,
    /// The number of [`STEADY`].
    pub(crate) steady: u32,
    /// The number of [`LINK`] now, and of its other end.
    link: (u32, u32),
    number: u8,
    next_index: u32,
}

/// What an event leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// The address is announced.
    Announced(Ipv4Addr),
    /// It is withdrawn.
    Withdrawn(Ipv4Addr),
}

impl Site {
    /// Makes the place number `number` beside `router`.
    pub(crate) fn new(
        router: &Netns,
        guests: &mut Guests,
        name: &'static str,
        number: u8,
    ) -> Result<Site> {
        let ns = Netns::new(name);
        let down = format!("down{number}");
        veth(router, &down, &ns, "up0");
        let (remote, own) = (
            Ipv4Addr::new(10, 9, number, 0),
            Ipv4Addr::new(10, 9, number, 1),
        );
        router.address(&down, &format!("{remote}/31"));
        ns.address("up0", &format!("{own}/31"));
        ns.ip_batch(&many_links("add"));
        let mut site = Site {
            name,
            meter: Meter::listen(router, remote).context("the meter cannot listen")?,
            rtnl: Rtnl::open(&ns)?,
            ns,
            dir: tempfile::tempdir()?,
            own,
            remote,
            steady: 0,
            link: (0, 0),
            number,
            next_index: 1000,
        };
        fs::set_permissions(
            site.dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        let (steady, far) = site.pair(guests, STEADY, "k")?;
        guests.rtnl.set_up(far, true)?;
        site.steady = steady;
        site.plug(guests)?;
        Ok(site)
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a program in its namespace, with nothing in between; says when.
    pub(crate) fn spawn(&self, name: &str, command: &mut Command) -> (Proc, Instant) {
        let log = self.path(&format!("{name}.log"));
        self.ns.run_in(|| {
            let at = Instant::now();
            (Proc::spawn(name, command, &log), at)
        })
    }

    /// Makes a pair whose host end is up; returns the numbers of both ends.
    fn pair(&mut self, guests: &mut Guests, host: &str, guest: &str) -> Result<(u32, u32)> {
        self.next_index += 1;
        let (index, far) = (self.next_index, guests.next());
        let guest = format!("{guest}{}", self.number);
        self.rtnl
            .add_pair((host, index), (&guest, far), &guests.file)
            .with_context(|| {
                format!(
                    "{host} in {}, {guest} in {}",
                    self.ns.name(),
                    guests.ns.name()
                )
            })?;
        self.rtnl.set_up(index, true)?;
        Ok((index, far))
    }

    /// Makes the link that comes and goes: up, the guest's end down, so without carrier.
    pub(crate) fn plug(&mut self, guests: &mut Guests) -> Result<()> {
        self.link = self.pair(guests, LINK, "e")?;
        Ok(())
    }

    /// The number of the link that comes and goes.
    pub(crate) fn link(&self) -> u32 {
        self.link.0
    }

    /// Changes the guest's end, and with it the carrier of ours.
    pub(crate) fn carrier(&mut self, guests: &mut Guests, on: bool) -> io::Result<Instant> {
        guests.rtnl.set_up(self.link.1, on)
    }

    /// Does `act`, waits for what it leads to, and notes the time between as a case of `event`.
    pub(crate) fn measure(
        &mut self,
        tally: &mut Tally,
        event: Option<Event>,
        expect: Expect,
        act: impl FnOnce(&mut Site) -> io::Result<Instant>,
    ) -> Result<()> {
        self.meter.settle();
        let at = act(self).with_context(|| format!("{}: {expect:?}", self.name))?;
        let seen = self.wait(expect, LIMIT);
        if let Some(event) = event {
            tally.add(
                event,
                self.name,
                seen.map(|s| s.saturating_duration_since(at)),
            );
        }
        if seen.is_none() && self.wait(expect, LAST_LIMIT).is_none() {
            bail!(
                "{}: waited for {expect:?} for {} s",
                self.name,
                LAST_LIMIT.as_secs()
            );
        }
        std::thread::sleep(REST);
        Ok(())
    }

    fn wait(&mut self, expect: Expect, limit: Duration) -> Option<Instant> {
        match expect {
            Expect::Announced(a) => self.meter.wait_announced(Prefix::host(a.into()), limit),
            Expect::Withdrawn(a) => self.meter.wait_withdrawn(Prefix::host(a.into()), limit),
        }
    }

    /// Waits for the session.
    pub(crate) fn wait_up(&mut self) -> Result<()> {
        match self.meter.wait_up(LAST_LIMIT) {
            Some(_) => Ok(()),
            None => bail!("{}: no session after {} s", self.name, LAST_LIMIT.as_secs()),
        }
    }

    /// Waits until as many prefixes are announced; says when the last came.
    pub(crate) fn wait_count(&mut self, count: usize) -> Result<Instant> {
        match self.meter.wait_count(count, LAST_LIMIT) {
            Some(at) => Ok(at),
            None => bail!(
                "{}: {} of {count} prefixes are announced after {} s",
                self.name,
                self.meter.count(),
                LAST_LIMIT.as_secs()
            ),
        }
    }

    /// Makes the links of the many claims anew, with nothing on them.
    pub(crate) fn empty_many(&self) {
        self.ns.ip_batch(&many_links("del"));
        self.ns.ip_batch(&many_links("add"));
    }

    /// Puts a kernel route for each of the many on its link.
    pub(crate) fn route_many(&self) {
        let lines: String = many()
            .map(|(a, link)| format!("route add {a}/32 dev {link}\n"))
            .collect();
        self.ns.ip_batch(&lines);
    }
}

/// How many claims are "many".
pub(crate) const COUNT: u32 = 10_000;

/// On how many links they are, in equal parts.
pub(crate) const LINKS: u32 = 100;

/// The many addresses, and the link of each.
pub(crate) fn many() -> impl Iterator<Item = (Ipv4Addr, String)> {
    (0..COUNT).map(|n| (Ipv4Addr::from(0x0a80_0000 + n), format!("m{}", n % LINKS)))
}

/// Lines for `ip -batch`: the links of the many are pairs, both ends here.
fn many_links(what: &str) -> String {
    (0..LINKS)
        .step_by(2)
        .map(|n| match what {
            "add" => format!(
                "link add m{n} up type veth peer name m{peer}\nlink set m{peer} up\n",
                peer = n + 1
            ),
            _ => format!("link del m{n}\n"),
        })
        .collect()
}

/// What happens to the link that comes and goes, for a daemon that follows the carrier.
pub(crate) fn carrier_round(site: &mut Site, guests: &mut Guests, tally: &mut Tally) -> Result<()> {
    let (up, down) = (Expect::Announced(LINKED), Expect::Withdrawn(LINKED));
    site.measure(tally, Some(Event::CarrierGained), up, |s| {
        s.carrier(guests, true)
    })?;
    site.measure(tally, Some(Event::CarrierLost), down, |s| {
        s.carrier(guests, false)
    })?;
    site.measure(tally, None, up, |s| s.carrier(guests, true))?;
    site.measure(tally, Some(Event::LinkDown), down, |s| {
        s.rtnl.set_up(s.link(), false)
    })?;
    site.measure(tally, None, up, |s| s.rtnl.set_up(s.link(), true))?;
    site.measure(tally, Some(Event::LinkRemoved), down, |s| {
        s.rtnl.delete(s.link())
    })?;
    site.plug(guests)
}

/// What happens to the link and a route on it, for a daemon that follows the kernel's routes.
pub(crate) fn route_round(site: &mut Site, guests: &mut Guests, tally: &mut Tally) -> Result<()> {
    let (up, down) = (Expect::Announced(LINKED), Expect::Withdrawn(LINKED));
    let oif = site.steady;
    site.measure(
        tally,
        Some(Event::Applied),
        Expect::Announced(APPLIED),
        |s| s.rtnl.route(true, APPLIED, oif),
    )?;
    site.measure(
        tally,
        Some(Event::Removed),
        Expect::Withdrawn(APPLIED),
        |s| s.rtnl.route(false, APPLIED, oif),
    )?;
    site.carrier(guests, true)?;
    let add = |s: &mut Site| s.rtnl.route(true, LINKED, s.link());
    site.measure(tally, None, up, add)?;
    site.measure(tally, Some(Event::LinkDown), down, |s| {
        s.rtnl.set_up(s.link(), false)
    })?;
    site.rtnl.set_up(site.link(), true)?;
    std::thread::sleep(REST);
    site.measure(tally, None, up, add)?;
    site.measure(tally, Some(Event::LinkRemoved), down, |s| {
        s.rtnl.delete(s.link())
    })?;
    site.plug(guests)
}
