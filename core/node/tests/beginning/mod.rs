//! The configuration that the nodes of all tests here begin with.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tapway_bgp::config::{DECISION, PeerConfig, SpeakerConfig};
use tapway_model::SourceName;
use tapway_node::{Listen, NodeConfig};

/// AS 65001, one source with a grace of a second, and these peers.
pub(crate) fn config(peers: impl IntoIterator<Item = PeerConfig>) -> NodeConfig {
    NodeConfig {
        speaker: SpeakerConfig {
            asn: 65001,
            router_id: Ipv4Addr::new(192, 0, 2, 1),
            graceful_restart: None,
            decision: DECISION,
            cluster_id: None,
        },
        protocol: 112,
        listen: Listen::Auto,
        networks: vec![],
        peers: peers.into_iter().map(|p| (p.name.clone(), p)).collect(),
        policies: vec![],
        sources: BTreeMap::from([(SourceName::new("api").unwrap(), Duration::from_secs(1))]),
        withdraw_without_carrier: true,
        next_hop_via_default: false,
        seeds: 1.into(),
    }
}
