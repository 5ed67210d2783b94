//! Showing what was found: on the terminal, and as files.

pub mod folder;
pub mod freeze;
pub mod frequency;
pub mod github;
mod health_matrix;
pub mod junit;
pub mod matrix;
pub mod page;
pub mod results;
pub mod tables;
pub mod terminal;
pub mod upgrade;
pub mod upgrade_table;

#[cfg(test)]
mod samples;
