//! Replication: a node's own stream and those that follow it, and the streams it follows.

mod altered;
mod attach;
mod backlog;
mod envelope;
mod follow;
mod merge;
mod stream;

pub(super) use altered::{altered, appends, deletes};
pub(super) use attach::{Asking, attach};
pub(super) use envelope::{Envelope, uuid};
pub(super) use follow::{Master, Position, carry_out, follow};
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use merge::take_in;
pub(super) use stream::Stream;
