//! The files in `compose/` say what the harness says: its configuration is rendered by the same
//! code from the same topology, and its images and ports are the harness's.
//!
//! `KEYDB_HARNESS_BLESS=1 cargo test --test compose_files` rewrites `compose/conf/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use keydb_harness::spec::{DEFAULT_HAPROXY_IMAGE, DEFAULT_KEYDB};
use keydb_harness::topology::render::{
    CHECK_TIMEOUT, HEALTH_CHECK, HostPort, NodePlace, ProxyPlace, haproxy_cfg, keydb_conf,
};
use keydb_harness::topology::{
    ADMIN_PORT, HealthCheck, KEYDB_PORT, NodeSpec, PROXY, Persistence, Role, Topology, Upstream,
};

const BLESS: &str = "KEYDB_HARNESS_BLESS";
/// The name server that Docker's engine runs inside every container of a network.
const DOCKER_DNS: &str = "127.0.0.11:53";

fn compose() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compose")
}

/// The guide's cluster. Its data survive `stop` and `start`.
fn topology() -> Topology {
    Topology::active_active()
        .replicas(3)
        .persistence(Persistence::Rdb)
        // The one that was measured to be best: see the README.
        .health_check(HealthCheck::WriteProbe)
        .guide_ports()
        .build()
        .expect("valid")
}

fn everywhere(port: u16) -> HostPort {
    at("0.0.0.0", port)
}

/// Servers reach each other by their services' names.
fn at(host: &str, port: u16) -> HostPort {
    HostPort {
        host: host.to_owned(),
        port,
    }
}

fn conf(topology: &Topology, node: &NodeSpec) -> String {
    let place = NodePlace {
        listens_on: everywhere(KEYDB_PORT),
        data_dir: "/data".to_owned(),
        reach: &|upstream| match upstream {
            Upstream::Node(name) => at(name, KEYDB_PORT),
            Upstream::Proxy => at(PROXY, KEYDB_PORT),
        },
    };
    keydb_conf(topology, node, &place).expect("renders")
}

/// What belongs into `compose/conf/`, by file name.
fn rendered() -> BTreeMap<String, String> {
    let topology = topology();
    let proxy = topology.proxy.as_ref().expect("the guide has a proxy");
    let place = ProxyPlace {
        listens_on: everywhere(KEYDB_PORT),
        admin: at("127.0.0.1", ADMIN_PORT),
        reach: &|name| at(name, KEYDB_PORT),
        resolver: Some(DOCKER_DNS.to_owned()),
        health_check: HEALTH_CHECK,
        check_timeout: CHECK_TIMEOUT,
    };
    let mut files = BTreeMap::new();
    files.insert(
        "haproxy.cfg".to_owned(),
        haproxy_cfg(&topology, proxy, &place).expect("renders"),
    );
    for node in topology.primaries() {
        files.insert(format!("{}.conf", node.name), conf(&topology, node));
    }
    // Replicas differ in their names only, so one file serves them all.
    for node in topology.replicas() {
        let shared = NodeSpec {
            name: "replica".to_owned(),
            ..node.clone()
        };
        let text = conf(&topology, &shared);
        let first = files
            .entry("replica.conf".to_owned())
            .or_insert(text.clone());
        assert_eq!(
            *first, text,
            "{} needs a configuration of its own",
            node.name
        );
    }
    files
}

fn yml() -> String {
    fs::read_to_string(compose().join("docker-compose.yml")).expect("readable")
}

#[test]
fn configuration_is_rendered_from_the_harness_topology() {
    let directory = compose().join("conf");
    let rendered = rendered();
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        for (name, text) in &rendered {
            fs::write(directory.join(name), text).expect(name);
        }
    }
    let committed: BTreeMap<String, String> = fs::read_dir(&directory)
        .expect("compose/conf")
        .map(|entry| {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("named").to_string_lossy();
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name.into_owned(), text)
        })
        .collect();
    assert_eq!(
        committed.keys().collect::<Vec<_>>(),
        rendered.keys().collect::<Vec<_>>(),
        "files in compose/conf"
    );
    for (name, text) in &rendered {
        assert_eq!(
            committed[name], *text,
            "compose/conf/{name} is not what the harness renders; {BLESS}=1 rewrites it"
        );
    }
}

#[test]
fn images_are_those_of_the_harness_and_can_be_overridden() {
    let yml = yml();
    let images: Vec<&str> = yml
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .collect();
    assert_eq!(
        images,
        [
            format!("\"${{KEYDB_IMAGE:-eqalpha/keydb:x86_64_v{DEFAULT_KEYDB}}}\""),
            format!("\"${{HAPROXY_IMAGE:-{DEFAULT_HAPROXY_IMAGE}}}\""),
        ]
    );
}

/// The lines below `name:` in `services:`.
fn service<'a>(yml: &'a str, name: &str) -> Vec<&'a str> {
    let services = yml.split_once("\nservices:\n").expect("services").1;
    let heading = format!("  {name}:");
    services
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(str::trim)
        .collect()
}

#[test]
fn services_and_ports_are_those_of_the_topology() {
    let yml = yml();
    let topology = topology();
    let nodes = topology.nodes.iter().map(|node| {
        let anchor = match node.role {
            Role::Primary => "primary",
            Role::Replica => "replica",
        };
        (node.name.as_str(), node.host_port, Some(anchor))
    });
    let proxy = topology.proxy.iter().map(|p| (PROXY, p.host_port, None));
    let mut published = 0;
    for (name, port, anchor) in nodes.chain(proxy) {
        let lines = service(&yml, name);
        let port = port.expect("the guide's ports are fixed");
        let mapping = format!("- \"127.0.0.1:{port}:{KEYDB_PORT}\"");
        assert!(lines.contains(&mapping.as_str()), "{name}: {lines:?}");
        published += 1;
        if let Some(anchor) = anchor {
            assert_eq!(lines[0], format!("<<: *{anchor}"), "{name}");
        }
    }
    let mappings = yml
        .lines()
        .filter(|line| line.trim().starts_with("- \"127.0.0.1:"));
    assert_eq!(mappings.count(), published, "no other port is published");
}

#[test]
fn there_is_no_version_key_and_the_project_has_a_name() {
    let yml = yml();
    for key in ["version:", "name:"] {
        assert!(!yml.lines().any(|line| line.starts_with(key)), "{key}");
    }
    let environment = fs::read_to_string(compose().join(".env")).expect("readable");
    assert!(environment.contains("COMPOSE_PROJECT_NAME=keydb-harness-guide\n"));
}

#[test]
fn image_recipes_name_no_host_and_no_official_image() {
    for name in ["make", "Dockerfile.keydb", "Dockerfile.haproxy"] {
        let text = fs::read_to_string(compose().join("images").join(name)).expect(name);
        for foreign in ["://", ".org", "eqalpha", "FROM debian", "FROM haproxy"] {
            assert!(!text.contains(foreign), "{name} says {foreign}");
        }
    }
}
