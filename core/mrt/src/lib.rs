//! The MRT format (RFC 6396): a RIB as TABLE_DUMP_V2, with path identifiers (RFC 8050), and BGP messages and changes of state as
//! BGP4MP_ET.
//!
//! [`Dump`] writes a RIB page by page; [`message`] and [`state_change`] write one record each. All append to a buffer of the
//! caller: files, time and what is to be recorded are not known here.
#![no_std]

extern crate alloc;

mod bgp4mp;
mod record;
mod rib;

pub use bgp4mp::{Direction, message, state_change};
pub use rib::{Dump, Kind};
