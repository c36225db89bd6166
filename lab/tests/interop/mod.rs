//! Scenarios, each written once and run with every peer it applies to.

/// One test for each peer and each transport of the session: `SCENARIO(program, transport)`.
macro_rules! with_every_peer_and_transport {
    ($scenario:ident) => {
        mod $scenario {
            use crate::interop::fabric::Transport::{Ipv4, Ipv6, LinkLocal};

            #[test]
            fn bird_over_ipv4() {
                super::$scenario("bird", Ipv4);
            }

            #[test]
            fn bird_over_ipv6() {
                super::$scenario("bird", Ipv6);
            }

            #[test]
            fn bird_over_link_local() {
                super::$scenario("bird", LinkLocal);
            }

            #[test]
            fn frr_over_ipv4() {
                super::$scenario("frr", Ipv4);
            }

            #[test]
            fn frr_over_ipv6() {
                super::$scenario("frr", Ipv6);
            }

            #[test]
            fn frr_over_link_local() {
                super::$scenario("frr", LinkLocal);
            }

            #[test]
            fn gobgp_over_ipv4() {
                super::$scenario("gobgp", Ipv4);
            }

            #[test]
            fn gobgp_over_ipv6() {
                super::$scenario("gobgp", Ipv6);
            }

            #[test]
            fn gobgp_over_link_local() {
                super::$scenario("gobgp", LinkLocal);
            }
        }
    };
}

/// One test for each peer, each over another transport.
macro_rules! with_every_peer {
    ($scenario:ident) => {
        mod $scenario {
            use crate::interop::fabric::Transport::{Ipv4, Ipv6, LinkLocal};

            #[test]
            fn bird() {
                super::$scenario("bird", LinkLocal);
            }

            #[test]
            fn frr() {
                super::$scenario("frr", Ipv6);
            }

            #[test]
            fn gobgp() {
                super::$scenario("gobgp", Ipv4);
            }
        }
    };
}

mod as_numbers;
mod behind;
mod bmp;
mod cache;
mod defaults;
mod drain;
mod fabric;
mod goodbye;
mod life;
mod limits;
mod long_lived;
mod mrt;
mod pass_on;
mod policy;
mod ranges;
mod reflector;
mod reload;
mod restart;
mod roles;
mod rpki;
mod runtime;
mod secrets;
mod stayrtr;
mod unnumbered;
