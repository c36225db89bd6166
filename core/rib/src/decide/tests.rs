use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::*;

const RULES: Rules = Rules {
    always_compare_med: false,
    missing_med_is_worst: false,
    ignore_as_path: false,
    ignore_metric: false,
    maximum_paths_external: 1,
    maximum_paths_internal: 1,
    multipath_same_as: false,
};

type Change = fn(&mut Candidate);

fn base() -> Candidate {
    Candidate {
        long_lived_stale: false,
        weight: 0,
        facts: Facts::read(tapway_bgp_wire::RawAttributes::new(&[])),
        external: true,
        metric: 10,
        router_id: 5,
        addr: Ipv4Addr::new(192, 0, 2, 5).into(),
        path_id: 0,
        place: 0,
    }
}

fn made(changes: &[Change]) -> Vec<Candidate> {
    let one = |(place, change): (u32, &Change)| {
        let mut candidate = Candidate { place, ..base() };
        change(&mut candidate);
        candidate
    };
    (0..).zip(changes).map(one).collect()
}

fn places(mut candidates: Vec<Candidate>, rules: &Rules) -> Vec<u32> {
    choose(&mut candidates, rules);
    candidates.iter().map(|c| c.place).collect()
}

/// In each row the second is better by one step, and worse by all that come after it.
#[test]
fn every_step_decides_before_all_later_ones() {
    let rows: [(Step, Change, Change); 12] = [
        (Step::LongLivedStale, |c| c.long_lived_stale = true, |_| {}),
        (Step::Weight, |_| {}, |c| c.weight = 1),
        (Step::LocalPref, |_| {}, |c| c.facts.local_pref = 101),
        (Step::AsPathLength, |c| c.facts.as_path_length = 1, |_| {}),
        (Step::Origin, |c| c.facts.origin = Origin::Egp, |_| {}),
        (Step::Med, |c| c.facts.med = Some(1), |_| {}),
        (Step::External, |c| c.external = false, |_| {}),
        (Step::Metric, |c| c.metric = 11, |_| {}),
        (Step::RouterId, |c| c.router_id = 6, |_| {}),
        (Step::ClusterLength, |c| c.facts.cluster_length = 1, |_| {}),
        (
            Step::Address,
            |c| c.addr = Ipv4Addr::new(192, 0, 2, 6).into(),
            |_| {},
        ),
        (Step::PathId, |c| c.path_id = 1, |_| {}),
    ];
    for (at, (step, worse, better)) in rows.iter().enumerate() {
        let (mut first, mut second) = (base(), Candidate { place: 1, ..base() });
        worse(&mut first);
        better(&mut second);
        for (_, worse, better) in &rows[at + 1..] {
            worse(&mut second);
            better(&mut first);
        }
        assert_eq!(places(Vec::from([first, second]), &RULES), [1], "{step:?}");
        assert_eq!(why(&second, &first, &RULES), Some(*step));
    }
}

#[test]
fn originator_id_stands_for_the_identifier() {
    // RFC 4456 §9.
    let all = made(&[
        |c| c.router_id = 1,
        |c| {
            c.router_id = 9;
            c.facts.originator_id = Some(0);
        },
    ]);
    assert_eq!(places(all, &RULES), [1]);
}

#[test]
fn med_rows() {
    let always = Rules {
        always_compare_med: true,
        ..RULES
    };
    let worst = Rules {
        missing_med_is_worst: true,
        ..RULES
    };
    let both = Rules {
        missing_med_is_worst: true,
        ..always
    };
    // The first has the lower identifier, the second the lower MED, where it has one.
    let other_as = made(&[
        |c| (c.facts.neighbour_as, c.facts.med, c.router_id) = (1, Some(5), 1),
        |c| (c.facts.neighbour_as, c.facts.med) = (2, Some(4)),
    ]);
    assert_eq!(
        places(other_as.clone(), &RULES),
        [0],
        "RFC 4271 §9.1.2.2 c: only of one neighbour"
    );
    assert_eq!(places(other_as, &always), [1]);
    let missing = made(&[|c| (c.facts.med, c.router_id) = (Some(5), 9), |_| {}]);
    assert_eq!(
        places(missing.clone(), &RULES),
        [1],
        "RFC 4271 §9.1.2.2 c: missing is the lowest"
    );
    assert_eq!(places(missing.clone(), &worst), [0]);
    assert_eq!(places(missing, &both), [0]);
}

#[test]
fn what_is_ignored_leaves_it_to_later_steps() {
    let as_path = Rules {
        ignore_as_path: true,
        ..RULES
    };
    let metric = Rules {
        ignore_metric: true,
        ..RULES
    };
    // The first is better by that step, the second by its identifier alone.
    let rows: [(Change, Rules, Step); 2] = [
        (|c| c.facts.as_path_length = 3, as_path, Step::AsPathLength),
        (|c| c.metric = 20, metric, Step::Metric),
    ];
    for (worse, rules, step) in rows {
        let mut all = made(&[|c| c.router_id = 9, |_| {}]);
        worse(&mut all[1]);
        assert_eq!(places(all.clone(), &RULES), [0]);
        assert_eq!(why(&all[0], &all[1], &RULES), Some(step));
        assert_eq!(places(all.clone(), &rules), [1]);
        assert_eq!(why(&all[1], &all[0], &rules), Some(Step::RouterId));
        let many = Rules {
            maximum_paths_external: 2,
            ..rules
        };
        assert_eq!(places(all, &many), [1, 0], "and both share the traffic");
    }
}

/// The classic case in which comparing pair by pair gives another best route for every order.
#[test]
fn med_does_not_depend_on_the_order() {
    let all = made(&[
        |c| (c.facts.neighbour_as, c.facts.med, c.router_id) = (1, Some(1), 3),
        |c| (c.facts.neighbour_as, c.facts.med, c.router_id) = (2, Some(0), 2),
        |c| (c.facts.neighbour_as, c.facts.med, c.router_id) = (1, Some(0), 4),
    ]);
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let shuffled = order.iter().map(|i| all[*i]).collect();
        assert_eq!(places(shuffled, &RULES), [1], "{order:?}");
    }
}

#[test]
fn multipath_rows() {
    let many = Rules {
        maximum_paths_external: 3,
        maximum_paths_internal: 2,
        ..RULES
    };
    let same_as = Rules {
        multipath_same_as: true,
        ..many
    };
    let external = made(&[
        |c| c.router_id = 4,
        |c| (c.router_id, c.facts.neighbour_as) = (3, 7),
        |c| (c.router_id, c.facts.neighbour_as) = (2, 7),
        |c| c.router_id = 1,
        |c| c.metric = 11,
        |c| c.external = false,
    ]);
    assert_eq!(places(external.clone(), &RULES), [3]);
    assert_eq!(places(external.clone(), &many), [3, 2, 1]);
    assert_eq!(places(external, &same_as), [3, 0]);
    let internal = made(&[
        |c| (c.external, c.router_id) = (false, 3),
        |c| (c.external, c.router_id) = (false, 2),
        |c| (c.external, c.router_id) = (false, 1),
    ]);
    assert_eq!(places(internal, &many), [2, 1]);
    assert_eq!(places(Vec::new(), &many), Vec::<u32>::new());
}

#[test]
fn ranking_removes_the_best_again_and_again() {
    let all = made(&[
        |c| (c.facts.neighbour_as, c.facts.med, c.router_id) = (1, Some(1), 1),
        |c| (c.facts.neighbour_as, c.facts.med, c.router_id) = (1, Some(0), 3),
        |c| (c.facts.neighbour_as, c.facts.med, c.router_id) = (2, Some(9), 2),
    ]);
    assert_eq!(rank(&all, &RULES, 9), [2, 1, 0]);
    assert_eq!(rank(&all, &RULES, 1), [2]);
}
