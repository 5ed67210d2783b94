//! New connections are turned away; those that live go on.

use std::io::ErrorKind;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::link::{Link, Look, Strike};
use crate::relay::Relay;

/// Turns new connections of the link away, as a port does on which nothing listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefuseNew;

#[async_trait]
impl Strike for RefuseNew {
    fn verb(&self) -> String {
        "refuse new".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#d35400"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        relay.refuse(true);
    }

    /// A connection that the harness tries to make is refused.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        match TcpStream::connect(look.relay().address()).await {
            Ok(_) => Err("a new connection is taken".to_owned()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                Ok("a new connection was refused".to_owned())
            }
            Err(error) => Err(format!("a new connection fails otherwise: {error}")),
        }
    }

    /// The connection that lives is not touched.
    async fn spares(&self, look: &Look<'_>) -> Result<(), String> {
        match look.is_up().await? && look.cuts() == 0 {
            true => Ok(()),
            false => Err("the connection that lived is gone".to_owned()),
        }
    }
}
