//! Showing what was found: on the terminal, and as files.

pub mod frequency;
pub mod matrix;
pub mod results;
pub mod terminal;
