//! Where an application under test reaches a server.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::testbed::{EnvironmentError, Port, Server};

/// Where `server` takes clients now.
pub(super) async fn address(server: &dyn Server) -> Result<SocketAddr, EnvironmentError> {
    server.endpoint(Port::Service).await
}

/// The same as a URL, as redis clients take it.
pub(super) async fn url(
    server: &dyn Server,
    password: Option<&str>,
) -> Result<String, EnvironmentError> {
    Ok(url_of(address(server).await?, password))
}

fn url_of(address: SocketAddr, password: Option<&str>) -> String {
    match password {
        Some(password) => format!("redis://:{}@{address}/", encoded(password)),
        None => format!("redis://{address}/"),
    }
}

/// A password as it may stand in a URL.
fn encoded(password: &str) -> String {
    let mut encoded = String::new();
    for byte in password.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{ConnectionAddr, IntoConnectionInfo};
    use rstest::rstest;

    #[rstest]
    #[case::open(None, "redis://127.0.0.1:6379/")]
    #[case::plain(Some("secret"), "redis://:secret@127.0.0.1:6379/")]
    #[case::awkward(Some("a/b@c:d é"), "redis://:a%2Fb%40c%3Ad%20%C3%A9@127.0.0.1:6379/")]
    fn clients_understand_the_url(#[case] password: Option<&str>, #[case] wanted: &str) {
        let url = url_of(SocketAddr::from(([127, 0, 0, 1], 6379)), password);
        assert_eq!(url, wanted);
        let info = url.into_connection_info().unwrap();
        assert_eq!(info.addr(), &ConnectionAddr::Tcp("127.0.0.1".into(), 6379));
        assert_eq!(info.redis_settings().password(), password);
    }
}
