//! One BGP connection: state machine, timers, back-off, negotiation, collision.

pub(crate) mod fsm;
pub(crate) mod timers;
