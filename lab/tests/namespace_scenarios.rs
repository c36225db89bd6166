//! The scenarios with the real daemon in network namespaces. The same ones on a virtual clock:
//! `sim_scenarios.rs`.

use tapway_lab::scenario::{self, Real};

macro_rules! on_the_real_stage {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            scenario::$name(&mut Real::new());
        })*
    };
}

on_the_real_stage!(
    comes_and_goes,
    waits_for_its_interface,
    link_flaps,
    recreated,
    renamed,
    repaired,
    dies_and_comes_back,
    dead_source,
    foreign_route,
    leaves,
);
