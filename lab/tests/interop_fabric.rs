//! tapwayd against real BIRD, FRR and GoBGP: sessions, graceful restart, secrets, defaults, goodbyes.
//!
//! One program with one module for each subject, so that the real peers are linked and started from one
//! place. Needs root, and the packages `bird2`, `frr`, `gobgpd`, `stayrtr` and `pmacct`.

mod interop;
