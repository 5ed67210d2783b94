//! Tells a team whether *their* KeyDB, in *their* active-active topology, keeps its promises, and
//! whether an upgrade breaks them.
//!
//! Data flows one way: a [`topology`] is a value; a [`testbed`] gives it a place; a [`cluster`]
//! runs there; a [`scenario`] works on it as a [`trial`], with [`workload`], records a [`history`]
//! and names [`property`]s; what it finds becomes a [`verdict`], which a [`report`] shows.

#![cfg_attr(test, allow(clippy::unwrap_used))]
// What is printed goes through `console`, which outlives its reader.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod check;
pub mod cleanup;
pub mod cluster;
pub mod console;
pub mod explanation;
pub mod fault;
pub mod fixtures;
pub mod history;
pub mod judge;
pub mod lab;
#[allow(dead_code)]
pub mod model;
pub mod promise;
pub mod property;
pub mod relay;
pub mod report;
pub mod reproduction;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod settings;
pub mod spec;
pub mod testbed;
pub mod topology;
pub mod trial;
pub mod verdict;
pub mod wait;
pub mod workload;
