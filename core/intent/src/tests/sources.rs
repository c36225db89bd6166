use super::build::*;
