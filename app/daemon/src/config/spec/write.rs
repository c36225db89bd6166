//! Checked values back to specs: every default spelled out, every secret hidden.

use std::net::IpAddr;

use tapway_bgp::config::{GracefulRestart, Install, PeerAddress, PeerAsn, PeerConfig, Reach};
use tapway_model::{Domain, Network};

use super::peer::{add_paths_spec, local_asn_spec, remove_private_word};
use super::{
    GracefulRestartSpec, HIDDEN, InstallSpec, NetworkSpec, NextHopSpec, Password, PeerSpec,
};
use crate::config::value::{NumberOrWord, Switch, Texts, duration_text};

pub(super) fn texts<T: ToString>(list: &[T]) -> Texts {
    Texts(list.iter().map(T::to_string).collect())
}

impl From<&PeerConfig> for PeerSpec {
    fn from(peer: &PeerConfig) -> PeerSpec {
        let (address, interface) = match &peer.address {
            PeerAddress::Ip {
                addr,
                interface: None,
            } => (Some(addr.to_string()), None),
            PeerAddress::Ip {
                addr,
                interface: Some(name),
            } => (Some(format!("{addr}%{name}")), None),
            PeerAddress::Interface(name) => (None, Some(name.to_string())),
            PeerAddress::Range(_) => (None, None),
        };
        let range = match &peer.address {
            PeerAddress::Range(range) => Some(range),
            PeerAddress::Ip { .. } | PeerAddress::Interface(_) => None,
        };
        PeerSpec {
            address,
            interface,
            range: range.map(|range| texts(&range.prefixes).0),
            range_limit: range.map(|range| range.limit.into()),
            asn: Some(match peer.asn {
                PeerAsn::Number(asn) => NumberOrWord::Number(asn.into()),
                PeerAsn::Internal => NumberOrWord::Word("internal".into()),
                PeerAsn::External => NumberOrWord::Word("external".into()),
            }),
            port: Some(peer.port.into()),
            local_address: peer.local_address.map(|a| a.to_string()),
            families: Some(texts(&peer.families).0),
            password: peer.password.as_ref().map(|_| Password(HIDDEN.into())),
            password_file: None,
            hold_time: Some(duration_text(peer.hold_time)),
            keepalive: peer.keepalive.map(duration_text),
            connect_retry: Some(duration_text(peer.connect_retry)),
            passive: Some(peer.passive),
            ttl_security: Some(peer.reach == Reach::TtlSecurity),
            multihop: match peer.reach {
                Reach::Multihop(hops) => Some(hops.into()),
                Reach::Direct | Reach::TtlSecurity => None,
            },
            add_paths: add_paths_spec(peer.add_paths),
            next_hop: Some((&peer.next_hop).into()),
            client: Some(peer.client),
            local_asn: peer.as_path.local.map(local_asn_spec),
            allow_own_as: Some(peer.as_path.allow_own.into()).filter(|times| *times > 0),
            enforce_first_as: Some(!peer.as_path.any_first),
            as_override: Some(peer.as_path.override_peer),
            remove_private_as: peer.as_path.remove_private.map(remove_private_word),
            role: peer.role.map(|ours| ours.role.to_string()),
            role_strict: peer.role.map(|ours| ours.strict),
            import: Some(peer.import.to_string()),
            export: Some(peer.export.to_string()),
            install: Some(match &peer.install {
                None => Switch::Flag(false),
                Some(install) => Switch::Table(install.into()),
            }),
            prefix_limit: Some(peer.prefix_limit.into()),
            graceful_restart: Some(graceful_restart_spec(peer.graceful_restart)),
            disabled: Some(peer.disabled),
            ..PeerSpec::default()
        }
    }
}

/// `graceful_restart = …`.
pub(crate) fn graceful_restart_spec(
    graceful: Option<GracefulRestart>,
) -> Switch<GracefulRestartSpec> {
    match graceful {
        None => Switch::Flag(false),
        Some(graceful) => Switch::Table(GracefulRestartSpec {
            time: Some(duration_text(graceful.time)),
            notification: Some(graceful.notification),
            long_lived: graceful.long_lived.map(duration_text),
        }),
    }
}

pub(super) fn table(domain: Domain) -> NumberOrWord {
    match domain {
        Domain::MAIN => NumberOrWord::Word("main".into()),
        Domain(table) => NumberOrWord::Number(table.into()),
    }
}

impl From<&Install> for InstallSpec {
    fn from(install: &Install) -> InstallSpec {
        InstallSpec {
            table: Some(table(Domain(install.table))),
            metric: install.metric.map(i64::from),
            prefsrc: install.prefsrc.map(|a| a.to_string()),
        }
    }
}

impl From<&Network> for NetworkSpec {
    fn from(network: &Network) -> NetworkSpec {
        let next_hop = NextHopSpec {
            ipv4: network.next_hop_v4.map(|a| a.to_string()),
            ipv6: network.next_hop_v6.map(|a| a.to_string()),
        };
        NetworkSpec {
            gateway: Some(texts::<IpAddr>(&network.gateway).0),
            allow: texts(&network.allow).0,
            bridge: network.bridge.as_ref().map(|b| b.to_string()),
            peers: network.peers.as_ref().map(|p| texts(p).0),
            table: Some(table(network.domain)),
            next_hop: Some(next_hop).filter(|n| *n != NextHopSpec::default()),
            ..NetworkSpec::default()
        }
    }
}
