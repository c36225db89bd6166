//! StayRTR, a cache that many networks run, in both versions of the protocol.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use tapway_api::rpki::{CacheState, RpkiAnswer, RpkiState};
use tapway_lab::{Netns, Proc, Tapwayd};

use super::fabric::HOST_AS;
use super::rpki::cache;

/// Writes what StayRTR tells: prefix, maximum length, AS.
fn write(file: &Path, vrps: &[(&str, u8, u32)]) {
    let roa = |(prefix, max_len, asn): &(&str, u8, u32)| json!({"prefix": prefix, "maxLength": max_len, "asn": asn, "ta": "test"});
    let roas: Vec<Value> = vrps.iter().map(roa).collect();
    let text = json!({"metadata": {"buildtime": "2025-01-01T00:00:00Z"}, "roas": roas});
    fs::write(file, text.to_string()).expect("a file");
}

fn scenario(version: u8) {
    let host = Netns::new("host");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("vrps.json");
    let first = ("198.19.0.0/16", 24, 64500);
    let second = ("2001:db8::/32", 48, 64501);
    write(&file, &[first, second]);
    let mut command = host.command("stayrtr");
    command
        .args(["-bind", "127.0.0.1:8323", "-checktime=false"])
        .args(["-metrics.addr", "", "-cache"])
        .arg(&file)
        .args(["-protocol", &version.to_string(), "-rtr.refresh", "1800"]);
    let mut stayrtr = Proc::spawn("stayrtr", &mut command, &folder.path().join("log"));
    let tapwayd = Tapwayd::start(
        &host,
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "rpki": {"stayrtr": {"server": "localhost:8323"}},
        }),
    );
    let synced = cache(&tapwayd, "synced", |c| c.state == CacheState::Synced);
    assert_eq!(synced.version, Some(version), "{synced:?}");
    assert_eq!((synced.ipv4, synced.ipv6), (1, 1));
    // Version 0 tells no intervals.
    assert_eq!(synced.refresh_s, if version == 0 { 3600 } else { 1800 });
    let state = |prefix: &str, asn: &str| {
        let answer: RpkiAnswer = tapwayd.json(&["rpki", prefix, asn]);
        answer.state
    };
    assert_eq!(state("198.19.7.0/24", "64500"), Some(RpkiState::Valid));
    assert_eq!(state("198.19.7.0/25", "64500"), Some(RpkiState::Invalid));
    assert_eq!(state("2001:db8:7::/48", "64501"), Some(RpkiState::Valid));
    assert_eq!(state("2001:db9::/32", "64501"), Some(RpkiState::NotFound));

    // News: one comes, one goes.
    write(&file, &[first, ("198.18.0.0/16", 16, 0)]);
    stayrtr.signal(Signal::HUP);
    let serial = synced.serial;
    let news = cache(&tapwayd, "news", |c| c.serial != serial);
    assert_eq!((news.ipv4, news.ipv6), (2, 0), "{news:?}");
    assert_eq!(news.session, synced.session);
    assert_eq!(state("198.18.0.0/16", "64500"), Some(RpkiState::Invalid));

    stayrtr.kill();
    let lost = cache(&tapwayd, "lost", |c| c.error.is_some());
    assert_eq!((lost.ipv4, lost.ipv6), (2, 0), "{lost:?}");
}

#[test]
fn version_1() {
    scenario(1);
}

#[test]
fn version_0() {
    scenario(0);
}
