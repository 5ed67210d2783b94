//! Looks at a cluster that runs somewhere, without writing to it, and names what is wrong or risky.
//!
//! [`survey`] asks each node for INFO, its configuration and its clock; [`rules`] look at what was
//! said, each a pure function; [`proxy`] looks at an HAProxy configuration file, [`mod@file`] at a
//! `keydb.conf`.

pub mod file;
pub mod proxy;
pub mod rules;
pub mod survey;

use serde::{Deserialize, Serialize};

use crate::explanation::Explanation;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Data are lost or differ, or nobody is served, as soon as something fails; or already.
    Risk,
    /// It makes a failure longer or harder.
    Warning,
    /// To know.
    Notice,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Risk => "risk",
            Self::Warning => "warning",
            Self::Notice => "notice",
        })
    }
}

/// One thing that was noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How bad.
    pub severity: Severity,
    /// Which node, by its address, or `haproxy`, or `cluster`.
    pub at: String,
    /// What is seen, in one sentence.
    pub says: String,
    /// What to do about it.
    pub mend: String,
    /// The known defect behind it: `explain` tells more.
    pub id: Option<String>,
}

impl Notice {
    /// Something without a known defect behind it.
    fn new(
        severity: Severity,
        at: impl Into<String>,
        says: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            at: at.into(),
            says: says.into(),
            mend: mend.into(),
            id: None,
        }
    }

    /// The same with a known defect behind it.
    fn known(self, id: &str) -> Self {
        Self {
            id: Some(id.to_owned()),
            ..self
        }
    }
}

/// The ids among them that can be explained, each once.
pub fn explained<'a>(notices: &'a [Notice], known: &[Explanation]) -> Vec<&'a str> {
    let mut ids: Vec<&str> = Vec::new();
    for id in notices.iter().filter_map(|notice| notice.id.as_deref()) {
        if !ids.contains(&id) && known.iter().any(|it| it.id == id) {
            ids.push(id);
        }
    }
    ids
}
