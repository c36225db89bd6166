//! `tapway policy …`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Subcommand;
use tapway_api::policy::{PolicyBody, PolicyTest};
use tapway_api::rpki::RpkiState;
use tapway_model::{ClaimKind, InstanceName, NetworkName, PeerName, PolicyName, Prefix, Tag};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List policies, built-in ones too.
    List,
    /// Show one policy.
    Show {
        /// The policy.
        name: String,
    },
    /// Apply policies from TOML or JSON.
    Apply {
        /// The policy, when the file holds only its keys; without it the file holds [policy.NAME] tables.
        name: Option<String>,
        /// A file, or - for standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove a policy that was applied through the API.
    Remove {
        /// The policy.
        name: String,
    },
    /// Ask what a policy would do with routes; exit code 1 when it rejects one. Nothing is changed.
    ///
    /// With prefixes alone: the claims and received routes that are there. The options describe a route.
    Test(Box<PolicyTestArgs>),
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PolicyTestArgs {
    /// The policy.
    pub(crate) policy: PolicyName,
    /// Prefixes or addresses.
    #[arg(required = true, value_name = "PREFIX")]
    pub(crate) prefixes: Vec<Prefix>,
    /// Take the policies of this file, or - for standard input, in the place of those in force.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Show every rule that was looked at.
    #[arg(long)]
    pub(crate) rules: bool,
    /// Only the session with this peer; beside --received: exported to this peer.
    #[arg(long, value_name = "PEER")]
    pub(crate) peer: Option<PeerName>,
    /// A route as this peer sends it; what is not said is as in the route that it did send.
    #[arg(long, value_name = "PEER")]
    pub(crate) received: Option<PeerName>,
    /// AS path of the received route, nearest first: "65000 64512 {1 2}".
    #[arg(long, value_name = "PATH", requires = "received")]
    pub(crate) as_path: Option<String>,
    /// Standard community of the received route; may be repeated.
    #[arg(long = "community", value_name = "A:B", requires = "received")]
    pub(crate) communities: Option<Vec<String>>,
    /// Large community of the received route; may be repeated.
    #[arg(long = "large-community", value_name = "A:B:C", requires = "received")]
    pub(crate) large_communities: Option<Vec<String>>,
    /// Extended community of the received route, like rt:64612:100; may be repeated.
    #[arg(
        long = "extended-community",
        value_name = "TEXT",
        requires = "received"
    )]
    pub(crate) extended_communities: Option<Vec<String>>,
    /// MULTI_EXIT_DISC of the received route.
    #[arg(long, value_name = "NUMBER", requires = "received")]
    pub(crate) med: Option<u32>,
    /// LOCAL_PREF of the received route.
    #[arg(long, value_name = "NUMBER", requires = "received")]
    pub(crate) local_pref: Option<u32>,
    /// Origin of the received route: igp, egp or incomplete.
    #[arg(long, value_name = "ORIGIN", requires = "received")]
    pub(crate) origin: Option<String>,
    /// Next hop of the received route, or of the claim.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) next_hop: Option<IpAddr>,
    /// The RPKI state, instead of what the caches say: valid, invalid or not-found.
    #[arg(long, value_name = "STATE", value_parser = rpki)]
    pub(crate) rpki: Option<RpkiState>,
    /// A claim of this kind: address, route, anycast, transparent or guest-bgp.
    #[arg(long, value_name = "KIND", conflicts_with = "received", value_parser = kind)]
    pub(crate) kind: Option<ClaimKind>,
    /// A claim of this instance.
    #[arg(long, value_name = "NAME", conflicts_with = "received")]
    pub(crate) instance: Option<InstanceName>,
    /// A claim with this tag; may be repeated.
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "received")]
    pub(crate) tags: Vec<Tag>,
    /// A claim in this network.
    #[arg(long, value_name = "NAME", conflicts_with = "received")]
    pub(crate) network: Option<NetworkName>,
}

impl PolicyTestArgs {
    /// What is asked, with these policies in the place of those in force.
    pub(crate) fn question(self, policies: BTreeMap<PolicyName, PolicyBody>) -> PolicyTest {
        PolicyTest {
            prefixes: self.prefixes,
            peer: self.peer,
            received: self.received,
            as_path: self.as_path,
            communities: self.communities,
            large_communities: self.large_communities,
            extended_communities: self.extended_communities,
            med: self.med,
            local_pref: self.local_pref,
            origin: self.origin,
            next_hop: self.next_hop,
            rpki: self.rpki,
            kind: self.kind,
            instance: self.instance,
            tags: self.tags,
            network: self.network,
            policies,
        }
    }
}

fn rpki(text: &str) -> Result<RpkiState, String> {
    serde_json::from_value(text.into()).map_err(|_| "write valid, invalid or not-found".to_owned())
}

fn kind(text: &str) -> Result<ClaimKind, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "write address, route, anycast, transparent or guest-bgp".to_owned())
}
