//! What is measured: tapwayd, the daemons beside it, and nothing at all.

mod bird;
mod frr;
mod gobgp;
mod null;
mod tapwayd;

use std::time::Instant;

use anyhow::Result;

pub(crate) use bird::Bird;
pub(crate) use frr::Frr;
pub(crate) use gobgp::GoBgp;
pub(crate) use null::Null;
pub(crate) use tapwayd::{Tapwayd, program as tapwayd_program};

use crate::site::{Guests, Site};
use crate::tally::Tally;

/// A daemon in its place.
pub(crate) trait Subject {
    /// Its place.
    fn site(&mut self) -> &mut Site;

    /// Starts it, with none or with all of the many claims or routes, and waits until it announces
    /// them.
    fn start(&mut self, many: bool) -> Result<()>;

    /// Ends it.
    fn stop(&mut self);

    /// One event of each kind that it knows.
    fn round(&mut self, guests: &mut Guests, tally: &mut Tally) -> Result<()>;

    /// The ways in which it can come up with the many.
    fn ways(&self) -> &'static [&'static str];

    /// Comes up in one of [`Subject::ways`], not running before; says when its process began.
    /// Whoever calls waits for the announcements.
    fn come_up(&mut self, way: &str) -> Result<Instant>;

    /// Its processes.
    fn pids(&self) -> Vec<u32>;

    /// What it calls its version.
    fn version(&self) -> String;
}

/// The first line that a program prints, of what it says about its version.
pub(crate) fn first_line(program: &str, argument: &str) -> String {
    let output = std::process::Command::new(program).arg(argument).output();
    let Ok(output) = output else {
        return "unknown".into();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().next().unwrap_or_default().trim().to_string()
}
