//! Sessions in KeyDB: who is logged in, by token. Two ways to keep them; one of them is wrong.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult};

/// Seconds that a session lives.
const LIFE: u64 = 3600;
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What stands in a session that is over. A user is written after `user:`.
const OVER: &str = "over";
const USER: &str = "user:";

/// A store of sessions.
pub trait Sessions {
    /// Begins a session of `user`, and gives its token.
    async fn log_in(&self, user: &str) -> RedisResult<String>;

    /// Whose session this is; none if there is no such session, or it is over.
    async fn user_of(&self, token: &str) -> RedisResult<Option<String>>;

    /// Ends a session.
    async fn log_out(&self, token: &str) -> RedisResult<()>;
}

/// Takes the proxy for one Redis: a key is set, read and deleted there.
#[derive(Debug)]
pub struct Naive {
    proxy: String,
}

impl Naive {
    /// On the proxy at this URL.
    pub fn new(proxy: impl Into<String>) -> Self {
        let proxy = proxy.into();
        Self { proxy }
    }

    /// As every worker of a web server has it: a connection of its own, to whichever primary the
    /// proxy picks.
    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        connection(&self.proxy).await
    }
}

impl Sessions for Naive {
    async fn log_in(&self, user: &str) -> RedisResult<String> {
        let token = new_token();
        let mut redis = self.connection().await?;
        let user = format!("{USER}{user}");
        redis.set_ex::<_, _, ()>(key(&token), user, LIFE).await?;
        Ok(token)
    }

    async fn user_of(&self, token: &str) -> RedisResult<Option<String>> {
        let kept = self.connection().await?.get(key(token)).await?;
        Ok(user_in(kept))
    }

    async fn log_out(&self, token: &str) -> RedisResult<()> {
        self.connection().await?.del(key(token)).await
    }
}

/// Knows that there are several primaries, which may not have heard of each other's writes yet, and
/// that what is deleted on one comes back from another after a full resync.
///
/// Writes go to every primary that answers, and every one is asked. A session that is over is not
/// deleted but overwritten, since the newest write wins, and its key then expires by itself. It costs
/// one round trip to each primary.
#[derive(Debug)]
pub struct Sound {
    primaries: Vec<String>,
}

impl Sound {
    /// On the primaries at these URLs.
    pub fn new(primaries: Vec<String>) -> Self {
        Self { primaries }
    }

    /// Writes on every primary that answers.
    async fn write(&self, token: &str, value: &str) -> RedisResult<()> {
        let mut outcome = Err(nobody());
        for primary in &self.primaries {
            let written = async {
                let mut redis = connection(primary).await?;
                redis.set_ex::<_, _, ()>(key(token), value, LIFE).await
            };
            match written.await {
                Ok(()) => outcome = Ok(()),
                Err(error) if outcome.is_err() => outcome = Err(error),
                Err(_) => {}
            }
        }
        outcome
    }
}

impl Sessions for Sound {
    async fn log_in(&self, user: &str) -> RedisResult<String> {
        let token = new_token();
        self.write(&token, &format!("{USER}{user}")).await?;
        Ok(token)
    }

    async fn user_of(&self, token: &str) -> RedisResult<Option<String>> {
        let mut found = Err(nobody());
        for primary in &self.primaries {
            let read = async { connection(primary).await?.get(key(token)).await };
            match read.await {
                // Whatever another says: it has not heard of it yet.
                Ok(Some(kept)) if kept == OVER => return Ok(None),
                Ok(Some(kept)) => found = Ok(user_in(Some(kept))),
                Ok(None) if found.is_err() => found = Ok(None),
                Err(error) if found.is_err() => found = Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        found
    }

    async fn log_out(&self, token: &str) -> RedisResult<()> {
        self.write(token, OVER).await
    }
}

fn key(token: &str) -> String {
    format!("session:{token}")
}

fn user_in(kept: Option<String>) -> Option<String> {
    kept?.strip_prefix(USER).map(str::to_owned)
}

fn new_token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

async fn connection(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = Client::open(url)?;
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await
}

fn nobody() -> RedisError {
    (ErrorKind::Io, "there are no primaries").into()
}
