//! Reading out of a container: what it printed, and the program in it.

use std::io::Read;

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use tar::Archive;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::exec::StartExecResults;
use testcontainers::bollard::models::ExecConfig;
use testcontainers::bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder,
};

use super::engine::{cause, is_absent, is_bad_request};
use super::import;

/// How many symbolic links in a row are followed.
const LINKS: usize = 8;

/// All that a container has printed, over all its starts.
pub(super) async fn log(docker: &Docker, container: &str) -> Result<String, Error> {
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .tail("all")
        .build();
    let mut chunks = Box::pin(docker.logs(container, Some(options)));
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        bytes.extend_from_slice(&chunk.into_bytes());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs a command in a container: its exit code, and all that it printed. A container that has no
/// such program counts as code 127 with what the engine says.
pub(super) async fn run(
    docker: &Docker,
    container: &str,
    command: &[&str],
    variable: Option<String>,
) -> Result<(i64, String), Error> {
    let config = ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: variable.map(|variable| vec![variable]),
        cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        ..Default::default()
    };
    let made = docker.create_exec(container, config).await?;
    let mut bytes = Vec::new();
    match docker.start_exec(&made.id, None).await {
        Ok(StartExecResults::Attached { mut output, .. }) => {
            while let Some(chunk) = output.try_next().await? {
                bytes.extend_from_slice(&chunk.into_bytes());
            }
        }
        Ok(StartExecResults::Detached) => {}
        Err(error) if is_bad_request(&error) => return Ok((NO_PROGRAM, cause(&error))),
        Err(error) => return Err(error),
    }
    let ended = docker.inspect_exec(&made.id).await?;
    let said = String::from_utf8_lossy(&bytes).into_owned();
    Ok((ended.exit_code.unwrap_or(NO_PROGRAM), said))
}

/// A shell's exit code for a program that is not there.
const NO_PROGRAM: i64 = 127;

/// The SHA-256 of the program that a server says it was started from; none if it is not there.
///
/// A server that was started by its bare name takes that for a file of its working directory
/// (measured: `/data/keydb-server`), so the name is also looked for where the image looks for
/// programs.
pub(super) async fn binary_sha256(
    docker: &Docker,
    container: &str,
    executable: &str,
) -> Result<Option<String>, Error> {
    let name = executable.rsplit('/').next().unwrap_or(executable);
    let mut candidates = vec![executable.to_owned()];
    for dir in search_path(docker, container).await?.split(':') {
        candidates.push(format!("{dir}/{name}"));
    }
    for path in candidates {
        match sha256_of(docker, container, &path).await {
            Ok(hash) => return Ok(Some(hash)),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn search_path(docker: &Docker, container: &str) -> Result<String, Error> {
    let found = docker
        .inspect_container(container, None::<InspectContainerOptions>)
        .await?;
    let variables = found.config.and_then(|config| config.env);
    let path = variables
        .into_iter()
        .flatten()
        .find_map(|variable| variable.strip_prefix("PATH=").map(str::to_owned));
    Ok(path.unwrap_or_default())
}

/// The names of what is in a directory of a container, sorted; the container need not run.
pub(super) async fn files(
    docker: &Docker,
    container: &str,
    dir: &str,
) -> Result<Vec<String>, Error> {
    let bytes = archive(docker, container, dir).await?;
    Ok(names(&bytes)?)
}

/// The names of what is right below the only directory of an archive, sorted.
fn names(bytes: &[u8]) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Archive::new(bytes).entries()? {
        let path = entry?.path()?.into_owned();
        let mut parts = path.components().skip(1);
        if let (Some(name), None) = (parts.next(), parts.next()) {
            names.push(name.as_os_str().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What is at a path in a container, as the engine packs it.
async fn archive(docker: &Docker, container: &str, path: &str) -> Result<Vec<u8>, Error> {
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(path)
        .build();
    let mut archive = Vec::new();
    let mut chunks = Box::pin(docker.download_from_container(container, Some(options)));
    while let Some(chunk) = chunks.try_next().await? {
        archive.extend_from_slice(&chunk);
    }
    Ok(archive)
}

/// The SHA-256 of a file in a container, in hex; symbolic links are followed.
async fn sha256_of(docker: &Docker, container: &str, path: &str) -> Result<String, Error> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match read_archive(&archive(docker, container, &path).await?)? {
            Content::Sha256(hash) => return Ok(hash),
            Content::Link(target) => path = beside(&path, &target),
        }
    }
    Err(std::io::Error::other(format!("{path}: too many links")).into())
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Sha256(String),
    Link(String),
}

/// What the only entry of an archive is.
fn read_archive(bytes: &[u8]) -> std::io::Result<Content> {
    let mut archive = Archive::new(bytes);
    let mut entry = archive
        .entries()?
        .next()
        .ok_or_else(|| std::io::Error::other("an empty archive"))??;
    if let Some(target) = entry.link_name()? {
        return Ok(Content::Link(target.to_string_lossy().into_owned()));
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(Content::Sha256(import::hex(&Sha256::digest(&content))))
}

/// Where a link at `path` points to. The engine resolves `..`.
fn beside(path: &str, target: &str) -> String {
    match (target.starts_with('/'), path.rsplit_once('/')) {
        (false, Some((dir, _))) => format!("{dir}/{target}"),
        _ => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, EntryType};

    #[test]
    fn what_is_right_below_a_directory_is_named() {
        let mut tar = Builder::new(Vec::new());
        let mut dir = import::header(EntryType::Directory, 0o755, 0);
        for name in ["data/", "data/sub/"] {
            tar.append_data(&mut dir, name, std::io::empty()).unwrap();
        }
        let mut file = import::header(EntryType::Regular, 0o644, 0);
        for name in ["data/sub/x", "data/dump.rdb"] {
            tar.append_data(&mut file, name, std::io::empty()).unwrap();
        }
        let bytes = tar.into_inner().unwrap();
        assert_eq!(names(&bytes).unwrap(), ["dump.rdb", "sub"]);
    }

    #[test]
    fn a_link_is_told_from_a_file() {
        let mut tar = Builder::new(Vec::new());
        let mut link = import::header(EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut link, "keydb-server", "keydb-7")
            .unwrap();
        let target = Content::Link("keydb-7".to_owned());
        assert_eq!(read_archive(&tar.into_inner().unwrap()).unwrap(), target);
        assert_eq!(
            beside("/usr/bin/keydb-server", "keydb-7"),
            "/usr/bin/keydb-7"
        );
        assert_eq!(beside("/usr/bin/keydb-server", "/opt/k"), "/opt/k");
    }
}
