//! Where one run takes place: a namespace for the daemon, one for the tester, a veth between them.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use tapway_lab::{Netns, Proc, veth};
use tapway_model::Family;
use tempfile::TempDir;

use super::scenario::Size;
use crate::footprint::{self, Spent};

/// The daemon's address and BGP identifier.
pub(crate) const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1);

/// A daemon that used no more than this much of a processor within [`LOOK`] rests.
const AT_REST: Duration = Duration::from_millis(4);
const LOOK: Duration = Duration::from_millis(200);
/// After this time it is taken as it is.
const REST_LIMIT: Duration = Duration::from_secs(60);

/// The daemon's address on the session.
pub(crate) fn own(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => OWN.into(),
        Family::Ipv6 => OWN6.into(),
    }
}

/// One run's namespaces and files. What runs there ends with it.
pub(crate) struct Place {
    /// The daemon's.
    pub(crate) ns: Netns,
    /// The tester's.
    pub(crate) tester: Netns,
    /// The daemon's folder.
    pub(crate) dir: TempDir,
}

impl Place {
    /// Makes it, with an address for every peer.
    pub(crate) fn new(size: Size) -> Result<Place> {
        let (ns, tester) = (Netns::new("daemon"), Netns::new("tester"));
        veth(&tester, "down0", &ns, "up0");
        ns.address("up0", &format!("{OWN}/16"));
        ns.address("up0", &format!("{OWN6}/64"));
        let len = match size.family {
            Family::Ipv4 => 16,
            Family::Ipv6 => 64,
        };
        for peer in size.all() {
            tester.address("down0", &format!("{}/{len}", peer.address()));
        }
        let dir = tempfile::tempdir()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Place { ns, tester, dir })
    }

    /// A path in the daemon's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a program in the daemon's namespace, with nothing in between.
    pub(crate) fn spawn(&self, name: &str, command: &mut Command) -> Proc {
        let log = self.path(&format!("{name}.log"));
        self.ns.run_in(|| Proc::spawn(name, command, &log))
    }

    /// What the daemon's processes have used so far.
    pub(crate) fn spent(&self) -> io::Result<Spent> {
        footprint::spent(&self.ns.pids())
    }

    /// Their memory, in MiB.
    pub(crate) fn memory(&self) -> io::Result<f64> {
        Ok(footprint::memory(&self.ns.pids())? as f64 / 1024.0)
    }

    /// Waits until the daemon does next to nothing.
    pub(crate) fn rest(&self) -> io::Result<()> {
        let end = Instant::now() + REST_LIMIT;
        let mut quiet = 0;
        let mut before = self.spent()?.precise;
        while quiet < 2 && Instant::now() < end {
            std::thread::sleep(LOOK);
            let now = self.spent()?.precise;
            quiet = if now.saturating_sub(before) < AT_REST {
                quiet + 1
            } else {
                0
            };
            before = now;
        }
        Ok(())
    }
}
