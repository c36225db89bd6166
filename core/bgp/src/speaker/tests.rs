//! Speakers wired to each other on a virtual clock.

mod add_path;
mod as_path;
mod collide;
mod endless;
mod establish;
mod groups;
mod hostile;
mod large;
mod limit;
mod long_lived;
mod monitor;
pub(crate) mod net;
mod next_hops;
mod order;
mod policies;
mod raw;
mod received_walk;
mod reflector;
mod refresh;
mod restart;
mod roles;
mod routes;
mod rpki;
mod several;
mod speed;
mod transit;
mod walk;
