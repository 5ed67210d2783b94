//! The connection to the engine, and its errors in a form that fits into a sentence.

use std::time::Duration;

use testcontainers::TestcontainersError;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::core::client::{ClientError, docker_client_instance};

use crate::testbed::EnvironmentError;

/// How long an engine may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(10);

/// A client for the engine that testcontainers finds, so that both talk to the same one.
///
/// It may be used from any runtime, also after the one it was made in has ended: it keeps no idle
/// connection, and so nothing in it is bound to a runtime.
pub(super) async fn connect() -> Result<Docker, EnvironmentError> {
    let silent = |cause: &str| {
        EnvironmentError::new(format!(
            "the Docker engine does not answer ({cause}): start it, set DOCKER_HOST to where it is, or use --testbed process"
        ))
    };
    let docker = docker_client_instance()
        .await
        .map_err(|error| silent(&inner_cause(&error.into())))?;
    match tokio::time::timeout(ANSWER, docker.ping()).await {
        Ok(Ok(_)) => Ok(docker),
        Ok(Err(error)) => Err(silent(&cause(&error))),
        Err(_) => Err(silent(&format!(
            "nothing came back in {} s",
            ANSWER.as_secs()
        ))),
    }
}

/// The engine did not do what it was asked; `what` is, for example, "create the network x".
pub(super) fn refused(what: &str, cause: &str) -> EnvironmentError {
    EnvironmentError::new(format!(
        "the Docker engine did not {what} ({cause}): see what `docker info` says, then try again"
    ))
}

/// What the engine says, without the client's wrapping.
pub(super) fn cause(error: &Error) -> String {
    one_line(&match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        // The layers above the operating system's say nothing ("client error (Connect)").
        other => {
            let mut deepest: &dyn std::error::Error = other;
            while let Some(source) = deepest.source() {
                deepest = source;
            }
            deepest.to_string()
        }
    })
}

/// What the engine says, without the wrappings of testcontainers.
pub(super) fn inner_cause(error: &TestcontainersError) -> String {
    match error {
        TestcontainersError::Client(
            ClientError::PullImage { err, .. }
            | ClientError::Init(err)
            | ClientError::ListContainers(err)
            | ClientError::InspectContainer(err)
            | ClientError::StartContainer(err)
            | ClientError::PauseContainer(err)
            | ClientError::UnpauseContainer(err),
        ) => cause(err),
        other => one_line(&other.to_string()),
    }
}

/// Whether the engine answered that the thing is not there.
pub(super) fn is_absent(error: &Error) -> bool {
    has_status(error, 404)
}

/// Whether the engine answered that it cannot do what was asked at all, such as run a program that
/// is not in the container.
pub(super) fn is_bad_request(error: &Error) -> bool {
    has_status(error, 400)
}

/// Whether the engine answered that the thing's state does not allow this (now).
pub(super) fn is_conflict(error: &Error) -> bool {
    has_status(error, 409)
}

fn has_status(error: &Error, status: u16) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code, .. } if *status_code == status)
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
