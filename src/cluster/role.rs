//! The `ROLE` reply, which KeyDB extends: several masters make an array of arrays.

use super::info::ServerRole;
use redis::Value;

/// What a server answers to `ROLE`.
///
/// 6.0.18 to 6.3.4 wrap the masters of a multi-master server in an outer array. **5.3.3 with
/// several masters answers one array per master without that wrapping, so `ROLE` gets several
/// replies**: a client takes the first for the whole, and every later reply on that connection
/// belongs to the command before. Ask such a server for `INFO replication`, or use a connection
/// of its own for `ROLE` and drop it.
#[derive(Debug, Clone, PartialEq)]
pub enum RoleReply {
    /// `active-replica`: a primary, and the masters it follows, in the server's order.
    ActiveReplica(Vec<FollowedMaster>),
    /// `slave`: a plain replica, and the masters it follows.
    Replica(Vec<FollowedMaster>),
    /// `master`: a server that follows nobody.
    Master {
        /// The end of its stream.
        offset: i64,
        /// Who follows it and is online; a peer that still synchronizes is left out.
        replicas: Vec<Follower>,
    },
    /// Any other shape, as it came.
    Other(Value),
}

/// A master that the answering server follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedMaster {
    /// The configured host.
    pub host: String,
    /// The configured port.
    pub port: u16,
    /// `connected`, `connect` (waiting for the next attempt), `connecting`, `handshake`, `sync`,
    /// `none` or `unknown`.
    pub state: String,
    /// How far in this master's stream the server is; `None` without a connection (`-1`).
    pub offset: Option<i64>,
}

/// A server that follows the answering one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    /// The address it connects from or announces.
    pub host: String,
    /// The port it listens on.
    pub port: u16,
    /// The offset it last acknowledged.
    pub offset: i64,
}

impl FollowedMaster {
    /// Whether the link is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == "connected"
    }

    fn parse(parts: &[Value]) -> Option<(ServerRole, Self)> {
        let [role, host, port, state, offset] = parts else {
            return None;
        };
        let master = Self {
            host: text(host)?.to_owned(),
            port: number(port)?,
            state: text(state)?.to_owned(),
            offset: Some(number(offset)?).filter(|offset| *offset >= 0),
        };
        Some((ServerRole::from(text(role)?), master))
    }
}

impl Follower {
    fn parse(value: &Value) -> Option<Self> {
        let [host, port, offset] = array(value)? else {
            return None;
        };
        Some(Self {
            host: text(host)?.to_owned(),
            port: number(port)?,
            offset: number(offset)?,
        })
    }
}

impl RoleReply {
    /// The server's word for what it is; `None` for a reply that was not understood.
    #[must_use]
    pub fn role(&self) -> Option<ServerRole> {
        match self {
            Self::ActiveReplica(_) => Some(ServerRole::ActiveReplica),
            Self::Replica(_) => Some(ServerRole::Replica),
            Self::Master { .. } => Some(ServerRole::Master),
            Self::Other(_) => None,
        }
    }

    fn parse(value: &Value) -> Option<Self> {
        let parts = array(value)?;
        match parts {
            [Value::Array(_), ..] => Self::following(parts),
            [role, offset, replicas] if text(role) == Some("master") => Some(Self::Master {
                offset: number(offset)?,
                replicas: array(replicas)?
                    .iter()
                    .map(Follower::parse)
                    .collect::<Option<_>>()?,
            }),
            _ => Self::following(std::slice::from_ref(value)),
        }
    }

    /// All masters; the server gives its own role with each, always the same.
    fn following(masters: &[Value]) -> Option<Self> {
        let parsed: Vec<_> = masters
            .iter()
            .map(|master| FollowedMaster::parse(array(master)?))
            .collect::<Option<_>>()?;
        let (roles, masters): (Vec<_>, Vec<_>) = parsed.into_iter().unzip();
        let role = roles.first()?;
        if roles.iter().any(|other| other != role) {
            return None;
        }
        match role {
            ServerRole::ActiveReplica => Some(Self::ActiveReplica(masters)),
            ServerRole::Replica => Some(Self::Replica(masters)),
            ServerRole::Master | ServerRole::Other(_) => None,
        }
    }
}

impl From<Value> for RoleReply {
    fn from(value: Value) -> Self {
        Self::parse(&value).unwrap_or(Self::Other(value))
    }
}

fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(parts) => Some(parts),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// A number, which the server sends as an integer or, of its replicas, as text.
fn number<T: std::str::FromStr + TryFrom<i64>>(value: &Value) -> Option<T> {
    match value {
        Value::Int(number) => T::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
