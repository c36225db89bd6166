//! tapwayd.
/// t
#[derive(Debug)]
pub struct Tapwayd;
