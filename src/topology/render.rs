//! From a topology to configuration files, through the templates in `fixtures/templates/`.
//!
//! The same two functions serve every testbed and the files in `compose/`, so that there is one
//! source of configuration.

use std::time::Duration;

use minijinja::{Environment, context};

use super::{HealthCheck, NodeSpec, Persistence, ProxySpec, Role, Topology, Upstream};

const KEYDB_CONF: &str = include_str!("../../fixtures/templates/keydb.conf");
/// Between two health checks, as the guide's cluster has it.
pub const HEALTH_CHECK: Duration = Duration::from_millis(200);
/// How long a server may take to answer one.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// What the write probe sets, and for how many seconds.
const PROBE: (&str, u32) = ("keydb-harness:health", 10);
const HAPROXY_CFG: &str = include_str!("../../fixtures/templates/haproxy.cfg");

/// A host name or address with a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// What a server or HAProxy puts before the colon.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl From<std::net::SocketAddr> for HostPort {
    fn from(address: std::net::SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

/// Where a node will run, for its configuration.
pub struct NodePlace<'a> {
    /// What it listens on.
    pub listens_on: HostPort,
    /// Its data directory.
    pub data_dir: String,
    /// Where its upstreams are.
    pub reach: &'a dyn Fn(&Upstream) -> HostPort,
}

/// Where the proxy will run, for its configuration.
pub struct ProxyPlace<'a> {
    /// What it listens on.
    pub listens_on: HostPort,
    /// What its admin socket listens on.
    pub admin: HostPort,
    /// Where a primary is.
    pub reach: &'a dyn Fn(&str) -> HostPort,
    /// The name server (`ADDRESS:PORT`) to ask again and again when primaries have host names.
    pub resolver: Option<String>,
    /// Between two health checks of a primary.
    pub health_check: Duration,
    /// How long a primary may take to answer one, in whole seconds.
    pub check_timeout: Duration,
}

/// A template that does not render: a defect of the template.
#[derive(Debug, thiserror::Error)]
#[error("the configuration of {server} cannot be rendered: {cause}")]
pub struct RenderError {
    server: String,
    cause: minijinja::Error,
}

/// The `keydb.conf` of `node`.
///
/// # Errors
/// The template is broken.
pub fn keydb_conf(
    topology: &Topology,
    node: &NodeSpec,
    place: &NodePlace<'_>,
) -> Result<String, RenderError> {
    let persistence = match node.persistence {
        Persistence::None => "none",
        Persistence::Rdb => "rdb",
        Persistence::Aof => "aof",
    };
    let options: Vec<_> = node
        .options
        .iter()
        .map(|(name, value)| context! { name => name, value => value })
        .collect();
    let upstreams: Vec<_> = node
        .follows
        .iter()
        .map(|upstream| {
            let HostPort { host, port } = (place.reach)(upstream);
            context! { host => host, port => port }
        })
        .collect();
    let primary = node.role == Role::Primary;
    render(
        &node.name,
        KEYDB_CONF,
        context! {
            name => &node.name,
            primary,
            bind => &place.listens_on.host,
            port => place.listens_on.port,
            dir => quoted(&place.data_dir),
            password => topology.password.as_deref().map(quoted),
            persistence,
            multi_master => topology.multi_master,
            upstreams,
            options,
        },
    )
}

/// The `haproxy.cfg` of the proxy.
///
/// # Errors
/// The template is broken.
pub fn haproxy_cfg(
    topology: &Topology,
    proxy: &ProxySpec,
    place: &ProxyPlace<'_>,
) -> Result<String, RenderError> {
    let backends: Vec<_> = proxy
        .backends
        .iter()
        .map(|name| {
            let HostPort { host, port } = (place.reach)(name);
            context! { name => name, host => host, port => port }
        })
        .collect();
    let check = match proxy.health_check {
        HealthCheck::Tcp => "tcp",
        HealthCheck::Ping => "ping",
        HealthCheck::PingAndRole => "ping-and-role",
        HealthCheck::WriteProbe => "write-probe",
    };
    let (probe, probe_seconds) = PROBE;
    render(
        super::PROXY,
        HAPROXY_CFG,
        context! {
            bind => &place.listens_on.host,
            port => place.listens_on.port,
            admin_bind => &place.admin.host,
            admin_port => place.admin.port,
            auth_hex => topology.password.as_deref().map(auth_in_hex),
            resolver => &place.resolver,
            check_seconds => place.check_timeout.as_secs(),
            inter_ms => u64::try_from(place.health_check.as_millis()).unwrap_or(u64::MAX),
            check,
            probe,
            probe_seconds,
            backends,
        },
    )
}

fn render(server: &str, template: &str, values: minijinja::Value) -> Result<String, RenderError> {
    let rendered = Environment::new()
        .render_str(template, values)
        .map_err(|cause| RenderError {
            server: server.to_owned(),
            cause,
        })?;
    Ok(rendered.trim_end().to_owned() + "\n")
}

/// A value as KeyDB's configuration parser reads it back unchanged.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `AUTH password` as RESP, in hex: no character of a password can disturb HAProxy's syntax.
fn auth_in_hex(password: &str) -> String {
    let command = format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\n", password.len());
    command.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(host: &str) -> HostPort {
        HostPort {
            host: host.to_owned(),
            port: 6379,
        }
    }

    fn conf(topology: &Topology, name: &str) -> String {
        let node = topology
            .nodes
            .iter()
            .find(|node| node.name == name)
            .expect(name);
        let reach = |upstream: &Upstream| match upstream {
            Upstream::Node(name) => at(name),
            Upstream::Proxy => at("proxy"),
        };
        let place = NodePlace {
            listens_on: at("0.0.0.0"),
            data_dir: "/data".to_owned(),
            reach: &reach,
        };
        keydb_conf(topology, node, &place).expect("renders")
    }

    /// The lines that are not comments.
    fn lines(text: &str) -> Vec<&str> {
        text.lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
            .collect()
    }

    #[test]
    fn a_primary_says_what_the_guide_says_in_the_order_keydb_wants() {
        let topology = Topology::active_active().build().expect("valid");
        let text = conf(&topology, "primary1");
        let lines = lines(&text);
        let position = |line: &str| {
            lines
                .iter()
                .position(|l| *l == line)
                .unwrap_or_else(|| panic!("{line} in {text}"))
        };
        assert!(position("active-replica yes") < position("replicaof primary2 6379"));
        assert!(position("replica-read-only no") < position("replicaof primary2 6379"));
        assert!(lines.contains(&"save \"\""));
        assert!(!lines.contains(&"multi-master yes"));
    }

    #[test]
    fn a_mesh_is_multi_master_before_it_is_active() {
        let topology = Topology::mesh(3).build().expect("valid");
        let text = conf(&topology, "primary1");
        assert!(
            text.find("multi-master yes").expect("set") < text.find("active-replica").expect("set")
        );
        assert!(text.contains("replicaof primary2 6379\nreplicaof primary3 6379\n"));
    }

    #[test]
    fn a_replica_is_read_only_and_follows_the_proxy() {
        let topology = Topology::active_active()
            .replicas(1)
            .persistence(Persistence::Aof)
            .password("a \"b\\")
            .option("hz", "50")
            .build()
            .expect("valid");
        let text = conf(&topology, "replica1");
        let lines = lines(&text);
        for line in [
            "replica-read-only yes",
            "replicaof proxy 6379",
            "appendonly yes",
            r#"requirepass "a \"b\\""#,
            r#"masterauth "a \"b\\""#,
        ] {
            assert!(lines.contains(&line), "{line} in {text}");
        }
        assert_eq!(lines.last(), Some(&"hz 50"), "options come last");
        assert!(!text.contains("active-replica"));
    }

    fn cfg(password: Option<&str>, resolver: Option<&str>) -> String {
        checked(HealthCheck::default(), password, resolver)
    }

    fn checked(check: HealthCheck, password: Option<&str>, resolver: Option<&str>) -> String {
        let builder = Topology::active_active().health_check(check);
        let builder = match password {
            Some(password) => builder.password(password),
            None => builder,
        };
        let topology = builder.build().expect("valid");
        let proxy = topology.proxy.clone().expect("proxy");
        let reach = at;
        let place = ProxyPlace {
            listens_on: at("0.0.0.0"),
            admin: HostPort {
                host: "127.0.0.1".to_owned(),
                port: 9999,
            },
            reach: &reach,
            resolver: resolver.map(str::to_owned),
            health_check: HEALTH_CHECK,
            check_timeout: CHECK_TIMEOUT,
        };
        haproxy_cfg(&topology, &proxy, &place).expect("renders")
    }

    #[test]
    fn the_proxy_balances_over_the_primaries_and_does_not_stall() {
        let text = cfg(None, None);
        let lines = lines(&text);
        for line in [
            "balance roundrobin",
            "retries 1",
            "option redispatch 1",
            "server primary1 primary1:6379 check",
            "server primary2 primary2:6379 check",
            "stats socket ipv4@127.0.0.1:9999 level admin",
        ] {
            assert!(lines.contains(&line), "{line} in {text}");
        }
        assert!(!text.contains("resolvers"), "{text}");
        assert!(!text.contains("send-binary"), "{text}");
    }

    #[test]
    fn a_password_and_a_resolver_are_rendered_when_there_are() {
        let text = cfg(Some("s"), Some("127.0.0.11:53"));
        assert!(
            text.contains("send-binary 2a320d0a24340d0a415554480d0a24310d0a730d0a"),
            "{text}"
        );
        assert!(text.contains("nameserver dns 127.0.0.11:53"), "{text}");
        assert!(text.contains("resolvers names init-addr none"), "{text}");
    }

    #[rstest]
    #[case::tcp(HealthCheck::Tcp, &[])]
    #[case::ping(HealthCheck::Ping, &[r"send PING\r\n", "expect string +PONG"])]
    #[case::ping_and_role(HealthCheck::PingAndRole, &[
        r"send PING\r\n",
        "expect string +PONG",
        r"send INFO\ replication\r\n",
        "expect string role:active-replica",
    ])]
    #[case::write_probe(HealthCheck::WriteProbe, &[
        r"send SET\ keydb-harness:health\ 1\ EX\ 10\r\n",
        "expect string +OK",
    ])]
    fn a_health_check_is_rendered_step_by_step(
        #[case] check: HealthCheck,
        #[case] wanted: &[&str],
        #[values(None, Some("s"))] password: Option<&str>,
    ) {
        let text = checked(check, password, None);
        let steps = lines(&text)
            .into_iter()
            .filter_map(|line| line.strip_prefix("tcp-check "));
        let mut expected = vec!["connect"];
        // Who asks nothing needs no password.
        if password.is_some() && check != HealthCheck::Tcp {
            expected.push("send-binary 2a320d0a24340d0a415554480d0a24310d0a730d0a");
            expected.push("expect string +OK");
        }
        expected.extend(wanted);
        assert_eq!(steps.collect::<Vec<_>>(), expected);
    }
}
