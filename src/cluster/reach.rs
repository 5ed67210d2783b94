//! Where a server is reached, and as whom.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError};

use super::client::ClientError;
use crate::secret::Secret;

/// Certificates in PEM for a connection in TLS. Without a root those of this machine count.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who vouches for the server.
    pub root: Option<Vec<u8>>,
    /// The client's own certificate and key, where the server asks for them.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("root", &self.root.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// Where a server is reached, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// A name or an address; with TLS it is what the certificate has to name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The ACL user; the default user if none is named.
    pub username: Option<String>,
    /// The password, if one is asked for.
    pub password: Option<Secret>,
    /// Certificates, where it speaks TLS.
    pub tls: Option<Arc<Tls>>,
}

impl Reach {
    /// A server of a cluster of the harness: without TLS, as the default user.
    pub fn plain(address: SocketAddr, password: Option<&str>) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
            username: None,
            password: password.map(Secret::new),
            tls: None,
        }
    }

    /// `HOST:PORT`, the host in brackets where it has colons.
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// What the redis crate connects with.
    ///
    /// # Errors
    /// [`ClientError::NotSent`]: certificates that cannot be used, or TLS in a build without it.
    pub(super) fn client(&self) -> Result<redis::Client, ClientError> {
        let not_sent = |error: RedisError| ClientError::NotSent {
            address: self.address(),
            cause: error.to_string(),
        };
        match &self.tls {
            None => {
                let address = ConnectionAddr::Tcp(self.host.clone(), self.port);
                redis::Client::open(self.info(address).map_err(not_sent)?).map_err(not_sent)
            }
            Some(tls) => self.over_tls(tls),
        }
    }

    fn info(&self, address: ConnectionAddr) -> Result<ConnectionInfo, RedisError> {
        let info = address.into_connection_info()?;
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(&**password);
        }
        Ok(info.set_redis_settings(settings))
    }

    #[cfg(feature = "attached")]
    fn over_tls(&self, tls: &Tls) -> Result<redis::Client, ClientError> {
        let not_sent = |error: RedisError| ClientError::NotSent {
            address: self.address(),
            cause: error.to_string(),
        };
        // Another crate of the same program may have chosen before: then its choice stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = ConnectionAddr::TcpTls {
            host: self.host.clone(),
            port: self.port,
            insecure: false,
            tls_params: None,
        };
        let identity = tls.identity.clone();
        let certificates = redis::TlsCertificates {
            client_tls: identity.map(|(client_cert, client_key)| redis::ClientTlsConfig {
                client_cert,
                client_key,
            }),
            root_cert: tls.root.clone(),
        };
        redis::Client::build_with_tls(self.info(address).map_err(not_sent)?, certificates)
            .map_err(not_sent)
    }

    #[cfg(not(feature = "attached"))]
    fn over_tls(&self, _: &Tls) -> Result<redis::Client, ClientError> {
        Err(ClientError::NotSent {
            address: self.address(),
            cause: "keydb-harness was built without TLS: depend on it with its feature `attached`"
                .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_does_not_show() {
        let reach = Reach {
            tls: Some(Arc::new(Tls {
                root: None,
                identity: Some((b"certificate".to_vec(), b"hidden-key".to_vec())),
            })),
            ..Reach::plain(SocketAddr::from(([127, 0, 0, 1], 6379)), Some("hidden"))
        };
        let shown = format!("{reach:?} {reach:#?}");
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn an_address_can_be_read_back() {
        let reach = |host: &str| Reach {
            host: host.to_owned(),
            ..Reach::plain(SocketAddr::from(([127, 0, 0, 1], 6379)), None)
        };
        assert_eq!(reach("db.example").address(), "db.example:6379");
        assert_eq!(reach("::1").address(), "[::1]:6379");
    }
}
