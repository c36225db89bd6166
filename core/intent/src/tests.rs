//! Tests: each rule by example, and random walks against a slow and obvious model.

mod build;
mod reference;
mod rules;
mod sources;
mod speed;
mod walk;
