//! What relays saw of writes on their way.

use serde::{Deserialize, Serialize};

use super::{Moment, Name, Token};

/// A write that came by a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    /// The directed link: `primary1->primary2`.
    pub link: Name,
    /// The database that it is carried out in.
    pub database: u8,
    /// The key: the first argument; none if the command has no argument.
    pub key: Option<Name>,
    /// The command's name.
    pub command: Name,
    /// The value that it writes, if a client of the run wrote it.
    pub token: Option<Token>,
    /// How many envelopes it came in: more than one if the link's upstream server had itself heard
    /// of it from a server that wraps what it hears.
    pub hops: u8,
    /// How many bytes it is on the link.
    pub bytes: u32,
    /// When it came to the relay.
    pub arrived: Moment,
    /// What became of it there.
    pub crossed: Crossed,
}

/// What became of a write at a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Crossed {
    /// Passed on as it came.
    Passed(Moment),
    /// Passed on after a write that came later.
    Overtaken(Moment),
    /// Something else was passed on for it: this.
    Changed(Moment, Name),
    /// Passed on once more.
    Repeated(Moment),
    /// Passed on, though nobody sent it.
    Added(Moment),
    /// Taken away by the relay's filter.
    Swallowed,
    /// Thrown away with all else of its direction.
    Discarded,
    /// It waited in the relay, in part at least, when the connection ended.
    Lost(Moment),
    /// It still waits in the relay.
    Held,
}

impl Crossed {
    /// When it was passed on, whole, in whatever form; none if it was not.
    pub fn passed(self) -> Option<Moment> {
        match self {
            Self::Passed(at)
            | Self::Overtaken(at)
            | Self::Changed(at, _)
            | Self::Repeated(at)
            | Self::Added(at) => Some(at),
            Self::Swallowed | Self::Discarded | Self::Lost(_) | Self::Held => None,
        }
    }
}
