//! Tells a team whether *their* KeyDB, in *their* active-active topology, keeps its promises.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cleanup;
pub mod cluster;
pub mod property;
pub mod run;
pub mod spec;
pub mod testbed;
pub mod topology;
