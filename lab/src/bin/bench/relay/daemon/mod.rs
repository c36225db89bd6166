//! The daemons that are to pass routes on: how each is configured and started. All are asked for the same: eBGP,
//! they wait to be called, take everything, tell the receivers everything and the senders nothing, with
//! themselves as next hop.

mod bird;
mod frr;
mod gobgp;
mod openbgpd;
mod tapwayd;

use std::process::Command;

use tapway_lab::Proc;
use tapway_model::Family;

use super::course::Fault;
use super::null;
use super::place::Place;
use super::scenario::{Scenario, Size};

/// A daemon, or the null run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daemon {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Whether it decides and puts its AS and address into routes; the null run does not.
    pub(crate) decides: bool,
    /// What it calls its version.
    pub(crate) version: fn() -> String,
    /// Why a scenario is not for it.
    pub(crate) cannot: fn(Scenario) -> Option<&'static str>,
    /// Starts it. The sessions need not be possible yet.
    pub(crate) launch: fn(&Place, Plan) -> Result<Vec<Proc>, Fault>,
}

/// What a daemon is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// With whom, and with which family.
    pub(crate) size: Size,
    /// Whether routes go to the kernel.
    pub(crate) installs: bool,
}

/// All, in the order of the table.
pub(crate) const ALL: [Daemon; 6] = [
    NULL,
    tapwayd::TAPWAYD,
    bird::BIRD,
    frr::FRR,
    gobgp::GOBGP,
    openbgpd::OPENBGPD,
];

const NULL: Daemon = Daemon {
    name: "null",
    decides: false,
    version: || "counts and passes on, no more".into(),
    cannot: |scenario| match scenario {
        Scenario::TwoPaths => Some("keeps no paths"),
        Scenario::Kernel | Scenario::KernelTable => Some("writes no kernel routes"),
        _ => None,
    },
    launch: |place, plan| {
        let family = match plan.size.family {
            Family::Ipv4 => "4",
            Family::Ipv6 => "6",
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(null::WORD).arg(family);
        command.args(plan.size.all().into_iter().map(|p| p.name()));
        Ok(vec![place.spawn("null", &mut command)])
    },
};

/// For a daemon without a way into the kernel here.
fn no_kernel(scenario: Scenario) -> Option<&'static str> {
    scenario.installs().then_some("writes no kernel routes")
}
