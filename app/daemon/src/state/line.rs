//! Records as JSON, and the key under which each is kept. Pure.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapway_intent::{OrderKey, OrderRecord};
use tapway_model::spec::InstanceSpec;
use tapway_model::{
    Domain, IfName, InstanceName, NetworkName, Owner, PeerName, PolicyName, Prefix, SourceName,
};

use super::record::{OldSysctl, Record};

/// A record as it is in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Line<'r> {
    Put {
        source: Cow<'r, SourceName>,
        instance: InstanceSpec,
    },
    Gone {
        source: Cow<'r, SourceName>,
        name: Cow<'r, InstanceName>,
    },
    Order {
        key: Key<'r>,
        number: u64,
    },
    OrderGone {
        key: Key<'r>,
    },
    Peer {
        name: Cow<'r, PeerName>,
        value: Option<Cow<'r, Value>>,
    },
    Disabled {
        name: Cow<'r, PeerName>,
        disabled: bool,
    },
    Policy {
        name: Cow<'r, PolicyName>,
        value: Option<Cow<'r, Value>>,
    },
    Sysctl {
        path: Cow<'r, str>,
        old: Option<Old<'r>>,
    },
    RouterId {
        id: Ipv4Addr,
    },
    Counter {
        name: Cow<'r, str>,
        value: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Key<'r> {
    Claim {
        table: u32,
        owner: Who<'r>,
        prefix: Prefix,
    },
    Instance {
        source: Cow<'r, SourceName>,
        name: Cow<'r, InstanceName>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Who<'r> {
    Nic(Cow<'r, IfName>),
    Network(Cow<'r, NetworkName>),
    Host,
}

#[derive(Debug, Serialize, Deserialize)]
struct Old<'r> {
    value: Cow<'r, str>,
    boot: Cow<'r, str>,
}

fn key_line(key: &OrderKey) -> Key<'_> {
    match key {
        OrderKey::Claim {
            domain,
            owner,
            prefix,
        } => Key::Claim {
            table: domain.0,
            owner: match owner {
                Owner::Nic(name) => Who::Nic(Cow::Borrowed(name)),
                Owner::Network(name) => Who::Network(Cow::Borrowed(name)),
                Owner::Host => Who::Host,
            },
            prefix: *prefix,
        },
        OrderKey::Instance { source, instance } => Key::Instance {
            source: Cow::Borrowed(source),
            name: Cow::Borrowed(instance),
        },
    }
}

fn key_back(key: Key<'_>) -> OrderKey {
    match key {
        Key::Claim {
            table,
            owner,
            prefix,
        } => OrderKey::Claim {
            domain: Domain(table),
            owner: match owner {
                Who::Nic(name) => Owner::Nic(name.into_owned()),
                Who::Network(name) => Owner::Network(name.into_owned()),
                Who::Host => Owner::Host,
            },
            prefix,
        },
        Key::Instance { source, name } => OrderKey::Instance {
            source: source.into_owned(),
            instance: name.into_owned(),
        },
    }
}

/// The JSON of a record, without a newline.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, String> {
    use tapway_intent::Record as Intent;
    let line = match record {
        Record::Intent(Intent::Put(source, instance)) => Line::Put {
            source: Cow::Borrowed(source),
            instance: InstanceSpec::from(&**instance),
        },
        Record::Intent(Intent::Gone(source, name)) => Line::Gone {
            source: Cow::Borrowed(source),
            name: Cow::Borrowed(name),
        },
        Record::Intent(Intent::Order(order)) => Line::Order {
            key: key_line(&order.key),
            number: order.number,
        },
        Record::Intent(Intent::OrderGone(key)) => Line::OrderGone { key: key_line(key) },
        Record::Peer(name, value) => Line::Peer {
            name: Cow::Borrowed(name),
            value: value.as_ref().map(Cow::Borrowed),
        },
        Record::Disabled(name, disabled) => Line::Disabled {
            name: Cow::Borrowed(name),
            disabled: *disabled,
        },
        Record::Policy(name, value) => Line::Policy {
            name: Cow::Borrowed(name),
            value: value.as_ref().map(Cow::Borrowed),
        },
        Record::Sysctl(path, old) => Line::Sysctl {
            path: Cow::Borrowed(path),
            old: old.as_ref().map(|old| Old {
                value: Cow::Borrowed(&old.value),
                boot: Cow::Borrowed(&old.boot_id),
            }),
        },
        Record::RouterId(id) => Line::RouterId { id: *id },
        Record::Counter(name, value) => Line::Counter {
            name: Cow::Borrowed(name),
            value: *value,
        },
    };
    serde_json::to_vec(&line).map_err(|e| e.to_string())
}

/// The record in a JSON text, or why it cannot be understood.
pub(super) fn decode(payload: &[u8]) -> Result<Record, String> {
    use tapway_intent::Record as Intent;
    let line: Line<'_> = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
    Ok(match line {
        Line::Put { source, instance } => {
            let instance = instance.parse().map_err(|e| e.to_string())?;
            Record::Intent(Intent::Put(source.into_owned(), Arc::new(instance)))
        }
        Line::Gone { source, name } => {
            Record::Intent(Intent::Gone(source.into_owned(), name.into_owned()))
        }
        Line::Order { key, number } => Record::Intent(Intent::Order(OrderRecord {
            key: key_back(key),
            number,
        })),
        Line::OrderGone { key } => Record::Intent(Intent::OrderGone(key_back(key))),
        Line::Peer { name, value } => Record::Peer(name.into_owned(), value.map(Cow::into_owned)),
        Line::Disabled { name, disabled } => Record::Disabled(name.into_owned(), disabled),
        Line::Policy { name, value } => {
            Record::Policy(name.into_owned(), value.map(Cow::into_owned))
        }
        Line::Sysctl { path, old } => Record::Sysctl(
            path.into_owned(),
            old.map(|old| OldSysctl {
                value: old.value.into_owned(),
                boot_id: old.boot.into_owned(),
            }),
        ),
        Line::RouterId { id } => Record::RouterId(id),
        Line::Counter { name, value } => Record::Counter(name.into_owned(), value),
    })
}

/// Whether a record with this key may hold a password.
pub(super) fn may_be_secret(key: &str) -> bool {
    key.starts_with("peer/")
}

/// The key of a record and whether it says that something is gone. No name has a `/` in it, so keys
/// of different kinds differ.
pub(super) fn slot(record: &Record) -> (Box<str>, bool) {
    use tapway_intent::Record as Intent;
    let mut key = String::with_capacity(32);
    // Writing to a String does not fail.
    let gone = match record {
        Record::Intent(Intent::Put(source, instance)) => {
            let _ = write!(key, "i/{source}/{}", instance.name);
            false
        }
        Record::Intent(Intent::Gone(source, name)) => {
            let _ = write!(key, "i/{source}/{name}");
            true
        }
        Record::Intent(Intent::Order(order)) => {
            order_slot(&mut key, &order.key);
            false
        }
        Record::Intent(Intent::OrderGone(order)) => {
            order_slot(&mut key, order);
            true
        }
        Record::Peer(name, value) => {
            let _ = write!(key, "peer/{name}");
            value.is_none()
        }
        Record::Disabled(name, disabled) => {
            let _ = write!(key, "disabled/{name}");
            !disabled
        }
        Record::Policy(name, value) => {
            let _ = write!(key, "policy/{name}");
            value.is_none()
        }
        Record::Sysctl(path, old) => {
            let _ = write!(key, "sysctl/{path}");
            old.is_none()
        }
        Record::RouterId(_) => {
            key.push_str("router-id");
            false
        }
        Record::Counter(name, _) => {
            let _ = write!(key, "counter/{name}");
            false
        }
    };
    (key.into_boxed_str(), gone)
}

fn order_slot(key: &mut String, order: &OrderKey) {
    let _ = match order {
        OrderKey::Claim {
            domain,
            owner,
            prefix,
        } => {
            write!(key, "o/{}/{owner}/{prefix}", domain.0)
        }
        OrderKey::Instance { source, instance } => write!(key, "n/{source}/{instance}"),
    };
}
