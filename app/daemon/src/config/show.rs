//! The configuration as JSON: every default written out, every secret hidden.

use crate::mrt::MrtConfig;
use serde_json::{Map, Value, json};
use tapway_bgp::config::{PeerConfig, Policy};
use tapway_bmp::CollectorConfig;
use tapway_model::Network;
use tapway_node::Listen;
use tapway_rpki::CacheConfig;

use super::decision;
use super::spec::{
    CacheSpec, CollectorSpec, GracefulRestartSpec, MrtSpec, NetworkSpec, PeerSpec, PolicySpec,
};
use super::value::{Switch, duration_text};
use super::{Config, RouterConfig};

/// A spec holds texts, numbers and lists only: it always has a JSON form.
fn value(spec: &impl serde::Serialize) -> Value {
    serde_json::to_value(spec).unwrap_or(Value::Null)
}

/// `[peer.NAME]` with every default.
pub fn peer_value(peer: &PeerConfig) -> Value {
    value(&PeerSpec::from(peer))
}

/// `[network.NAME]` with every default.
pub fn network_value(network: &Network) -> Value {
    value(&NetworkSpec::from(network))
}

/// `[policy.NAME]`.
pub fn policy_value(policy: &Policy) -> Value {
    value(&PolicySpec::from(policy))
}

/// `[rpki.NAME]` with every default.
pub fn cache_value(cache: &CacheConfig) -> Value {
    value(&CacheSpec::from(cache))
}

/// `[bmp.NAME]` with every default.
pub fn collector_value(collector: &CollectorConfig) -> Value {
    value(&CollectorSpec::from(collector))
}

/// `[mrt]` with every default.
pub fn mrt_value(mrt: &MrtConfig) -> Value {
    value(&MrtSpec::from(mrt))
}

impl RouterConfig {
    /// `[router]` with every default. The router id is absent when it is not written.
    pub fn value(&self) -> Value {
        let graceful: Switch<GracefulRestartSpec> =
            super::spec::graceful_restart_spec(self.graceful_restart);
        let (decision, maximum_paths) = decision::written(&self.decision);
        let mut shown = json!({
            "asn": self.asn,
            "decision": value(&decision),
            "maximum_paths": value(&maximum_paths),
            "listen": match &self.listen {
                Listen::Auto => json!("auto"),
                Listen::Never => json!([]),
                Listen::On(list) => json!(list),
            },
            "graceful_restart": value(&graceful),
            "protocol": self.protocol,
            "withdraw_without_carrier": self.withdraw_without_carrier,
            "next_hop_via_default": self.next_hop_via_default,
        });
        if let Some(id) = self.router_id {
            shown["router_id"] = json!(id);
        }
        if let Some(id) = self.cluster_id {
            shown["cluster_id"] = json!(id);
        }
        shown
    }
}

impl Config {
    /// The whole, in the shape of the file.
    pub fn redacted(&self) -> Value {
        let mut router = self.router.value();
        router["state_dir"] = json!(self.state_dir);
        let peers: Map<_, _> = self
            .peers
            .values()
            .map(|p| (p.name.to_string(), peer_value(p)))
            .collect();
        let networks: Map<_, _> = self
            .networks
            .iter()
            .map(|n| (n.name.to_string(), network_value(n)))
            .collect();
        let policies: Map<_, _> = self
            .policies
            .iter()
            .map(|p| (p.name.to_string(), policy_value(p)))
            .collect();
        let caches: Map<_, _> = self
            .caches
            .values()
            .map(|c| (c.name.to_string(), cache_value(c)))
            .collect();
        let collectors: Map<_, _> = self
            .collectors
            .values()
            .map(|c| (c.name.to_string(), collector_value(c)))
            .collect();
        let mut all = json!({
            "router": router,
            "peer": peers,
            "network": networks,
            "policy": policies,
            "rpki": caches,
            "bmp": collectors,
            "source": self.sources_value(),
            "api": self.api_value(),
        });
        if let Some(mrt) = &self.mrt {
            all["mrt"] = mrt_value(mrt);
        }
        all
    }

    /// `[source.*]`.
    pub fn sources_value(&self) -> Value {
        let mut sources = json!({ "api": { "grace": duration_text(self.api_grace) } });
        if let Some(files) = &self.source_files {
            sources["files"] = json!({ "path": files.path, "grace": duration_text(files.grace) });
        }
        sources
    }

    /// `[api]`.
    pub fn api_value(&self) -> Value {
        let mut api = json!({ "socket": self.api.socket });
        if let Some(http) = self.api.http {
            api["http"] = json!(http);
        }
        api
    }
}
