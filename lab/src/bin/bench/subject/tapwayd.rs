//! tapwayd: claims through the API and from files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;
use serde_json::json;
use tapway_lab::{Proc, mac_of};

use super::{Subject, first_line};
use crate::http::Http;
use crate::meter;
use crate::site::{
    APPLIED, COUNT, Expect, Guests, LINK, LINKED, STEADY, Site, carrier_round, many,
};
use crate::tally::{Event, Tally};

/// How long it may take to end.
const PROMPT: Duration = Duration::from_secs(20);

/// tapwayd.
pub(crate) struct Tapwayd {
    program: PathBuf,
    process: Option<Proc>,
    http: Option<Http>,
    site: Site,
}

impl Tapwayd {
    /// `program`, not running yet.
    pub(crate) fn new(site: Site, program: PathBuf) -> io::Result<Tapwayd> {
        let folder = site.path("instances.d");
        let config = format!(
            "[router]\nasn = 64612\nrouter_id = \"192.0.2.11\"\n\
             [peer.meter]\naddress = \"{}\"\nasn = {}\nhold_time = \"240s\"\nkeepalive = \"80s\"\n\
             [source.files]\npath = \"{}\"\n",
            site.remote,
            meter::ASN,
            folder.display()
        );
        fs::write(site.path("tapway.toml"), config)?;
        Ok(Tapwayd {
            program,
            process: None,
            http: None,
            site,
        })
    }

    /// Takes everything away that a run before has left, and writes the instances' files.
    fn fresh(&mut self, with_many: bool) -> io::Result<()> {
        let folder = self.site.path("instances.d");
        for dir in [&folder, &self.site.path("state")] {
            if dir.exists() {
                fs::remove_dir_all(dir)?;
            }
        }
        fs::create_dir(&folder)?;
        if with_many {
            let mut guests: BTreeMap<String, Vec<Ipv4Addr>> = BTreeMap::new();
            for (address, link) in many() {
                guests.entry(link).or_default().push(address);
            }
            for (n, (link, addresses)) in (1..).zip(guests) {
                let text = format!(
                    "name = \"{link}\"\n[[nic]]\ninterface = \"{link}\"\nmac = \"{}\"\naddresses = {}\n",
                    mac_of(n),
                    json!(addresses)
                );
                fs::write(folder.join(format!("{link}.toml")), text)?;
            }
        }
        self.site.empty_many();
        Ok(())
    }

    fn launch(&mut self) -> Instant {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.site.path("tapway.toml"));
        command.arg("--state-dir").arg(self.site.path("state"));
        command.arg("--socket").arg(self.site.path("tapway.sock"));
        command.args(["--log", "warn"]);
        let (process, at) = self.site.spawn("tapwayd", &mut command);
        self.process = Some(process);
        at
    }

    fn apply(http: &mut Http, interface: &str, address: Ipv4Addr) -> io::Result<Instant> {
        let body = json!({
            "name": interface,
            "nic": [{"interface": interface, "mac": mac_of(u32::from(address)), "addresses": [address]}],
        });
        http.ask(
            "PUT",
            &format!("/v1/instances/{interface}"),
            &body.to_string(),
        )
    }
}

impl Subject for Tapwayd {
    fn site(&mut self) -> &mut Site {
        &mut self.site
    }

    fn start(&mut self, with_many: bool) -> Result<()> {
        self.fresh(with_many)?;
        self.launch();
        self.site.wait_up()?;
        let mut http = Http::connect(&self.site.path("tapway.sock"))?;
        Tapwayd::apply(&mut http, LINK, LINKED)?;
        http.answer()?;
        self.http = Some(http);
        let count = if with_many { COUNT as usize } else { 0 };
        self.site.wait_count(count)?;
        Ok(())
    }

    fn stop(&mut self) {
        self.http = None;
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            process.wait(PROMPT);
        }
    }

    fn round(&mut self, guests: &mut Guests, tally: &mut Tally) -> Result<()> {
        if let Some(http) = &mut self.http {
            let site = &mut self.site;
            site.measure(
                tally,
                Some(Event::Applied),
                Expect::Announced(APPLIED),
                |_| {
                    let at = Tapwayd::apply(http, STEADY, APPLIED)?;
                    http.answer().map(|()| at)
                },
            )?;
            site.measure(
                tally,
                Some(Event::Removed),
                Expect::Withdrawn(APPLIED),
                |_| {
                    let at = http.ask("DELETE", &format!("/v1/instances/{STEADY}"), "")?;
                    http.answer().map(|()| at)
                },
            )?;
        }
        carrier_round(&mut self.site, guests, tally)
    }

    fn ways(&self) -> &'static [&'static str] {
        &["cold, 100 files of 100 addresses", "warm, from its state"]
    }

    fn come_up(&mut self, way: &str) -> Result<Instant> {
        if way.starts_with("cold") {
            self.fresh(true)?;
        }
        Ok(self.launch())
    }

    fn pids(&self) -> Vec<u32> {
        self.process.iter().map(Proc::pid).collect()
    }

    fn version(&self) -> String {
        first_line(&self.program.to_string_lossy(), "--version")
    }
}

/// The daemon: named by the environment, or beside this program.
pub(crate) fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("TAPWAYD_BIN") {
        return path.into();
    }
    let me = std::env::current_exe().unwrap_or_default();
    me.with_file_name("tapwayd")
}
