//! What can be typed. The reference in `docs/reference/cli.md` is generated from this.

mod policy;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tapway_api::peer::ResetKind;
use tapway_model::{CollectorName, Family, NetworkName, PeerName, Prefix, SourceName};

pub(crate) use policy::{PolicyCommand, PolicyTestArgs};

/// Where the daemon listens unless told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/tapway/tapway.sock";

/// Asks and tells tapwayd, the routing daemon of this host.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tapway",
    version,
    after_help = "Exit codes: 0 done; 1 the answer is no, unhealthy, not found or refused; \
                  2 wrong usage or a wrong file; 3 the daemon cannot be reached."
)]
pub(crate) struct Args {
    /// The daemon's socket.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "TAPWAY_SOCKET",
        hide_env_values = true,
        default_value = DEFAULT_SOCKET
    )]
    pub(crate) socket: PathBuf,
    /// Tables for people, or the API's JSON.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// The API's own JSON, unchanged.
    Json,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// From now on.
    On,
    /// No longer.
    Off,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// The daemon at a glance; exit code 1 when something needs a person.
    Status,
    /// Instances: VMs, containers, services of this host.
    #[command(subcommand, visible_alias = "instances")]
    Instance(InstanceCommand),
    /// BGP peers in the fabric.
    #[command(subcommand, visible_alias = "peers")]
    Peer(PeerCommand),
    /// Policies: what of the routes passes, and how it is changed.
    #[command(subcommand, visible_alias = "policies")]
    Policy(PolicyCommand),
    /// BGP routes: received, sent, best.
    #[command(subcommand, visible_alias = "routes")]
    Route(RouteCommand),
    /// RPKI caches; with a prefix, who may announce it; exit code 1 when a cache fails, or the AS may not.
    Rpki {
        /// A prefix or an address.
        prefix: Option<Prefix>,
        /// Whether this AS may announce it.
        #[arg(value_parser = asn)]
        asn: Option<u32>,
    },
    /// Files in the format of MRT.
    #[command(subcommand)]
    Mrt(MrtCommand),
    /// Collectors that are told routes by the BGP Monitoring Protocol.
    #[command(subcommand)]
    Bmp(BmpCommand),
    /// Routes that this router originates, and what each peer got.
    #[command(subcommand, visible_alias = "announcements")]
    Announcement(AnnouncementCommand),
    /// Claims of different owners on equal or overlapping prefixes.
    #[command(subcommand, visible_alias = "conflicts")]
    Conflict(ListCommand),
    /// What an operator should mend: bad files, refused claims and kernel changes.
    #[command(subcommand, visible_alias = "problems")]
    Problem(ListCommand),
    /// Where instances come from.
    #[command(subcommand, visible_alias = "sources")]
    Source(SourceCommand),
    /// Kernel objects of ours: wanted, there, in the way.
    #[command(subcommand)]
    Kernel(ListCommand),
    /// Show what would change now, as commands; nothing is done.
    Plan,
    /// Follow a prefix from claim to kernel to BGP to peer; exit code 1 when a link is broken.
    Explain {
        /// A prefix or an address.
        prefix: Prefix,
        /// In this network; the first that claims it by default.
        #[arg(long, value_name = "NAME")]
        network: Option<NetworkName>,
    },
    /// Check the host; exit code 1 when a check fails.
    Doctor,
    /// Print what happens, until interrupted.
    Watch,
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make this host the last choice of the network before maintenance, or end that (RFC 8326).
    Drain {
        /// Kept across restarts of the daemon.
        state: Switch,
    },
    /// Withdraw everything, remove what is ours from the kernel, and end the daemon.
    Shutdown {
        /// Told to every peer; at most 255 bytes.
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which part of a long list is shown.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct PageArgs {
    /// Show at most this many, up to 10000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10000))]
    pub(crate) limit: Option<u32>,
    /// Skip this many first.
    #[arg(long, value_name = "N")]
    pub(crate) offset: Option<u64>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ListCommand {
    /// List them.
    List,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum MrtCommand {
    /// Have the daemon write the RIB to a file (TABLE_DUMP_V2): routes that count, as import made them.
    Dump {
        /// The file; it is replaced when the new one is whole.
        file: PathBuf,
        /// All routes that peers sent, as they came.
        #[arg(long)]
        received: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum BmpCommand {
    /// List collectors and how they fare; exit code 1 when one fails.
    List,
    /// Show one collector; exit code 1 when it fails.
    Show {
        /// The collector.
        name: CollectorName,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// List instances, their NICs and claims.
    List {
        /// Only of this source.
        #[arg(long, value_name = "NAME")]
        source: Option<SourceName>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show the instances of one name, with everything their sources said.
    Show {
        /// The instance.
        name: String,
    },
    /// Apply instances from TOML or JSON: new ones are added, known ones replaced.
    Apply {
        /// A file (one instance, or an array of them), a directory of such files, or - for standard input.
        #[arg(
            short,
            long = "file",
            required = true,
            num_args = 1..,
            value_name = "FILE"
        )]
        files: Vec<PathBuf>,
    },
    /// Remove instances that were applied through the API.
    Remove {
        /// The instances.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// List peers and their sessions.
    List,
    /// Show one peer, its session and its configuration.
    Show {
        /// The peer.
        name: PeerName,
    },
    /// Apply peers from TOML or JSON.
    Apply {
        /// The peer, when the file holds only its keys; without it the file holds [peer.NAME] tables.
        name: Option<PeerName>,
        /// A file, or - for standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove a peer that was applied through the API.
    Remove {
        /// The peer.
        name: PeerName,
    },
    /// Exchange all routes with a peer again, or with all of a range.
    Reset {
        /// The peer, or the range.
        name: PeerName,
        /// End the session and make it again, instead of asking for the routes.
        #[arg(long, group = "way")]
        hard: bool,
        /// Only ask the peer to send its routes again.
        #[arg(long = "in", group = "way")]
        inbound: bool,
        /// Only send all routes to the peer again.
        #[arg(long = "out", group = "way")]
        outbound: bool,
        /// Told to the peer when the session ends; at most 255 bytes.
        #[arg(short, long, value_name = "TEXT", requires = "hard")]
        message: Option<String>,
    },
    /// End the session of a peer and stay down, also after a restart.
    Disable {
        /// The peer.
        name: PeerName,
        /// Told to the peer; at most 255 bytes.
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// Undo a disable.
    Enable {
        /// The peer.
        name: PeerName,
    },
}

impl PeerCommand {
    /// What the options of a reset mean to the API; clap lets no two of them through.
    pub(crate) const fn reset_kind(hard: bool, inbound: bool, outbound: bool) -> ResetKind {
        match (hard, inbound, outbound) {
            (true, _, _) => ResetKind::Hard,
            (_, true, _) => ResetKind::SoftIn,
            (_, _, true) => ResetKind::SoftOut,
            (false, false, false) => ResetKind::Soft,
        }
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// List the best routes, or those received from or sent to a peer.
    List {
        /// What this peer sent, before the import policy.
        #[arg(long, value_name = "PEER", group = "which")]
        received: Option<PeerName>,
        /// What this peer was sent, after the export policy.
        #[arg(long, value_name = "PEER", group = "which")]
        advertised: Option<PeerName>,
        /// The best route of every prefix; the default.
        #[arg(long, group = "which")]
        best: bool,
        /// Only this prefix.
        #[arg(long)]
        prefix: Option<Prefix>,
        /// Only this family.
        #[arg(long, value_parser = family)]
        family: Option<Family>,
        #[command(flatten)]
        page: PageArgs,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AnnouncementCommand {
    /// List announcements.
    List {
        /// Only this prefix.
        #[arg(long)]
        prefix: Option<Prefix>,
        /// Only of this network.
        #[arg(long, value_name = "NAME")]
        network: Option<NetworkName>,
        #[command(flatten)]
        page: PageArgs,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// List sources and how they fare.
    List,
    /// Have a source listed again now.
    Refresh {
        /// The source.
        name: SourceName,
    },
    /// Drop what a stale source said: withdraw and unwire it.
    Forget {
        /// The source.
        name: SourceName,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration without loading it; exit code 1 when it cannot be used.
    Check {
        /// The file, or - for standard input; the daemon's own by default.
        file: Option<PathBuf>,
    },
    /// Have the daemon read its configuration file again; a wrong one changes nothing.
    Reload,
    /// Show the configuration in effect, and what comes from where.
    Show,
}

/// `64512` or `AS64512`.
fn asn(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("AS").unwrap_or(text);
    digits
        .parse()
        .map_err(|_| "write an AS number like 64512".to_owned())
}

fn family(text: &str) -> Result<Family, String> {
    match text {
        "ipv4" | "4" | "ipv4-unicast" => Ok(Family::Ipv4),
        "ipv6" | "6" | "ipv6-unicast" => Ok(Family::Ipv6),
        _ => Err("write ipv4 or ipv6".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_code_2() {
        for line in [
            "tapway",
            "tapway frobnicate",
            "tapway explain",
            "tapway explain 10.0.0.1/24",
            "tapway instance apply",
            "tapway instance remove",
            "tapway peer reset tor1 --message x",
            "tapway route list --received a --best",
            "tapway route list --family ipx",
            "tapway rpki 10.0.0.0/8 64512x",
            "tapway policy test p 10.0.0.0/8 --rpki good",
            "tapway instance list --limit 10001",
            "tapway policy test p",
            "tapway policy test p 10.0.0.0/8 --med 5",
            "tapway policy test p 10.0.0.0/8 --received tor1 --kind anycast",
            "tapway -o yaml status",
        ] {
            let error = Args::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        for line in [
            "tapway status -o json --socket /tmp/x",
            "tapway instance apply -f a.toml b.toml",
            "tapway peers reset tor1 --hard -m bye",
            "tapway route list --family ipv6",
            "tapway rpki",
            "tapway bmp list",
            "tapway mrt dump rib.mrt --received",
            "tapway bmp show noc",
            "tapway rpki 10.0.0.0/8 AS64512",
            "tapway policy test p 10.0.0.0/8 --rpki not-found",
            "tapway policy test p 10.0.0.0/8 ::/0 --received tor1 --community 1:2 --community 3:4",
            "tapway policy test p 10.0.0.0/8 --kind anycast --tag a --tag b -f p.toml --rules",
        ] {
            Args::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }
}
