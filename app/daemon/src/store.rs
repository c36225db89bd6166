//! TEMPORARY in memory.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tapway_api::ApiError;
use tapway_api::problem::Problem as ApiProblem;
use tapway_document::Problem;
use tapway_model::{Instance, InstanceName, PeerName, PolicyName};
use tapway_node::{Record, Restored};

use crate::settings::Settings;

/// What was kept.
#[derive(Default)]
pub struct Kept {
    pub policies: BTreeMap<PolicyName, Value>,
    pub peers: BTreeMap<PeerName, Value>,
    pub problems: Vec<Problem>,
    pub router_id: Option<Ipv4Addr>,
    pub warm: bool,
}
impl Kept {
    pub fn remembered(&self, _s: &Settings) -> BTreeMap<InstanceName, Arc<Instance>> {
        BTreeMap::new()
    }
    pub fn restored(&self) -> Restored {
        Restored::default()
    }
}
pub enum Write {
    Peer(PeerName, Option<Value>),
    Policy(PolicyName, Option<Value>),
}
pub struct Store;
impl Store {
    pub fn open(_dir: &Path, _wake: impl Fn() + Send + 'static) -> anyhow::Result<(Store, Kept)> {
        Ok((Store, Kept::default()))
    }
    pub fn record(&mut self, _r: Record) {}
    pub fn write(&mut self, _w: Write) {}
    pub fn when_kept(&mut self, f: impl FnOnce(Result<(), ApiError>) + Send + 'static) {
        f(Ok(()))
    }
    pub fn poll(&mut self) {}
    pub fn problem(&self) -> Option<ApiProblem> {
        None
    }
    pub fn remember_router_id(&mut self, _id: Ipv4Addr) {}
    pub fn gone(&mut self) {}
    pub fn close(&mut self) {}
}
