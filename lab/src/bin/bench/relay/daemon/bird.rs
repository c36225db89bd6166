//! BIRD 2.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tapway_lab::Proc;
use tapway_model::Family;

use super::{Daemon, Plan};
use crate::relay::course::Fault;
use crate::relay::place::{self, OWN, Place};
use crate::relay::scenario::ASN;
use crate::subject::first_line;

pub(super) const BIRD: Daemon = Daemon {
    name: "BIRD",
    decides: true,
    version: || first_line("bird", "--version"),
    cannot: |_| None,
    launch,
};

fn launch(place: &Place, plan: Plan) -> Result<Vec<Proc>, Fault> {
    let own = place::own(plan.size.family);
    let channel = match plan.size.family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    let mut text = format!(
        "log stderr {{ warning, error, fatal, bug }};\nrouter id {OWN};\n\
         protocol device {{ scan time 3600; }}\n"
    );
    if plan.installs {
        let _ = writeln!(
            text,
            "protocol kernel {{ scan time 3600; {channel} {{ import none; export all; }}; }}"
        );
    }
    for peer in plan.size.all() {
        let (import, export) = if peer.sends {
            ("all", "none")
        } else {
            ("none", "all")
        };
        let _ = writeln!(
            text,
            "protocol bgp {} {{\n  local {own} as {ASN};\n  neighbor {} as {};\n  direct; passive;\n  \
             hold time 3600; keepalive time 1200; error wait time 1, 2;\n  \
             {channel} {{ import {import}; export {export}; next hop self; }};\n}}",
            peer.name(),
            peer.address(),
            peer.asn()
        );
    }
    fs::write(place.path("bird.conf"), text)?;
    let mut command = Command::new("bird");
    command.arg("-f").arg("-c").arg(place.path("bird.conf"));
    command.arg("-s").arg(place.path("bird.ctl"));
    Ok(vec![place.spawn("bird", &mut command)])
}
