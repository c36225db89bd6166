//! Policies, row by row.
