//! Tells a team whether *their* KeyDB, in *their* active-active topology, keeps its promises, and
//! whether an upgrade breaks them.
//!
//! Data flows one way: a [`topology`] is a value; a [`testbed`] gives it a place; a [`cluster`]
//! runs there; a [`scenario`] works on it as a [`trial`], with [`workload`], records a [`history`]
//! and names [`property`]s; what it finds becomes a [`verdict`], which a `report` shows.
//!
//! For tests of one's own begin with the [`prelude`].
//!
//! # Features
//!
//! * `cli` (by default, with the three below): the program `keydb-harness`.
//! * `report`: `report`, and what reads or compares runs: `record`, `defect`, `inspect`, `upgrade`.
//! * `docker`: clusters in containers.
//! * `attached`: clusters that run somewhere, also behind TLS.
//! * `fuzzing`: `hostile`, what `fuzz/` feeds.
//!
//! Tests of one's own need none of them: with `default-features = false` they run on processes, or
//! on the model; with `docker` besides, in containers where an engine answers.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
// What is printed goes through `console`, which outlives its reader.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "attached")]
pub mod attached;
pub mod behaviour;
pub mod check;
pub mod cleanup;
pub mod cluster;
pub mod console;
#[cfg(feature = "report")]
pub mod defect;
pub mod exercise;
pub mod explanation;
pub mod fault;
pub mod fixtures;
pub mod history;
#[cfg(any(test, feature = "fuzzing"))]
pub mod hostile;
pub mod input;
#[cfg(feature = "report")]
pub mod inspect;
pub mod judge;
pub mod lab;
#[allow(dead_code)]
pub mod model;
pub mod prelude;
pub mod promise;
pub mod property;
#[cfg(feature = "report")]
pub mod record;
pub mod relay;
#[cfg(feature = "report")]
pub mod report;
pub mod reproduction;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod secret;
pub mod settings;
pub mod spec;
pub mod testbed;
pub mod topology;
pub mod trial;
#[cfg(feature = "report")]
pub mod upgrade;
pub mod upstream;
pub mod verdict;
pub mod wait;
pub mod workload;
