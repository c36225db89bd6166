//! `tapwayd` as a library: configuration, event loop, state log, HTTP server, doctor.

pub mod advertiser;
pub mod args;
pub mod bmp;
pub mod commands;
pub mod config;
pub mod connections;
pub mod daemon;
pub mod doctor;
pub mod goodbye;
pub mod http;
pub mod instance_lock;
pub mod listeners;
pub mod logging;
mod monitors;
pub mod mrt;
pub mod pid_lock;
pub mod policy_test;
mod priority;
pub mod rtr;
pub mod settings;
pub mod sliced;
pub mod start;
pub mod state;
pub mod store;
pub mod token;
pub mod views;
pub mod ways;
