//! BIRD 2: a kernel protocol that learns, and no scan while it is measured.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use tapway_lab::Proc;

use super::{Subject, first_line};
use crate::meter;
use crate::site::{COUNT, Guests, Site, many, route_round};
use crate::tally::Tally;

/// BIRD.
pub(crate) struct Bird {
    process: Option<Proc>,
    site: Site,
}

impl Bird {
    /// Not running yet.
    pub(crate) fn new(site: Site) -> Bird {
        Bird {
            process: None,
            site,
        }
    }

    fn launch(&mut self, own_routes: bool) -> Result<Instant> {
        let (own, remote) = (self.site.own, self.site.remote);
        let mut text = format!(
            "log stderr {{ warning, error, fatal, bug }};\nrouter id {own};\n\
             protocol device {{ scan time 3600; }}\n\
             protocol kernel {{ learn; scan time 3600; ipv4 {{ import all; export none; }}; }}\n\
             protocol bgp meter {{\n  local {own} as 64612;\n  neighbor {remote} as {};\n  direct;\n  \
             hold time 240; keepalive time 80; connect delay time 1; connect retry time 1; error wait time 1, 2;\n  \
             ipv4 {{ import none; export where source ~ [ RTS_INHERIT, RTS_STATIC ]; next hop self; }};\n}}\n",
            meter::ASN
        );
        if own_routes {
            text.push_str("protocol static {\n  ipv4;\n");
            for (address, link) in many() {
                let _ = writeln!(text, "  route {address}/32 via \"{link}\";");
            }
            text.push_str("}\n");
        }
        fs::write(self.site.path("bird.conf"), text)?;
        let mut command = Command::new("bird");
        command.arg("-f").arg("-c").arg(self.site.path("bird.conf"));
        command.arg("-s").arg(self.site.path("bird.ctl"));
        let (process, at) = self.site.spawn("bird", &mut command);
        self.process = Some(process);
        Ok(at)
    }
}

impl Subject for Bird {
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
        if let Some(mut process) = self.process.take() {
            process.stop(Duration::from_secs(20));
        }
    }

    fn round(&mut self, guests: &mut Guests, tally: &mut Tally) -> Result<()> {
        route_round(&mut self.site, guests, tally)
    }

    fn ways(&self) -> &'static [&'static str] {
        &["10,000 static routes"]
    }

    fn come_up(&mut self, _: &str) -> Result<Instant> {
        self.site.empty_many();
        self.launch(true)
    }

    fn pids(&self) -> Vec<u32> {
        self.process.iter().map(Proc::pid).collect()
    }

    fn version(&self) -> String {
        first_line("bird", "--version")
    }
}
