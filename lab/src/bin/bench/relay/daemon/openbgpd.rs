//! OpenBGPD, the portable one, which on Linux writes no kernel routes.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tapway_lab::Proc;

use super::{Daemon, Plan, no_kernel};
use crate::relay::course::Fault;
use crate::relay::place::{self, OWN, Place};
use crate::relay::scenario::ASN;
use crate::subject::first_line;

pub(super) const OPENBGPD: Daemon = Daemon {
    name: "OpenBGPD",
    decides: true,
    version: || first_line(PROGRAM, "-V"),
    cannot: no_kernel,
    launch,
};

const PROGRAM: &str = "/usr/sbin/bgpd";

/// Where its processes lock themselves in. Its unit makes it at every start.
const CHROOT: &str = "/run/openbgpd";

fn launch(place: &Place, plan: Plan) -> Result<Vec<Proc>, Fault> {
    let own = place::own(plan.size.family);
    let mut text = format!(
        "AS {ASN}\nrouter-id {OWN}\nlisten on {own}\nfib-update no\nholdtime 3600\nsocket \"{}\"\n",
        place.path("bgpd.sock").display()
    );
    let mut rules = String::from("match to any set nexthop self\n");
    for peer in plan.size.all() {
        let address = peer.address();
        let _ = writeln!(
            text,
            "neighbor {address} {{\n  remote-as {}\n  passive\n}}",
            peer.asn()
        );
        let which = if peer.sends { "from" } else { "to" };
        let _ = writeln!(rules, "allow {which} {address}");
    }
    text.push_str(&rules);
    let config = place.path("bgpd.conf");
    fs::write(&config, text)?;
    fs::set_permissions(&config, Permissions::from_mode(0o600))?;
    fs::create_dir_all(CHROOT)?;
    let mut command = Command::new(PROGRAM);
    command.arg("-d").arg("-f").arg(&config);
    Ok(vec![place.spawn("openbgpd", &mut command)])
}
