//! Traffic on a cluster. Each kind records what it did as a [`crate::history`].

pub mod conflict;
mod data;
pub mod kind;
pub mod sessions;
pub mod shapes;
pub mod traffic;
mod write_stream;

pub use data::{KEYS_PER_COUNT, write_bulk, write_mixed_data};
pub use write_stream::{Manner, WriteStream};
