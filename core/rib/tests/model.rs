//! Random walks of the RIB beside a model of plain maps: whatever happened, every peer ends with what the model says it has.

#[path = "model/reference.rs"]
mod reference;
#[path = "model/world.rs"]
mod world;

use proptest::prelude::*;
use reference::Step;
use tapway_rib::decide::Rules;
use world::World;

fn step() -> impl Strategy<Value = Step> {
    let source = 0..reference::SOURCES;
    let prefix = 0..reference::PREFIXES;
    let member = 0..reference::MEMBERS;
    prop_oneof![
        8 => (source.clone(), prefix.clone(), 0..2u32, 0..reference::KINDS, 0..4u8)
            .prop_map(|(s, p, id, kind, import)| Step::Insert(s, p, id, kind, import)),
        4 => (source.clone(), prefix.clone(), 0..2u32).prop_map(|(s, p, id)| Step::Withdraw(s, p, id)),
        1 => (source.clone(), prefix.clone()).prop_map(|(s, p)| Step::Burst(s, p)),
        1 => source.clone().prop_map(Step::SourceDown),
        1 => source.clone().prop_map(Step::MarkStale),
        1 => source.clone().prop_map(Step::RemoveStale),
        1 => source.clone().prop_map(Step::KeepLong),
        1 => (source, 0..4u8).prop_map(|(s, import)| Step::Judge(s, import)),
        2 => (0..reference::HOPS, prop::option::of(0..3u32)).prop_map(|(h, m)| Step::NextHop(h, m)),
        1 => (0..reference::HOPS).prop_map(Step::Seek),
        1 => rules().prop_map(Step::Rules),
        2 => member.clone().prop_map(Step::Join),
        1 => member.clone().prop_map(Step::Leave),
        1 => member.clone().prop_map(Step::SendAgain),
        1 => member.clone().prop_map(Step::Move),
        1 => Just(Step::ExportChanged),
        8 => (member, 1..4usize).prop_map(|(m, n)| Step::Read(m, n)),
        2 => (1..4usize).prop_map(Step::Work),
        1 => Just(Step::Check),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    (any::<[bool; 5]>(), 1..3u16, 1..3u16).prop_map(|(on, external, internal)| Rules {
        always_compare_med: on[0],
        missing_med_is_worst: on[1],
        ignore_as_path: on[2],
        ignore_metric: on[3],
        maximum_paths_external: external,
        maximum_paths_internal: internal,
        multipath_same_as: on[4],
    })
}

fn walk(watched: bool, steps: &[Step]) {
    let mut world = World::new(watched);
    for step in steps {
        world.step(step);
    }
    world.check();
    world.end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_peer_has_what_the_model_says(watched: bool, steps in prop::collection::vec(step(), 1..250)) {
        walk(watched, &steps);
    }
}

/// 400 walks, unless the environment asks for more.
fn cases() -> u32 {
    std::env::var("TAPWAY_RIB_WALKS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(400)
}
