//! FRR: bgpd, and zebra, which it asks about next hops. Only where routes go to the kernel does bgpd hand
//! them to zebra.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::anyhow;
use tapway_lab::{Proc, try_wait_for};
use tapway_model::Family;

use super::{Daemon, Plan};
use crate::relay::course::Fault;
use crate::relay::place::{OWN, Place};
use crate::relay::scenario::ASN;
use crate::subject::first_line;

pub(super) const FRR: Daemon = Daemon {
    name: "FRR",
    decides: true,
    version: || first_line("/usr/lib/frr/bgpd", "--version"),
    cannot: |_| None,
    launch,
};

/// Where Debian puts the daemons.
const DAEMONS: &str = "/usr/lib/frr";

fn launch(place: &Place, plan: Plan) -> Result<Vec<Proc>, Fault> {
    let family = match plan.size.family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    let mut text = format!(
        "router bgp {ASN}\n bgp router-id {OWN}\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n"
    );
    let mut activate = String::new();
    for peer in plan.size.all() {
        let address = peer.address();
        let _ = writeln!(text, " neighbor {address} remote-as {}", peer.asn());
        for line in ["passive", "timers 1200 3600", "advertisement-interval 0"] {
            let _ = writeln!(text, " neighbor {address} {line}");
        }
        let nothing = if peer.sends { "out" } else { "in" };
        for line in [
            "activate",
            "next-hop-self",
            &format!("route-map NOTHING {nothing}"),
        ] {
            let _ = writeln!(activate, "  neighbor {address} {line}");
        }
    }
    let _ = write!(
        text,
        " address-family {family} unicast\n{activate} exit-address-family\nexit\nroute-map NOTHING deny 10\nexit\n"
    );
    let zserv = place.path("zserv.api");
    let zebra = daemon(place, "zebra", "", &[])?;
    try_wait_for(Duration::from_secs(20), "zebra listens", || {
        zserv.exists().then_some(()).ok_or("no socket")
    })?;
    let more: &[&str] = if plan.installs { &[] } else { &["--no_kernel"] };
    let bgpd = daemon(place, "bgpd", &text, more)?;
    Ok(vec![bgpd, zebra])
}

fn daemon(place: &Place, name: &str, config: &str, more: &[&str]) -> Result<Proc, Fault> {
    let file = place.path(&format!("{name}.conf"));
    fs::write(&file, config)?;
    let dir = place.dir.path();
    // The daemons give up root for the user frr.
    let owned = Command::new("chown")
        .arg("frr:frr")
        .args([dir, &file])
        .status()?;
    if !owned.success() {
        return Err(anyhow!("{} cannot be given to the user frr", dir.display()).into());
    }
    let mut command = Command::new(Path::new(DAEMONS).join(name));
    command.arg("-f").arg(&file);
    command.arg("-i").arg(place.path(&format!("{name}.pid")));
    command.arg("-z").arg(place.path("zserv.api"));
    command.arg("--vty_socket").arg(dir);
    command.args(["-P", "0", "--log", "stdout", "--log-level", "warnings"]);
    command.args(more);
    Ok(place.spawn(name, &mut command))
}
