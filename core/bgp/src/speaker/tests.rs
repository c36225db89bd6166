//! Speakers wired to each other on a virtual clock.

mod collide;
mod establish;
mod hostile;
pub(crate) mod net;
mod policies;
mod refresh;
mod restart;
mod routes;
mod rpki;
mod several;
mod speed;
mod walk;
