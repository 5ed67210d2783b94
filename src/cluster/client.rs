//! A connection to one server: explicit time-outs, no silent reconnects, three kinds of failure.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline};

use super::reach::Reach;
use crate::secret::hide;

/// Why a command gave no reply, told apart by what is known of its effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It was never sent: surely not done.
    #[error("no connection to {address}: {cause}")]
    NotSent {
        /// Where the connection was to go.
        address: String,
        /// Why there is none.
        cause: String,
    },
    /// The server answered with an error (the text, code word included): surely not done.
    #[error("{0}")]
    Refused(String),
    /// It was sent and no answer came, or the answer was not understood: maybe done.
    #[error("no answer: {0}")]
    Unknown(String),
}

impl ClientError {
    /// Whether the server answered with this error code, for example `READONLY`.
    pub fn is_refusal(&self, code: &str) -> bool {
        matches!(self, Self::Refused(text) if text.split([' ', ':']).next() == Some(code))
    }
}

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, authentication included.
    pub connect: Duration,
    /// For each reply.
    pub reply: Duration,
}

impl Timeouts {
    /// For commands whose reply matters: a server that is merely slow is waited for.
    pub const PATIENT: Self = Self {
        connect: Duration::from_secs(5),
        reply: Duration::from_secs(20),
    };
    /// For commands that go through all of a server's data, on a machine that has much else to do.
    pub const LONG: Self = Self {
        reply: Duration::from_secs(120),
        ..Self::PATIENT
    };
    /// For looking at a server that may be frozen.
    pub const GLANCE: Self = Self {
        connect: Duration::from_secs(2),
        reply: Duration::from_secs(2),
    };
}

/// A connection to one server. A failure is final: connect again to go on.
#[derive(Clone)]
pub struct Client {
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to `address`, database 0.
    ///
    /// # Errors
    /// [`ClientError::NotSent`], also when the password is not taken.
    pub async fn connect(
        address: SocketAddr,
        password: Option<&str>,
        timeouts: Timeouts,
    ) -> Result<Self, ClientError> {
        Self::to(&Reach::plain(address, password), timeouts).await
    }

    /// Connects to where a server is reached, database 0.
    ///
    /// # Errors
    /// [`ClientError::NotSent`], also when user, password or certificate are not taken.
    pub async fn to(reach: &Reach, timeouts: Timeouts) -> Result<Self, ClientError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.reply));
        let connection = reach
            .client()?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| ClientError::NotSent {
                address: reach.address(),
                // A server that knows no AUTH repeats what it was sent.
                cause: hide(reach.password.as_deref(), &error.to_string()),
            })?;
        Ok(Self { connection })
    }

    /// Sends one command and waits for its reply.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unknown`].
    pub async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, ClientError> {
        command
            .query_async(&mut self.connection)
            .await
            .map_err(failure)
    }

    /// Sends several commands at once and waits for all replies.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if any of them was, or [`ClientError::Unknown`].
    pub async fn pipeline<T: FromRedisValue>(
        &mut self,
        commands: &Pipeline,
    ) -> Result<T, ClientError> {
        commands
            .query_async(&mut self.connection)
            .await
            .map_err(failure)
    }

    /// Changes the database of this connection.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn select(&mut self, database: u32) -> Result<(), ClientError> {
        self.query(redis::cmd("SELECT").arg(database)).await
    }
}

fn failure(error: redis::RedisError) -> ClientError {
    match error.code() {
        Some(code) => {
            let detail = error.detail().unwrap_or_default();
            ClientError::Refused(format!("{code} {detail}").trim_end().to_owned())
        }
        // A pipeline of which some commands were refused has no single code.
        None if matches!(error.kind(), ErrorKind::Server(_)) => {
            ClientError::Refused(error.to_string())
        }
        None => ClientError::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_code_word() {
        let error = ClientError::Refused("READONLY You can't write".to_owned());
        assert!(error.is_refusal("READONLY"));
        assert!(!error.is_refusal("LOADING"));
        assert!(!ClientError::Unknown("READONLY".to_owned()).is_refusal("READONLY"));
    }

    #[tokio::test]
    async fn nothing_listening_means_not_sent() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let error = Client::connect(address, None, Timeouts::GLANCE)
            .await
            .expect_err("refused");
        assert!(matches!(error, ClientError::NotSent { .. }), "{error}");
    }
}
