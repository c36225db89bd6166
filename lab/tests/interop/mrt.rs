//! MRT files: what a real BIRD sends, recorded and dumped, read by GoBGP and by a parser that is not ours.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use bgpkit_parser::models::ElemType;
use bgpkit_parser::{BgpElem, BgpkitParser};
use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::problem::{Problem, ProblemKind};
use tapway_lab::peers::{self, GoBgp, Neighbor, Router};
use tapway_lab::{Netns, Tapwayd, veth, wait_for};

use super::bmp::{self, BIRD, CLAIM, REFUSED, SENT};
use super::fabric::{HOST_AS, ROUTER_AS, SOON};

const HOST: &str = "198.51.100.1";

fn config(file: Option<&Path>) -> Value {
    let mut config = bmp::config(false);
    if let Some(file) = file {
        config["mrt"] = json!({"file": file, "rotate": "24h", "sent": true});
    }
    config
}

/// `A prefix AS` for an announced one, `W prefix` for a withdrawn one.
fn word(elem: &BgpElem) -> String {
    match elem.elem_type {
        ElemType::ANNOUNCE => {
            let path = elem.as_path.as_ref().map(ToString::to_string);
            format!("A {} {}", elem.prefix, path.unwrap_or_default())
        }
        ElemType::WITHDRAW => format!("W {}", elem.prefix),
    }
}

fn read(file: &Path) -> Vec<BgpElem> {
    let bytes = fs::read(file).unwrap_or_default();
    BgpkitParser::from_reader(&bytes[..]).into_iter().collect()
}

#[test]
fn files_say_what_peers_said() {
    let (host, tor) = (Netns::new("host"), Netns::new("tor"));
    veth(&host, "up0", &tor, "down0");
    tor.address("down0", "198.51.100.0/31");
    host.address("up0", "198.51.100.1/31");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let updates = folder.path().join("updates.mrt");
    let router = Router::new(ROUTER_AS, Ipv4Addr::new(192, 0, 2, 1))
        .neighbor(Neighbor::at("host", HOST, HOST_AS))
        .originate(SENT)
        .originate(REFUSED);
    let mut bird = peers::start("bird", &tor, router);
    let tapwayd = Tapwayd::start(&host, config(Some(&updates)));
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );
    let recorded = |what: &str, words: &[String]| {
        wait_for(SOON, format!("{what} is recorded"), || {
            let found: Vec<String> = read(&updates).iter().map(word).collect();
            match words.iter().all(|w| found.contains(w)) {
                true => Ok(()),
                false => Err(format!("{found:?}")),
            }
        });
    };
    let all = [
        format!("A {SENT} {ROUTER_AS}"),
        format!("A {REFUSED} {ROUTER_AS}"),
        format!("A {CLAIM} {HOST_AS}"),
    ];
    recorded("the beginning", &all);

    // The RIB, by both of its views.
    let dump = |name: &str, more: &[&str]| {
        let file = folder.path().join(name);
        let text = file.to_str().expect("a path").to_owned();
        let answer = tapwayd.tapway(&[&["mrt", "dump", &text][..], more].concat());
        assert_eq!(answer.code, 0, "{answer:?}");
        (file, answer.out)
    };
    let (file, said) = dump("rib.mrt", &[]);
    assert!(said.ends_with("rib.mrt: 2 routes\n"), "{said}");
    let rib = read(&file);
    let words: Vec<String> = rib.iter().map(word).collect();
    assert_eq!(
        words,
        [format!("A {SENT} {ROUTER_AS}"), format!("A {CLAIM} ")]
    );
    assert_eq!(rib[0].peer_ip.to_string(), BIRD);
    assert_eq!(rib[0].local_pref, Some(333));
    let (file, _) = dump("received.mrt", &["--received"]);
    let received = read(&file);
    let words: Vec<String> = received.iter().map(word).collect();
    assert_eq!(words, all[..2]);
    assert_ne!(received[0].local_pref, Some(333));

    // GoBGP reads it and has the routes.
    let empty = Router::new(65010, Ipv4Addr::new(192, 0, 2, 10));
    let reader = Netns::new("reader");
    let gobgp = GoBgp::start(&reader, empty);
    // GoBGP 3.10 loses what is in its last buffer, so the file is there many times over.
    let many = folder.path().join("many.mrt");
    let bytes = fs::read(&file).expect("the dump");
    fs::write(&many, bytes.repeat((256 << 10) / bytes.len())).expect("a file");
    let injected = gobgp.gobgp(&format!("mrt inject global {}", many.display()));
    wait_for(SOON, "GoBGP has what is in the file", || {
        let table = gobgp.gobgp("global rib")?;
        match table.contains(SENT) && table.contains(REFUSED) {
            true => Ok(()),
            false => Err(format!("{injected:?}\n{table}")),
        }
    });

    // What cannot be written is told, and leaves nothing behind.
    let answer = tapwayd.tapway(&["mrt", "dump", "/nowhere/rib.mrt"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.err.contains("cannot write /nowhere/rib.mrt"),
        "{answer:?}"
    );

    bird.withdraw(SENT.parse().expect("a prefix"));
    recorded("the withdraw", &[format!("W {SENT}")]);

    // A disk that takes nothing costs records, not routes; a reload mends it.
    tapwayd.configure(config(Some(Path::new("/dev/full"))));
    assert_eq!(tapwayd.tapway(&["config", "reload"]).code, 0);
    bird.announce(SENT.parse().expect("a prefix"));
    wait_for(SOON, "the full disk is a problem", || {
        let problems: List<Problem> = tapwayd.json(&["problem", "list"]);
        let found = problems
            .items
            .iter()
            .any(|p| p.kind == ProblemKind::Mrt && p.message.contains("No space left"));
        found.then_some(()).ok_or(format!("{problems:?}"))
    });
    let view = tapwayd.tapway(&["route", "list", "--received", "tor"]);
    assert!(view.out.contains(SENT), "{view:?}");
    tapwayd.configure(config(None));
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert!(answer.out.contains("mrt: gone"), "{answer:?}");
    let answer = tapwayd.tapway(&["problem", "list"]);
    assert!(!answer.out.contains("No space left"), "{answer:?}");
}
