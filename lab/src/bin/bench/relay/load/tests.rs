use std::collections::{HashMap, HashSet};

use tapway_bgp_wire::{DecodeContext, Frame, MAX_LEN, Message};

use super::*;

/// All UPDATEs of a sender: what is announced with which attributes, and what is withdrawn.
fn decode(bytes: &[u8]) -> (HashMap<Prefix, Attributes>, HashSet<Prefix>) {
    let (mut announced, mut withdrawn) = (HashMap::new(), HashSet::new());
    let mut rest = bytes;
    while let Some((len, frame)) = Frame::next(rest, MAX_LEN).unwrap() {
        let Message::Update(update) = frame.decode(&DecodeContext::default()).unwrap() else {
            panic!("not an UPDATE");
        };
        assert_eq!(update.faults(), []);
        let attributes = update.attributes().decode();
        for reach in update.reach() {
            for entry in reach.nlri.iter() {
                let before = announced.insert(entry.prefix, attributes.clone());
                assert_eq!(before, None, "{}", entry.prefix);
            }
        }
        for run in update.unreach() {
            withdrawn.extend(run.iter().map(|e| e.prefix));
        }
        rest = &rest[len..];
    }
    assert_eq!(rest, [0; 0]);
    (announced, withdrawn)
}

fn small(scenario: Scenario) -> (Size, Load) {
    let size = Size {
        prefixes: 20_000,
        ..scenario.size(true)
    };
    (size, Load::new(scenario, size).unwrap())
}

#[test]
fn every_load_is_valid_and_says_each_prefix_once() {
    for scenario in Scenario::ALL {
        let (size, load) = small(scenario);
        let all: HashSet<Prefix> = load.prefixes.iter().copied().collect();
        assert_eq!(all.len(), size.prefixes, "{scenario:?}");
        assert_eq!(load.prefixes.len(), size.prefixes, "{scenario:?}");
        assert_eq!(load.said.len(), usize::from(size.senders), "{scenario:?}");
        let mut told = 0;
        for (peer, said) in size.senders().into_iter().zip(&load.said) {
            let (announced, nothing) = decode(&said.announce);
            let (none, withdrawn) = decode(&said.withdraw);
            assert!(nothing.is_empty() && none.is_empty());
            assert_eq!(announced.keys().copied().collect::<HashSet<_>>(), withdrawn);
            assert!(withdrawn.is_subset(&all));
            for attributes in announced.values() {
                assert_eq!(attributes.as_path.first(), Some(peer.asn()));
            }
            told += withdrawn.len();
        }
        let times = if scenario == Scenario::TwoPaths { 2 } else { 1 };
        assert_eq!(told, times * size.prefixes, "{scenario:?}");
    }
}

#[test]
fn senders_of_a_mesh_have_equal_parts() {
    let (size, load) = small(Scenario::Mesh);
    for said in &load.said {
        let count = decode(&said.withdraw).1.len();
        let part = size.prefixes / usize::from(size.senders);
        assert!(count.abs_diff(part) < part / 4, "{count} of {part}");
    }
}

#[test]
fn the_second_path_is_longer_for_every_prefix() {
    let (_, load) = small(Scenario::TwoPaths);
    let [first, second] = [0, 1].map(|n: usize| decode(&load.said[n].announce).0);
    for (prefix, attributes) in &first {
        assert_eq!(
            attributes.as_path.length() + 1,
            second[prefix].as_path.length()
        );
    }
}

#[test]
fn a_table_is_like_the_internets() {
    for (family, most) in [(Family::Ipv4, 24), (Family::Ipv6, 48)] {
        let count = 50_000;
        let blocks = table(family, count, &mut Dice::new(1));
        let different: HashSet<String> = blocks
            .iter()
            .map(|b| format!("{:?}", b.attributes))
            .collect();
        assert_eq!(different.len(), blocks.len());
        // Ten prefixes to a block: a million has some 100,000.
        assert!(
            (count / 12..count / 8).contains(&blocks.len()),
            "{}",
            blocks.len()
        );
        let mut lengths: HashMap<u8, usize> = HashMap::new();
        for prefix in blocks.iter().flat_map(|b| &b.prefixes) {
            *lengths.entry(prefix.len()).or_default() += 1;
            assert!(usable(*prefix), "{prefix}");
        }
        assert!(lengths[&most] > count / 2, "{lengths:?}");
        assert!(lengths.len() >= 9, "{lengths:?}");
        for block in &blocks {
            assert!((1..=5).contains(&block.attributes.as_path.length()));
        }
    }
}

#[test]
fn host_routes_share_few_blocks() {
    let blocks = hosts(1001, &mut Dice::new(1));
    assert_eq!(blocks.len(), HOST_BLOCKS);
    let all: HashSet<Prefix> = blocks.iter().flat_map(|b| b.prefixes.clone()).collect();
    assert_eq!(all.len(), 1001);
    assert!(all.iter().all(Prefix::is_host));
}

#[test]
fn lengths_add_up() {
    for lengths in [LENGTHS4, LENGTHS6] {
        assert_eq!(lengths.iter().map(|(share, _)| share).sum::<u64>(), 1000);
    }
}
