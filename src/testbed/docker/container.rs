//! Creating one server's container.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use tar::{Builder, EntryType};
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig,
    Mount, MountType, MountVolumeOptions, NetworkingConfig, PortBinding, PortMap,
};
use testcontainers::bollard::query_parameters::{
    CreateContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use testcontainers::bollard::{Docker, body_full};

use super::import;
use super::labels::Labels;
use crate::spec::KeydbSpec;
use crate::testbed::Program;
use crate::testbed::process::MODEL;
use crate::topology::{ADMIN_PORT, KEYDB_PORT};

/// Where a server finds its data.
pub(super) const DATA: &str = "/data";
const CONFIG_DIR: &str = "etc/keydb-harness/";
const CONFIG: &str = "/etc/keydb-harness/server.conf";

/// What stays the same of a server's container when its program is replaced.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Of the container.
    pub(super) name: String,
    pub(super) server: String,
    pub(super) labels: Labels,
    pub(super) network: String,
    pub(super) address: Ipv4Addr,
    pub(super) volume: Option<String>,
    pub(super) volume_labels: Labels,
    pub(super) host_port: Option<u16>,
    pub(super) admin: bool,
}

impl Frame {
    /// Creates the container, without starting it, and puts its configuration into it.
    pub(super) async fn create(
        &self,
        docker: &Docker,
        program: &Program,
        image: &str,
        config: &str,
    ) -> Result<(), Error> {
        let options = CreateContainerOptionsBuilder::new()
            .name(&self.name)
            .build();
        docker
            .create_container(Some(options), self.body(program, image))
            .await?;
        self.configure(docker, config).await
    }

    /// Puts a configuration into the container, whether it runs or not.
    pub(super) async fn configure(&self, docker: &Docker, config: &str) -> Result<(), Error> {
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let archive = config_archive(config)?;
        docker
            .upload_to_container(&self.name, Some(options), body_full(archive.into()))
            .await
    }

    /// Its place in its cluster's network.
    pub(super) fn endpoint(&self) -> EndpointSettings {
        EndpointSettings {
            ipam_config: Some(EndpointIpamConfig {
                ipv4_address: Some(self.address.to_string()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn body(&self, program: &Program, image: &str) -> ContainerCreateBody {
        let ports = self.ports();
        let endpoint = self.endpoint();
        ContainerCreateBody {
            image: Some(image.to_owned()),
            // Not the entrypoint: that of an official image expects to be given such a command.
            cmd: Some(command(program)),
            hostname: Some(self.server.clone()),
            labels: Some(self.labels.clone()),
            exposed_ports: Some(ports.keys().cloned().collect()),
            // HAProxy's official image asks for SIGUSR1: a stop without a grace.
            stop_signal: Some("SIGTERM".to_owned()),
            host_config: Some(HostConfig {
                network_mode: Some(self.network.clone()),
                port_bindings: Some(ports),
                mounts: self.volume.as_ref().map(|volume| {
                    vec![Mount {
                        typ: Some(MountType::VOLUME),
                        source: Some(volume.clone()),
                        target: Some(DATA.to_owned()),
                        // The engine makes a volume anew that was removed in between.
                        volume_options: Some(MountVolumeOptions {
                            labels: Some(self.volume_labels.clone()),
                            ..Default::default()
                        }),
                        ..Default::default()
                    }]
                }),
                // Kept over restarts and readable, whatever the engine's own setting is.
                log_config: Some(HostConfigLogConfig {
                    typ: Some("json-file".to_owned()),
                    config: None,
                }),
                ..Default::default()
            }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(self.network.clone(), endpoint)])),
            }),
            ..Default::default()
        }
    }

    /// Every port on the host's loopback only; the engine picks a free one unless it is fixed.
    fn ports(&self) -> PortMap {
        let published = |host_port: Option<u16>| {
            Some(vec![PortBinding {
                host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
                host_port: host_port.map(|port| port.to_string()),
            }])
        };
        let mut ports = PortMap::from([(tcp(KEYDB_PORT), published(self.host_port))]);
        if self.admin {
            ports.insert(tcp(ADMIN_PORT), published(None));
        }
        ports
    }
}

fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

fn command(program: &Program) -> Vec<String> {
    let words: &[&str] = match program {
        Program::Keydb(KeydbSpec::Model(_)) => &[MODEL, "model", CONFIG],
        Program::Keydb(_) => &["keydb-server", CONFIG],
        // A master with a worker, in the foreground: only so can it be reloaded.
        Program::Haproxy(_) => &["haproxy", "-W", "-db", "-f", CONFIG],
    };
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    if let Program::Keydb(KeydbSpec::Model(quirks)) = program {
        words.extend(quirks.to_flags());
    }
    words
}

/// Readable by all: official images run the server as a user of their own.
fn config_archive(config: &str) -> std::io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    let mut dir = import::header(EntryType::Directory, 0o755, 0);
    tar.append_data(&mut dir, CONFIG_DIR, std::io::empty())?;
    let mut file = import::header(EntryType::Regular, 0o644, config.len() as u64);
    tar.append_data(&mut file, &CONFIG[1..], config.as_bytes())?;
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn frame(host_port: Option<u16>, admin: bool) -> Frame {
        Frame {
            name: "keydb-harness-1-1-x".to_owned(),
            server: "x".to_owned(),
            labels: Labels::new(),
            network: "keydb-harness-1-1".to_owned(),
            address: Ipv4Addr::new(10, 213, 0, 11),
            volume: (!admin).then(|| "keydb-harness-1-1-x".to_owned()),
            volume_labels: Labels::new(),
            host_port,
            admin,
        }
    }

    #[test]
    fn ports_are_published_on_the_loopback_only() {
        let ports = frame(Some(6400), true).ports();
        assert_eq!(ports.len(), 2);
        for binding in ports.values().flatten().flatten() {
            assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
        }
        let service = ports["6379/tcp"].as_ref().unwrap();
        assert_eq!(service[0].host_port.as_deref(), Some("6400"));
        assert_eq!(ports["9999/tcp"].as_ref().unwrap()[0].host_port, None);
    }

    #[test]
    fn the_image_keeps_its_entrypoint() {
        let program = Program::Keydb(KeydbSpec::default());
        let body = frame(None, false).body(&program, "keydb");
        assert_eq!(body.entrypoint, None);
        assert_eq!(
            body.cmd.unwrap(),
            ["keydb-server", "/etc/keydb-harness/server.conf"]
        );
    }
}
