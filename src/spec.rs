//! What to run: the SPEC grammar for KeyDB and HAProxy, shared by flags and environment.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::model::Quirks;

/// The KeyDB release a run uses when nothing else is asked for.
pub const DEFAULT_KEYDB: &str = "6.3.4";

/// The HAProxy image a Docker run uses when nothing else is asked for (an LTS line, pinned).
pub const DEFAULT_HAPROXY_IMAGE: &str = "haproxy:3.2.4";

/// Which KeyDB to run: `image:REF`, `path:FILE`, `version:X.Y.Z`, or `model` (with quirks:
/// `model:NAME+NAME`).
///
/// ```
/// use keydb_harness::spec::KeydbSpec;
/// let spec: KeydbSpec = "version:6.2.2".parse()?;
/// assert_eq!(spec, KeydbSpec::Version("6.2.2".into()));
/// assert!("6.2.2".parse::<KeydbSpec>().is_err());
/// # Ok::<(), keydb_harness::spec::SpecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeydbSpec {
    /// A container image, by reference.
    Image(String),
    /// A `keydb-server` binary on this machine.
    Path(PathBuf),
    /// A release: the official image in Docker, `$KEYDB_RELEASES/X.Y.Z/keydb-server` as a process.
    Version(String),
    /// The harness's own model of KeyDB, with quirks or without: not KeyDB.
    Model(Quirks),
}

/// Which HAProxy to run: `image:REF`, `path:FILE` or `built-in`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HaproxySpec {
    /// A container image, by reference.
    Image(String),
    /// An `haproxy` binary on this machine.
    Path(PathBuf),
    /// The harness's own small proxy, on the embedded testbed only: not HAProxy.
    BuiltIn,
}

/// A SPEC that does not fit the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not {what}: write {grammar}")]
pub struct SpecError {
    given: String,
    what: &'static str,
    grammar: &'static str,
}

const KEYDB_GRAMMAR: &str = "image:REF, path:FILE, version:X.Y.Z or model";
const HAPROXY_GRAMMAR: &str = "image:REF, path:FILE or built-in";

/// The SPEC of the model.
const MODEL: &str = "model";
/// The SPEC of the built-in proxy.
const BUILT_IN: &str = "built-in";

impl Default for KeydbSpec {
    fn default() -> Self {
        Self::Version(DEFAULT_KEYDB.to_owned())
    }
}

impl FromStr for KeydbSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let error = || SpecError {
            given: text.to_owned(),
            what: "a KeyDB SPEC",
            grammar: KEYDB_GRAMMAR,
        };
        if text == MODEL {
            return Ok(Self::Model(Quirks::default()));
        }
        match text.split_once(':').ok_or_else(error)? {
            (_, "") => Err(error()),
            ("image", reference) => Ok(Self::Image(reference.to_owned())),
            ("path", file) => Ok(Self::Path(PathBuf::from(file))),
            (MODEL, quirks) => quirks.parse().map(Self::Model).map_err(|_| error()),
            ("version", version) if is_release(version) => Ok(Self::Version(version.to_owned())),
            _ => Err(error()),
        }
    }
}

impl FromStr for HaproxySpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let error = || SpecError {
            given: text.to_owned(),
            what: "an HAProxy SPEC",
            grammar: HAPROXY_GRAMMAR,
        };
        if text == BUILT_IN {
            return Ok(Self::BuiltIn);
        }
        match text.split_once(':').ok_or_else(error)? {
            (_, "") => Err(error()),
            ("image", reference) => Ok(Self::Image(reference.to_owned())),
            ("path", file) => Ok(Self::Path(PathBuf::from(file))),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for KeydbSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference) => write!(f, "image:{reference}"),
            Self::Path(file) => write!(f, "path:{}", file.display()),
            Self::Version(version) => write!(f, "version:{version}"),
            Self::Model(quirks) if quirks.is_empty() => f.write_str(MODEL),
            Self::Model(quirks) => write!(f, "{MODEL}:{quirks}"),
        }
    }
}

impl fmt::Display for HaproxySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference) => write!(f, "image:{reference}"),
            Self::Path(file) => write!(f, "path:{}", file.display()),
            Self::BuiltIn => f.write_str(BUILT_IN),
        }
    }
}

/// Whether `text` is three numbers joined by dots, as KeyDB's release tags are.
fn is_release(text: &str) -> bool {
    let parts: Vec<_> = text.split('.').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::image("image:eqalpha/keydb:x86_64_v6.3.4")]
    #[case::image_with_registry("image:localhost:5000/keydb:1")]
    #[case::path("path:/opt/keydb-server")]
    #[case::version("version:6.3.4")]
    #[case::model("model")]
    #[case::quirks("model:no-tombstones+ttl-lost")]
    fn keydb_spec_round_trips(#[case] text: &str) {
        let spec: KeydbSpec = text.parse().expect(text);
        assert_eq!(spec.to_string(), text);
    }

    #[rstest]
    #[case::no_kind("6.3.4")]
    #[case::empty("")]
    #[case::empty_value("image:")]
    #[case::unknown_kind("tarball:x")]
    #[case::not_a_release("version:latest")]
    #[case::two_numbers("version:6.3")]
    #[case::unknown_quirk("model:x")]
    #[case::path_traversal("version:../6.3")]
    fn malformed_keydb_spec_names_the_grammar(#[case] text: &str) {
        let error = text.parse::<KeydbSpec>().expect_err(text).to_string();
        assert!(error.contains(KEYDB_GRAMMAR), "{error}");
    }

    #[test]
    fn haproxy_has_no_version_spec() {
        assert!("version:2.6.12".parse::<HaproxySpec>().is_err());
        assert!("path:/usr/sbin/haproxy".parse::<HaproxySpec>().is_ok());
    }
}
