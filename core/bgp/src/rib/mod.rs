//! Routes: received ([`adj_in`]), own ([`own`]), sent ([`adj_out`]).
//!
//! There is no Loc-RIB: own routes go out as they are, received ones go to the kernel or nowhere, and
//! no received route is ever compared with an own one.

pub(crate) mod adj_in;
pub(crate) mod adj_out;
pub(crate) mod next_hop;
pub(crate) mod own;
pub(crate) mod select;
