//! What the nodes of a cluster say. Asked with `INFO`, `CONFIG GET` and `TIME`, which write nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use redis::{Value, cmd};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::cluster::info::Info;
use crate::cluster::reach::Reach;
use crate::cluster::{Client, ClientError, Timeouts};
use crate::secret;
use crate::topology::Role;

/// The commands that a survey sends, first words: none of them writes.
pub const COMMANDS: &[&str] = &["INFO", "CONFIG GET", "TIME"];

/// How long a host's addresses are looked for.
const LOOKUP: Duration = Duration::from_secs(5);

/// A node that is to be asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What it is called in notices: a name, or `HOST:PORT`.
    pub name: String,
    /// Where it is, and as whom it is asked.
    pub reach: Reach,
    /// What it is meant to be, where an inventory says so.
    pub declared: Option<Declared>,
}

/// What a node is meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Primary or replica.
    pub role: Role,
    /// Whom it is to follow, by name; `proxy` among them.
    pub follows: Vec<String>,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// As it was asked.
    pub asked: Asked,
    /// Where its host is found.
    pub addresses: Vec<IpAddr>,
    /// What it says, or why it says nothing.
    pub facts: Result<Facts, String>,
}

impl Surveyed {
    /// What it is called in notices.
    pub fn name(&self) -> &str {
        &self.asked.name
    }
}

/// What a node says.
#[derive(Debug, Clone)]
pub struct Facts {
    /// INFO, all sections.
    pub info: Info,
    /// CONFIG GET, by option; empty where that is not allowed. Passwords that are set are `***`.
    pub config: BTreeMap<String, String>,
    /// How far its clock is ahead of this machine's, negative if behind, and by how much that may be
    /// wrong: half of the time that the answer took.
    pub clock: Option<(f64, f64)>,
}

impl Facts {
    /// A value of its configuration.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.config.get(name).map(String::as_str)
    }

    /// An option that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.option(name)?.parse().ok()
    }

    /// Whether an option is `yes`.
    pub fn is_on(&self, name: &str) -> bool {
        self.option(name) == Some("yes")
    }

    /// Whether it replicates actively: it says so, or it has the role.
    pub fn is_active(&self) -> bool {
        self.is_on("active-replica") || self.info.get("role") == Some("active-replica")
    }
}

/// Asks every node.
pub async fn survey(nodes: &[Asked]) -> Vec<Surveyed> {
    join_all(nodes.iter().map(|asked| async {
        let reach = &asked.reach;
        // A host without an address does not answer either: there the reason is told.
        let found = timeout(LOOKUP, lookup_host((&*reach.host, reach.port)));
        let (found, facts) = tokio::join!(found, facts(reach));
        let found = found.ok().and_then(Result::ok).into_iter().flatten();
        Surveyed {
            asked: asked.clone(),
            addresses: found.map(|at| at.ip()).collect(),
            facts: facts.map_err(|error| error.to_string()),
        }
    }))
    .await
}

async fn facts(reach: &Reach) -> Result<Facts, ClientError> {
    let mut client = Client::to(reach, Timeouts::GLANCE).await?;
    let info: String = client.query(cmd("INFO").arg("all")).await?;
    // Where CONFIG is renamed or not allowed the rest is still worth something.
    let everything = cmd("CONFIG").arg("GET").arg("*").to_owned();
    let config: Vec<Value> = client.query(&everything).await.unwrap_or_default();
    let asked = SystemTime::now();
    let time: Result<(u64, u64), ClientError> = client.query(&cmd("TIME")).await;
    let took = asked.elapsed().unwrap_or_default();
    Ok(Facts {
        info: Info::parse(&info),
        config: options(&config),
        clock: time.ok().map(|time| ahead(time, asked, took)),
    })
}

fn options(reply: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    };
    reply
        .chunks_exact(2)
        .filter_map(|pair| Some((text(&pair[0])?, text(&pair[1])?)))
        .map(|(option, value)| {
            let shown = secret::value(&option, &value).to_owned();
            (option, shown)
        })
        .collect()
}

/// How far a clock is ahead that showed these seconds and microseconds in the middle of the time that
/// the answer took.
fn ahead((seconds, micros): (u64, u64), asked: SystemTime, took: Duration) -> (f64, f64) {
    let there = Duration::new(seconds, 0) + Duration::from_micros(micros);
    let here = asked.duration_since(UNIX_EPOCH).unwrap_or_default() + took / 2;
    (
        there.as_secs_f64() - here.as_secs_f64(),
        took.as_secs_f64() / 2.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_question() {
        let asked = UNIX_EPOCH + Duration::from_secs(100);
        let took = Duration::from_secs(2);
        assert_eq!(ahead((101, 0), asked, took), (0.0, 1.0));
        assert_eq!(ahead((104, 500_000), asked, took), (3.5, 1.0));
    }

    #[test]
    fn nothing_that_is_sent_writes() {
        for command in COMMANDS {
            assert!(["INFO", "CONFIG GET", "TIME"].contains(command));
        }
    }
}
