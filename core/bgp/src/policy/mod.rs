//! Which routes pass, and with which attributes.
