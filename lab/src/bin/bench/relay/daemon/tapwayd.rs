//! tapwayd: a policy passes on what peers sent. A version that does not do that refuses the configuration, and says
//! so in the report.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tapway_lab::Proc;
use tapway_model::Family;

use super::{Daemon, Plan};
use crate::relay::course::Fault;
use crate::relay::place::{OWN, Place};
use crate::relay::scenario::ASN;
use crate::subject::{first_line, tapwayd_program};

pub(super) const TAPWAYD: Daemon = Daemon {
    name: "tapwayd",
    decides: true,
    version: || first_line(&tapwayd_program().to_string_lossy(), "--version"),
    cannot: |_| None,
    launch,
};

fn launch(place: &Place, plan: Plan) -> Result<Vec<Proc>, Fault> {
    let folder = place.path("instances.d");
    fs::create_dir(&folder)?;
    let family = match plan.size.family {
        Family::Ipv4 => "ipv4-unicast",
        Family::Ipv6 => "ipv6-unicast",
    };
    let mut text = format!(
        "[router]\nasn = {ASN}\nrouter_id = \"{OWN}\"\n[source.files]\npath = \"{}\"\n",
        folder.display()
    );
    for peer in plan.size.all() {
        let (import, export) = if peer.sends {
            ("all", "none")
        } else {
            ("none", "pass-on")
        };
        let _ = write!(
            text,
            "[peer.{}]\naddress = \"{}\"\nasn = {}\npassive = true\nfamilies = [\"{family}\"]\n\
             hold_time = \"3600s\"\nkeepalive = \"1200s\"\nimport = \"{import}\"\nexport = \"{export}\"\n\
             install = {}\nprefix_limit = 4294967295\n",
            peer.name(),
            peer.address(),
            peer.asn(),
            plan.installs
        );
    }
    if plan.size.receivers > 0 {
        text.push_str(
            "[policy.pass-on]\n\
             rules = [{ match = { from = \"peer\" }, set = { next_hop = \"self\" }, action = \"accept\" }]\n",
        );
    }
    let config = place.path("tapway.toml");
    fs::write(&config, text)?;
    let checked = Command::new(tapwayd_program())
        .arg("--config")
        .arg(&config)
        .arg("--check")
        .output()?;
    if !checked.status.success() {
        return Err(Fault::Cannot(refusal(&checked.stderr)));
    }
    let mut command = Command::new(tapwayd_program());
    command.arg("--config").arg(&config);
    command.arg("--state-dir").arg(place.path("state"));
    command.arg("--socket").arg(place.path("tapway.sock"));
    command.args(["--log", "warn"]);
    Ok(vec![place.spawn("tapwayd", &mut command)])
}

/// The first mistake, without the place in a file that nobody will see again.
fn refusal(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().find(|l| l.contains("tapway.toml:"));
    let line = line.or_else(|| text.lines().next()).unwrap_or_default();
    let mistake = line.rsplit_once("tapway.toml:").map_or(line, |(_, m)| m);
    let mistake = mistake.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == ' ');
    format!("refuses the configuration: {mistake}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_without_its_place() {
        let text = b"error: /tmp/x/tapway.toml:9:10: peer.r1.export: sends nothing on\n1 mistake\n";
        assert_eq!(
            refusal(text),
            "refuses the configuration: peer.r1.export: sends nothing on"
        );
        assert_eq!(refusal(b"broken\n"), "refuses the configuration: broken");
    }
}
