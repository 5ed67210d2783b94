//! What a run must satisfy.

pub mod log_rules;
