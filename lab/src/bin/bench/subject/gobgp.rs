//! GoBGP: paths through its API on one open connection. It sees no link and no kernel route.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use tapway_lab::{Proc, try_wait_for};

use super::{Subject, first_line};
use crate::grpc::Grpc;
use crate::meter;
use crate::site::{APPLIED, COUNT, Expect, Guests, Site, many};
use crate::tally::{Event, Tally};

/// GoBGP.
pub(crate) struct GoBgp {
    process: Option<Proc>,
    api: Option<Grpc>,
    site: Site,
}

impl GoBgp {
    /// Not running yet.
    pub(crate) fn new(site: Site) -> GoBgp {
        GoBgp {
            process: None,
            api: None,
            site,
        }
    }

    /// Starts it and gives it the many paths if wanted; says when its process began.
    fn launch(&mut self, with_many: bool) -> Result<Instant> {
        let (own, remote) = (self.site.own, self.site.remote);
        let text = format!(
            "[global.config]\nas = 64612\nrouter-id = \"{own}\"\nport = -1\n\
             [[neighbors]]\n[neighbors.config]\nneighbor-address = \"{remote}\"\npeer-as = {}\n\
             [neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\nhold-time = 240\nkeepalive-interval = 80\n\
             [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"ipv4-unicast\"\n",
            meter::ASN
        );
        let (config, socket) = (self.site.path("gobgp.toml"), self.site.path("api.sock"));
        fs::write(&config, text)?;
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("gobgpd");
        command.arg("-f").arg(config);
        command
            .arg("--api-hosts")
            .arg(format!("unix://{}", socket.display()));
        command.args(["--pprof-disable", "--log-plain", "--log-level", "warn"]);
        let (process, at) = self.site.spawn("gobgpd", &mut command);
        self.process = Some(process);
        // The API answers calls before the router is configured, and refuses them.
        let api = try_wait_for(Duration::from_secs(20), "GoBGP's API works", || {
            let mut api = Grpc::connect(&socket)?;
            api.path(true, APPLIED, own)?;
            api.path(false, APPLIED, own)?;
            std::io::Result::Ok(api)
        })?;
        let api = self.api.insert(api);
        if with_many {
            api.add_many(many().map(|(address, _)| address), own)?;
        }
        Ok(at)
    }
}

impl Subject for GoBgp {
    fn site(&mut self) -> &mut Site {
        &mut self.site
    }

    fn start(&mut self, with_many: bool) -> Result<()> {
        self.launch(with_many)?;
        self.site.wait_up()?;
        let count = if with_many { COUNT as usize } else { 0 };
        self.site.wait_count(count)?;
        Ok(())
    }

    fn stop(&mut self) {
        self.api = None;
        if let Some(mut process) = self.process.take() {
            process.stop(Duration::from_secs(20));
        }
    }

    fn round(&mut self, _: &mut Guests, tally: &mut Tally) -> Result<()> {
        let Some(api) = &mut self.api else {
            return Ok(());
        };
        let own = self.site.own;
        let site = &mut self.site;
        site.measure(
            tally,
            Some(Event::Applied),
            Expect::Announced(APPLIED),
            |_| api.path(true, APPLIED, own),
        )?;
        site.measure(
            tally,
            Some(Event::Removed),
            Expect::Withdrawn(APPLIED),
            |_| api.path(false, APPLIED, own),
        )
    }

    fn ways(&self) -> &'static [&'static str] {
        &["10,000 paths in one API call"]
    }

    fn come_up(&mut self, _: &str) -> Result<Instant> {
        self.launch(true)
    }

    fn pids(&self) -> Vec<u32> {
        self.process.iter().map(Proc::pid).collect()
    }

    fn version(&self) -> String {
        first_line("gobgpd", "--version")
    }
}
