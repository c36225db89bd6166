//! The command line of `tapwayd`.

use std::path::PathBuf;

use clap::Parser;

/// Routes and BGP announcements for the guests of this host.
#[derive(Debug, Parser)]
#[command(name = "tapwayd", version, about)]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/tapway/tapway.toml")]
    pub config: PathBuf,
    /// Read the configuration and every instance file, say what is wrong, and end.
    #[arg(long)]
    pub check: bool,
    /// Where state is kept across restarts; the configuration's, or /var/lib/tapway.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The API's Unix socket; the configuration's, or /run/tapway/tapway.sock.
    #[arg(long, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// Run before other programs (SCHED_RR, priority 1), so that a busy host does not hold up a withdrawal; needs
    /// CAP_SYS_NICE, or LimitRTPRIO=1 in the unit.
    #[arg(long)]
    pub realtime: bool,
    /// How much to log: error, warn, info, debug, trace, or directives like `tapway=debug`.
    #[arg(long, value_name = "LEVEL", env = "TAPWAY_LOG", default_value = "info")]
    pub log: String,
    /// Check the kernel against what is wanted every so many seconds, besides its notifications; 0: never.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub scan_interval: u64,
}
