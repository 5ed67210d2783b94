//! The folder of a reproduction: what is in it, rendered and written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use minijinja::{Environment, context};

use super::{ReproductionError, Script};
use crate::spec::{DEFAULT_HAPROXY_IMAGE, KeydbSpec};
use crate::topology::render::{
    CHECK_TIMEOUT, HEALTH_CHECK, HostPort, NodePlace, ProxyPlace, haproxy_cfg, keydb_conf,
};
use crate::topology::{ADMIN_PORT, KEYDB_PORT, PROXY, Topology, Upstream};

/// What the folder's script is called.
pub const SCRIPT: &str = "reproduce.sh";
/// The file of answers that show the defect.
pub const EXPECTED: &str = "expected.txt";

const COMPOSE: &str = include_str!("../../fixtures/templates/docker-compose.yml");
/// The name server that Docker's engine runs inside every container of a network.
const DOCKER_DNS: &str = "127.0.0.11:53";

/// All that a folder is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Part of the Compose project's name: small letters, digits and `-`.
    pub name: String,
    /// One line for the head of every file.
    pub title: String,
    /// The cluster. Its ports are not published.
    pub topology: Topology,
    /// The image of nodes that name no KeyDB of their own.
    pub image: String,
    /// The steps.
    pub script: Script,
    /// The wrong answers, a line each, in the order of the script's questions.
    pub expected: Vec<String>,
    /// The text of `README.md`.
    pub readme: String,
}

/// The files of a folder, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Name and text.
    pub files: BTreeMap<String, String>,
}

impl Folder {
    /// Renders a plan.
    ///
    /// # Errors
    /// The script has too many lines, a node's KeyDB is none that an image can be named for, or a
    /// template is broken.
    pub fn of(plan: &Plan) -> Result<Self, ReproductionError> {
        let mut files = BTreeMap::new();
        let Plan {
            topology, title, ..
        } = plan;
        for node in &topology.nodes {
            let place = NodePlace {
                listens_on: at("0.0.0.0", KEYDB_PORT),
                data_dir: "/data".to_owned(),
                reach: &|upstream| match upstream {
                    Upstream::Node(name) => at(name, KEYDB_PORT),
                    Upstream::Proxy => at(PROXY, KEYDB_PORT),
                },
            };
            files.insert(
                format!("{}.conf", node.name),
                keydb_conf(topology, node, &place)?,
            );
        }
        if let Some(proxy) = &topology.proxy {
            let place = ProxyPlace {
                listens_on: at("0.0.0.0", KEYDB_PORT),
                admin: at("127.0.0.1", ADMIN_PORT),
                reach: &|name| at(name, KEYDB_PORT),
                resolver: Some(DOCKER_DNS.to_owned()),
                health_check: HEALTH_CHECK,
                check_timeout: CHECK_TIMEOUT,
            };
            files.insert(
                "haproxy.cfg".to_owned(),
                haproxy_cfg(topology, proxy, &place)?,
            );
        }
        files.insert("docker-compose.yml".to_owned(), compose(plan)?);
        let proxied = topology.proxy.is_some();
        let script = plan.script.render(title, &plan.name, proxied)?;
        files.insert(SCRIPT.to_owned(), script);
        files.insert(EXPECTED.to_owned(), plan.expected.join("\n") + "\n");
        files.insert("README.md".to_owned(), plan.readme.clone());
        Ok(Self { files })
    }

    /// Writes the files into `dir`, which is made if it is not there. The servers' users can read
    /// them, whatever the umask, and the script can be run.
    ///
    /// # Errors
    /// The folder or a file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        for (name, text) in &self.files {
            let path = dir.join(name);
            let mode = if name == SCRIPT { 0o755 } else { 0o644 };
            fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// The image of a KeyDB in Compose files: the official one of a version, or one by reference.
///
/// # Errors
/// Neither: a binary or a model.
pub fn image(keydb: &KeydbSpec) -> Result<String, ReproductionError> {
    match keydb {
        KeydbSpec::Image(reference) => Ok(reference.clone()),
        KeydbSpec::Version(version) => Ok(official(version)),
        KeydbSpec::Path(_) | KeydbSpec::Model(_) => Err(ReproductionError::NoImage(keydb.clone())),
    }
}

/// The official image of a version, as `compose/` has it.
pub(super) fn official(version: &str) -> String {
    format!("eqalpha/keydb:x86_64_v{version}")
}

/// `docker-compose.yml`. A node with a KeyDB of its own has a variable of its own for it.
fn compose(plan: &Plan) -> Result<String, ReproductionError> {
    let nodes = plan.topology.nodes.iter().map(|node| {
        let image = match &node.keydb {
            None => format!("${{KEYDB_IMAGE:-{}}}", plan.image),
            Some(keydb) => {
                let variable = node.name.to_uppercase();
                format!("${{KEYDB_IMAGE_{variable}:-{}}}", image(keydb)?)
            }
        };
        Ok(context! { name => &node.name, image })
    });
    let nodes = nodes.collect::<Result<Vec<_>, ReproductionError>>()?;
    let proxy = plan.topology.proxy.as_ref().map(|_| {
        context! { name => PROXY, image => format!("${{HAPROXY_IMAGE:-{DEFAULT_HAPROXY_IMAGE}}}") }
    });
    let parted = plan.script.parts();
    Environment::new()
        .render_str(
            COMPOSE,
            context! { title => &plan.title, parted, nodes, proxy },
        )
        .map(|text| text.trim_end().to_owned() + "\n")
        .map_err(|error| ReproductionError::Template(error.to_string()))
}

fn at(host: &str, port: u16) -> HostPort {
    HostPort {
        host: host.to_owned(),
        port,
    }
}
