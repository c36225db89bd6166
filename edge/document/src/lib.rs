//! Text that people write, TOML or JSON, to typed values, with the place of everything wrong in it.
//!
//! [`parse`] gives a [`Document`]: the value, and the way from a key path like
//! `nic[0].addresses[1]` back to its line and column. What is wrong is always a [`Problem`]: file,
//! line, column, key, reason, remedy. Unknown keys are problems, with the key that was probably
//! meant. [`Sections`] reads a text piece by piece, to find more than one problem. [`read_text`] and [`read_secret`] are the only ways by which such files are read: both
//! refuse what should not be read, before reading it.
//!
//! This crate knows TOML, JSON and files; it does not know what the texts are about.

mod file;
mod message;
mod parse;
mod place;
mod problem;
mod sections;

pub use file::{read_secret, read_text};
pub use message::{nearest, reword};
pub use parse::{Document, parse, parse_json};
pub use problem::Problem;
pub use sections::{Named, Sections};
