//! What a run is asked to use: the same grammar as flags and as environment variables.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::spec::{HaproxySpec, KeydbSpec};
use crate::testbed::TestbedKind;

/// `KEYDB_HARNESS_TESTBED`: which testbed.
pub const ENV_TESTBED: &str = "KEYDB_HARNESS_TESTBED";
/// `KEYDB_HARNESS_KEYDB`: which KeyDB.
pub const ENV_KEYDB: &str = "KEYDB_HARNESS_KEYDB";
/// `KEYDB_HARNESS_HAPROXY`: which HAProxy.
pub const ENV_HAPROXY: &str = "KEYDB_HARNESS_HAPROXY";
/// `KEYDB_HARNESS_EXPECT`: which expectations.
pub const ENV_EXPECT: &str = "KEYDB_HARNESS_EXPECT";
/// `KEYDB_HARNESS_SEED`: the seed of everything that is drawn by chance.
pub const ENV_SEED: &str = "KEYDB_HARNESS_SEED";

/// Which testbed a run asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TestbedChoice {
    /// The best that is here: Docker, else processes, else the embedded model.
    #[default]
    Auto,
    /// This one and no other.
    Only(TestbedKind),
    /// A cluster that runs somewhere, by its inventory: nothing is started.
    Attached,
}

/// Which expectations a run is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expect {
    /// Those that the harness ships for the version the servers report.
    #[default]
    Shipped,
    /// This file.
    File(PathBuf),
    /// None: promises alone.
    None,
}

/// What a run is asked to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Which testbed.
    pub testbed: TestbedChoice,
    /// Which KeyDB; the default release if not given.
    pub keydb: Option<KeydbSpec>,
    /// Which HAProxy; the testbed's default if not given.
    pub haproxy: Option<HaproxySpec>,
    /// Which expectations.
    pub expect: Expect,
    /// The seed; drawn if not given.
    pub seed: Option<u64>,
}

/// A setting that does not fit its grammar: exit code 64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl FromStr for TestbedChoice {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        match text {
            "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Only(TestbedKind::Docker)),
            "process" => Ok(Self::Only(TestbedKind::Process)),
            "embedded" => Ok(Self::Only(TestbedKind::Embedded)),
            "attached" => Ok(Self::Attached),
            _ => Err(UsageError(format!(
                "'{text}' is no testbed: use auto, docker, process, embedded or attached"
            ))),
        }
    }
}

impl fmt::Display for TestbedChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Only(kind) => kind.fmt(f),
            Self::Attached => f.write_str("attached"),
        }
    }
}

impl FromStr for Expect {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        Ok(match text {
            "none" => Self::None,
            file => Self::File(PathBuf::from(file)),
        })
    }
}

impl Settings {
    /// Whether a testbed or a program was asked for by name: then its absence is a failure, not a
    /// reason to skip.
    pub fn name_something(&self) -> bool {
        self.testbed != TestbedChoice::Auto || self.keydb.is_some() || self.haproxy.is_some()
    }

    /// The settings that the environment asks for.
    ///
    /// # Errors
    /// A variable does not fit its grammar; the text names it.
    pub fn from_env() -> Result<Self, UsageError> {
        Ok(Self {
            testbed: variable(ENV_TESTBED)?.unwrap_or_default(),
            keydb: variable(ENV_KEYDB)?,
            haproxy: variable(ENV_HAPROXY)?,
            expect: variable(ENV_EXPECT)?.unwrap_or_default(),
            seed: variable(ENV_SEED)?,
        })
    }
}

fn variable<T>(name: &str) -> Result<Option<T>, UsageError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => text
            .parse()
            .map(Some)
            .map_err(|error| UsageError(format!("{name}: {error}"))),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(UsageError(format!("{name}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn testbeds_are_named_and_unknown_ones_refused() {
        assert_eq!("auto".parse(), Ok(TestbedChoice::Auto));
        assert_eq!(
            "process".parse(),
            Ok(TestbedChoice::Only(TestbedKind::Process))
        );
        let error = "podman".parse::<TestbedChoice>().expect_err("unknown");
        assert!(error.to_string().contains("'podman' is no testbed"));
    }
}
