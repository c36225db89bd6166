//! The laboratory: networks of namespaces on one machine, with real peers and the real daemon.
//!
//! A test makes its network from [`Netns`] and [`veth`], starts [`peers`] (BIRD, FRR, GoBGP) and
//! [`Tapwayd`] in it, sends packets with a [`Pinger`], and waits with [`wait_for`] until what it
//! expects is there. Nothing here touches the network namespace that the test itself runs in.
//!
//! All of this is for tests and demonstrations: a step that fails panics and says why, like an
//! assertion, so that a test reads as the list of its steps. Everything that was started is ended
//! when its value is dropped, after a panic too; what a killed test leaves behind is swept by the next
//! one. It needs root, and the programs `ip` and `setpriv`.

mod link;
mod netns;
pub mod peers;
mod ping;
mod process;
mod recorder;
pub mod scenario;
pub mod sim;
pub mod tapwayd;
mod toml_text;
mod wait;

pub use link::{mac_of, veth};
pub use netns::Netns;
pub use ping::{Loss, PingReport, Pinger};
pub use process::Proc;
pub use recorder::Recorder;
pub use tapwayd::Tapwayd;
pub use wait::{TimedOut, try_wait_for, wait_for};
