use alloc::string::{String, ToString};

use proptest::prelude::*;
use regex_automata::Input;
use tapway_bgp_wire::{AsPath, AsSegment};

use super::*;

fn path(text: &str) -> AsPath {
    text.parse().unwrap()
}

#[test]
fn rows() {
    for (regex, fitting, others) in [
        ("^$", &[""][..], &["65000"][..]),
        ("", &["", "65000"], &[]),
        (".*", &["", "65000"], &[]),
        (
            "_65000_",
            &[
                "65000",
                "65000 1",
                "1 65000",
                "1 65000 2",
                "{65000 1}",
                "1 {2 65000}",
            ],
            &["", "165000", "650001", "65001"],
        ),
        ("65000", &["165000", "650001 2"], &["6500 1"]),
        ("^65000_", &["65000", "65000 1"], &["1 65000", "650001"]),
        ("_64512$", &["64512", "1 64512"], &["64512 1", "164512"]),
        ("^65000 64512$", &["65000 64512"], &["65000 64512 1"]),
        (
            "_65000_64512_",
            &["65000 64512", "1 65000 64512 2"],
            &["65000 1 64512"],
        ),
        ("^[0-9]+$", &["1", "4294967295"], &["", "1 2", "{1}"]),
        (
            "^65000( 65000)*$",
            &["65000", "65000 65000 65000"],
            &["65000 1", "1 65000"],
        ),
        ("^(1|2)_3", &["1 3", "2 3 4"], &["3", "1 2 3"]),
        (r"\{", &["1 {2 3}"], &["1 2 3"]),
        (r"_\{?2_3\}?$", &["1 2 3", "{2 3}"], &["2 {3}"]),
        (r"\b6[45]\d{3}\b", &["1 64512", "65000"], &["1 165000 6500"]),
        ("^1_+2$", &["1 2"], &["1 3 2"]),
    ] {
        let compiled = PathRegex::new(regex).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(compiled.written(), regex);
        for (paths, fits) in [(fitting, true), (others, false)] {
            for text in paths {
                let path = path(text);
                assert_eq!(compiled.fits((&path).into()), fits, "{regex} on {text:?}");
            }
        }
    }
}

#[test]
fn segments_of_a_confederation() {
    let segment = |kind, asns: [u32; 2]| AsSegment {
        kind,
        asns: asns.into(),
    };
    let path = AsPath {
        segments: [
            segment(SegmentKind::ConfedSequence, [1, 2]),
            segment(SegmentKind::ConfedSet, [3, 4]),
            segment(SegmentKind::Sequence, [5, 6]),
        ]
        .into(),
    };
    assert_eq!(path.to_string(), "(1 2) [3 4] 5 6");
    for (regex, fits) in [
        (r"^\(1 2\) \[3 4\] 5 6$", true),
        ("_2_ _3_", true),
        ("_4_ 5", true),
        ("_4_5", false),
    ] {
        assert_eq!(
            PathRegex::new(regex).unwrap().fits((&path).into()),
            fits,
            "{regex}"
        );
    }
}

#[test]
fn mistakes() {
    for (regex, reason) in [
        ("(65000", "unclosed group"),
        ("[0-9", "unclosed character class"),
        ("65000{", "unclosed counted repetition"),
        ("*", "repetition operator missing expression"),
        (r"\", "incomplete escape"),
        ("ä", "there is no 'ä' in an AS path"),
        ("[_ ]", "_ cannot stand in [ ]"),
        ("(?:[0-9]{1,300}_){1,300}", "too large"),
    ] {
        let error = PathRegex::new(regex).unwrap_err();
        assert!(
            error.contains(reason) && error.contains("write one like") && !error.contains('\n'),
            "{regex}: {error}"
        );
    }
}

#[test]
fn equal_when_written_alike() {
    let regex = |text| PathRegex::new(text).unwrap();
    assert_eq!(regex("_1_"), regex("_1_"));
    assert_ne!(regex("_1_"), regex("_2_"));
    assert_eq!(alloc::format!("{:?}", regex("_1_")), "\"_1_\"");
}

fn any_path() -> impl Strategy<Value = AsPath> {
    let kinds = [
        SegmentKind::Sequence,
        SegmentKind::Sequence,
        SegmentKind::Set,
        SegmentKind::ConfedSequence,
        SegmentKind::ConfedSet,
    ];
    let asn = prop_oneof![1u32..4, 11u32..14, Just(u32::MAX)];
    let segment =
        (0..kinds.len(), proptest::collection::vec(asn, 1..4)).prop_map(move |(kind, asns)| {
            AsSegment {
                kind: kinds[kind],
                asns,
            }
        });
    proptest::collection::vec(segment, 0..4).prop_map(|segments| AsPath { segments })
}

fn any_regex() -> impl Strategy<Value = String> {
    let tokens = [
        "^", "$", "_", "1", "2", "13", " ", r"\{", r"\)", ".", ".*", "[0-9]+", "(1|2)", "2?", r"\b",
    ];
    let one = (0..tokens.len()).prop_map(move |i| tokens[i]);
    proptest::collection::vec(one, 0..5).prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn a_path_is_searched_like_its_text(path in any_path(), regex in any_regex()) {
        let compiled = PathRegex::new(&regex).unwrap();
        let text = path.to_string();
        let found = compiled.0.automaton.try_search_fwd(&Input::new(&text)).unwrap();
        prop_assert_eq!(compiled.fits((&path).into()), found.is_some(), "{} in {:?}", regex, text);
    }
}
