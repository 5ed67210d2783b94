//! How pairs of conflicting writes end: of one key, and of all keys of a pair.

mod cell;
mod ending;

pub use cell::Cell;
pub use ending::{Ending, UnknownEnding};
