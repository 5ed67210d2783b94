//! What the configuration file says, as values.

use std::net::SocketAddr;
use std::time::Duration;

use super::directive::Reader;
use super::syntax::words;

/// What the proxy is to do.
#[derive(Debug)]
pub(super) struct Config {
    /// Where the admin socket listens.
    pub admin: SocketAddr,
    /// The most client connections at a time; more wait to be accepted.
    pub maxconn: u32,
    /// The `listen` section.
    pub listen: Listen,
    /// Where clients connect.
    pub bind: SocketAddr,
}

/// How a `listen` section balances, without its addresses.
#[derive(Debug, Clone)]
pub(super) struct Listen {
    /// Its name in the statistics.
    pub name: String,
    /// How often a failed connection to a server is tried again.
    pub retries: u32,
    /// Whether such a retry may go to another server.
    pub redispatch: bool,
    /// How long a connection to a server may take.
    pub connect: Duration,
    /// How long a check may take once it is connected; `inter` where it is not given.
    pub check: Option<Duration>,
    /// What a check does after it has connected.
    pub steps: Vec<Step>,
    /// What clients are balanced over.
    pub servers: Vec<ServerLine>,
}

/// A step of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits until this text has come.
    Expect(String),
}

/// A `server` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerLine {
    /// Its name in the statistics.
    pub name: String,
    /// Where it is: `HOST:PORT`, resolved at each connection.
    pub address: String,
    /// How its checks are judged.
    pub health: Health,
}

/// What `default-server` sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Health {
    /// The pause between two checks.
    pub inter: Duration,
    /// How many failed checks in a row take a server down.
    pub fall: u32,
    /// How many passed checks in a row bring it back.
    pub rise: u32,
    /// Whether its sessions are closed when it goes down.
    pub shutdown_sessions: bool,
}

/// A line that is refused: which, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: '{directive}': {mend}")]
pub(super) struct Malformed {
    line: usize,
    directive: String,
    mend: String,
}

/// Reads a configuration file.
///
/// # Errors
/// The first line that is not understood, or, with the last line's number, what is missing.
pub(super) fn parse(text: &str) -> Result<Config, Malformed> {
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        words(line)
            .and_then(|words| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                reader.directive(&words)
            })
            .map_err(|mend| Malformed {
                line: index + 1,
                directive: line.trim().to_owned(),
                mend,
            })?;
    }
    reader.finish().map_err(|(directive, mend)| Malformed {
        line: text.lines().count(),
        directive: directive.to_owned(),
        mend: mend.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::topology::render::{HostPort, ProxyPlace, haproxy_cfg};
    use crate::topology::{HealthCheck, Topology};

    fn rendered(password: Option<&str>, resolver: Option<&str>) -> String {
        checked(HealthCheck::default(), password, resolver)
    }

    fn checked(check: HealthCheck, password: Option<&str>, resolver: Option<&str>) -> String {
        let mut builder = Topology::active_active().health_check(check);
        if let Some(password) = password {
            builder = builder.password(password);
        }
        let topology = builder.build().unwrap();
        let at = |host: &str, port| HostPort {
            host: host.to_owned(),
            port,
        };
        let place = ProxyPlace {
            listens_on: at("127.0.0.1", 1),
            admin: at("127.0.0.1", 2),
            reach: &|name| at(name, 6379),
            resolver: resolver.map(str::to_owned),
            health_check: crate::topology::render::HEALTH_CHECK,
            check_timeout: crate::topology::render::CHECK_TIMEOUT,
        };
        haproxy_cfg(&topology, topology.proxy.as_ref().unwrap(), &place).unwrap()
    }

    #[test]
    fn what_is_rendered_for_haproxy_is_understood() {
        let config = parse(&rendered(None, None)).unwrap();
        assert_eq!(config.bind, "127.0.0.1:1".parse().unwrap());
        assert_eq!(config.admin, "127.0.0.1:2".parse().unwrap());
        assert_eq!(config.maxconn, 2048);
        let listen = config.listen;
        assert_eq!((listen.name.as_str(), listen.retries), ("keydb", 1));
        assert!(listen.redispatch);
        assert_eq!(listen.connect, Duration::from_secs(1));
        assert_eq!(listen.check, Some(Duration::from_secs(1)));
        let ping = Step::Send(b"PING\r\n".to_vec());
        assert_eq!(listen.steps, [ping, Step::Expect("+PONG".to_owned())]);
        let health = Health {
            inter: Duration::from_millis(200),
            fall: 2,
            rise: 2,
            shutdown_sessions: true,
        };
        let server = |name: &str| ServerLine {
            name: name.to_owned(),
            address: format!("{name}:6379"),
            health,
        };
        assert_eq!(listen.servers, [server("primary1"), server("primary2")]);
    }

    #[test]
    fn a_password_and_a_resolver_are_understood() {
        let config = parse(&rendered(Some("a # b"), Some("10.0.0.1:53"))).unwrap();
        let auth = Step::Send(b"*2\r\n$4\r\nAUTH\r\n$5\r\na # b\r\n".to_vec());
        assert_eq!(config.listen.steps[0], auth);
        assert_eq!(config.listen.steps.len(), 4);
        assert_eq!(config.listen.servers.len(), 2);
    }

    #[rstest]
    #[case::tcp(HealthCheck::Tcp, &[])]
    #[case::ping_and_role(HealthCheck::PingAndRole, &[
        "PING\r\n", "+PONG", "INFO replication\r\n", "role:active-replica",
    ])]
    #[case::write_probe(
        HealthCheck::WriteProbe, &["SET keydb-harness:health 1 EX 10\r\n", "+OK"]
    )]
    fn every_health_check_is_understood(#[case] check: HealthCheck, #[case] wanted: &[&str]) {
        let config = parse(&checked(check, None, None)).unwrap();
        let wanted: Vec<Step> = wanted
            .chunks(2)
            .flat_map(|pair| {
                let send = Step::Send(pair[0].as_bytes().to_vec());
                [send, Step::Expect(pair[1].to_owned())]
            })
            .collect();
        assert_eq!(config.listen.steps, wanted);
    }

    const PROBE: &str = "global\n    maxconn 100\n    stats socket ipv4@127.0.0.1:2 level admin\ndefaults\n    mode tcp\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\nlisten probe\n    bind 127.0.0.1:1\n";

    #[test]
    fn a_proxy_without_servers_is_understood() {
        assert!(parse(PROBE).unwrap().listen.servers.is_empty());
    }

    #[rstest]
    #[case::unknown(
        "    cookie x",
        "line 11: 'cookie x': unknown in section listen; remove it"
    )]
    #[case::time(
        "timeout connect 1x",
        "line 11: 'timeout connect 1x': '1x' is no time; write it"
    )]
    #[case::zero(
        "default-server inter 0",
        "line 11: 'default-server inter 0': '0' is no time"
    )]
    #[case::number("retries few", "line 11: 'retries few': 'few' is no number")]
    #[case::huge("timeout check 99999999999999999999h", "line 11: 'timeout check")]
    #[case::quotes("tcp-check send \"A B\"", "line 11: 'tcp-check send \"A B\"': quotes")]
    #[case::hex(
        "tcp-check send-binary abc",
        "line 11: 'tcp-check send-binary abc': 'abc' is no"
    )]
    #[case::unconnected("tcp-check send A", "line 11: 'tcp-check send A': comes before")]
    #[case::port(
        "server a localhost check",
        "line 11: 'server a localhost check': 'localhost' has"
    )]
    #[case::twice(
        "server a b:1 check\nserver a b:2 check",
        "line 12: 'server a b:2 check': the name"
    )]
    #[case::second("listen again", "line 11: 'listen again': is the second")]
    #[case::no_option("tcp-check connect", "line 11: 'option tcp-check': is missing")]
    fn what_is_malformed_is_named_with_its_line(#[case] line: &str, #[case] expected: &str) {
        let error = parse(&format!("{PROBE}{line}\n")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = parse("").unwrap_err().to_string();
        assert!(
            error.starts_with("line 0: 'stats socket': is missing; add"),
            "{error}"
        );
        let error = parse("global\nstats socket ipv4@127.0.0.1:2 level admin\n").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("line 2: 'bind': is missing; add"),
            "{error}"
        );
    }
}
