//! Pairs of commands on one key, as a table: each of sixteen kinds of write against each, the one on
//! one primary and the other, later, on the other.

mod commands;
mod held;
mod pair;
#[cfg(test)]
mod tests;

pub use commands::{COMMANDS, Command, On};
pub use held::{Held, for_hours};
pub use pair::{Courses, DATABASES, KEYS, Pair, name, pairs};
