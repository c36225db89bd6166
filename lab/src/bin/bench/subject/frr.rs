//! FRR: zebra tells bgpd of kernel routes, which bgpd redistributes.
//!
//! The daemons give up root for the user `frr`, who has to own their folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tapway_lab::{Proc, try_wait_for};

use super::{Subject, first_line};
use crate::meter;
use crate::site::{COUNT, Guests, Site, many, route_round};
use crate::tally::Tally;

/// Where Debian puts the daemons.
const DAEMONS: &str = "/usr/lib/frr";

/// FRR.
pub(crate) struct Frr {
    // bgpd, then zebra.
    processes: Vec<Proc>,
    site: Site,
}

impl Frr {
    /// Not running yet.
    pub(crate) fn new(site: Site) -> Frr {
        Frr {
            processes: Vec::new(),
            site,
        }
    }

    /// Starts zebra, and bgpd once zebra listens; says when bgpd began.
    fn launch(&mut self, own_routes: bool) -> Result<Instant> {
        let (own, remote) = (self.site.own, self.site.remote);
        let mut text = format!(
            "router bgp 64612\n bgp router-id {own}\n no bgp ebgp-requires-policy\n\
             \x20no bgp default ipv4-unicast\n no bgp network import-check\n\
             \x20neighbor {remote} remote-as {}\n neighbor {remote} timers 80 240\n neighbor {remote} timers connect 1\n\
             \x20address-family ipv4 unicast\n  redistribute kernel\n  neighbor {remote} activate\n",
            meter::ASN
        );
        for (address, _) in many().filter(|_| own_routes) {
            let _ = writeln!(text, "  network {address}/32");
        }
        text.push_str(" exit-address-family\nexit\n");
        let zserv = self.site.path("zserv.api");
        let _ = fs::remove_file(&zserv);
        let (zebra, _) = self.daemon("zebra", "", &[])?;
        self.processes.push(zebra);
        try_wait_for(Duration::from_secs(20), "zebra listens", || {
            if zserv.exists() {
                Ok(())
            } else {
                Err("no socket")
            }
        })?;
        let (bgpd, at) = self.daemon("bgpd", &text, &["-p", "179"])?;
        self.processes.insert(0, bgpd);
        Ok(at)
    }

    fn daemon(&self, name: &str, config: &str, more: &[&str]) -> Result<(Proc, Instant)> {
        let file = self.site.path(&format!("{name}.conf"));
        fs::write(&file, config)?;
        let dir = self.site.dir.path();
        let owned = Command::new("chown")
            .arg("frr:frr")
            .args([dir, &file])
            .status()?;
        if !owned.success() {
            bail!("{} cannot be given to the user frr", dir.display());
        }
        let mut command = Command::new(Path::new(DAEMONS).join(name));
        command.arg("-f").arg(&file);
        command
            .arg("-i")
            .arg(self.site.path(&format!("{name}.pid")));
        command.arg("-z").arg(self.site.path("zserv.api"));
        command.arg("--vty_socket").arg(dir);
        command.args(["-P", "0", "--log", "stdout", "--log-level", "warnings"]);
        command.args(more);
        Ok(self.site.spawn(name, &mut command))
    }
}

impl Subject for Frr {
    fn site(&mut self) -> &mut Site {
        &mut self.site
    }

    fn start(&mut self, with_many: bool) -> Result<()> {
        self.site.empty_many();
        if with_many {
            self.site.route_many();
        }
        self.launch(false)?;
        self.site.wait_up()?;
        let count = if with_many { COUNT as usize } else { 0 };
        self.site.wait_count(count)?;
        Ok(())
    }

    fn stop(&mut self) {
        for mut process in std::mem::take(&mut self.processes) {
            process.stop(Duration::from_secs(20));
        }
    }

    fn round(&mut self, guests: &mut Guests, tally: &mut Tally) -> Result<()> {
        route_round(&mut self.site, guests, tally)
    }

    fn ways(&self) -> &'static [&'static str] {
        &["10,000 network lines (bgpd alone)"]
    }

    fn come_up(&mut self, _: &str) -> Result<Instant> {
        self.site.empty_many();
        self.launch(true)
    }

    fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Proc::pid).collect()
    }

    fn version(&self) -> String {
        first_line("/usr/lib/frr/bgpd", "--version")
    }
}
