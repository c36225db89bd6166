//! GoBGP. It makes itself the next hop of what it passes on without being told to.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tapway_lab::Proc;
use tapway_model::Family;

use super::{Daemon, Plan, no_kernel};
use crate::relay::course::Fault;
use crate::relay::place::{self, OWN, Place};
use crate::relay::scenario::ASN;
use crate::subject::first_line;

pub(super) const GOBGP: Daemon = Daemon {
    name: "GoBGP",
    decides: true,
    version: || first_line("gobgpd", "--version"),
    cannot: no_kernel,
    launch,
};

fn launch(place: &Place, plan: Plan) -> Result<Vec<Proc>, Fault> {
    let own = place::own(plan.size.family);
    let family = match plan.size.family {
        Family::Ipv4 => "ipv4-unicast",
        Family::Ipv6 => "ipv6-unicast",
    };
    let senders: Vec<String> = plan
        .size
        .senders()
        .iter()
        .map(|p| format!("\"{}\"", p.address()))
        .collect();
    let mut text = format!(
        "[global.config]\nas = {ASN}\nrouter-id = \"{OWN}\"\nport = 179\nlocal-address-list = [\"{own}\"]\n\
         [global.apply-policy.config]\nexport-policy-list = [\"quiet\"]\n\
         default-import-policy = \"accept-route\"\ndefault-export-policy = \"accept-route\"\n\
         [[defined-sets.neighbor-sets]]\nneighbor-set-name = \"senders\"\nneighbor-info-list = [{}]\n\
         [[policy-definitions]]\nname = \"quiet\"\n[[policy-definitions.statements]]\nname = \"senders\"\n\
         [policy-definitions.statements.conditions.match-neighbor-set]\nneighbor-set = \"senders\"\n\
         [policy-definitions.statements.actions]\nroute-disposition = \"reject-route\"\n",
        senders.join(", ")
    );
    for peer in plan.size.all() {
        let _ = write!(
            text,
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {}\n\
             [neighbors.transport.config]\npassive-mode = true\n\
             [neighbors.timers.config]\nidle-hold-time-after-reset = 1\nhold-time = 3600\nkeepalive-interval = 1200\n\
             [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n",
            peer.address(),
            peer.asn()
        );
    }
    let (config, socket) = (place.path("gobgp.toml"), place.path("api.sock"));
    fs::write(&config, text)?;
    let mut command = Command::new("gobgpd");
    command.arg("-f").arg(config);
    command
        .arg("--api-hosts")
        .arg(format!("unix://{}", socket.display()));
    command.args(["--pprof-disable", "--log-plain", "--log-level", "warn"]);
    Ok(vec![place.spawn("gobgpd", &mut command)])
}
