//! What exactly a run ran against, as the servers themselves report it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "report")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::cluster::info::Info;
use crate::cluster::{Client, ClientError, Timeouts};
use crate::input;
use crate::scenario::{self, Need};
use crate::spec::{HaproxySpec, KeydbSpec};
use crate::testbed::{
    EnvironmentError, Port, Program, Seat, Server, ServerPlan, Site, Status, Testbed,
};
use crate::workload::traffic::Kind;

/// How long a lone server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(10);

/// What a run ran against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
pub struct Identity {
    /// `docker`, `process`, `embedded` or `attached`.
    pub testbed: String,
    /// The KeyDB server.
    pub keydb: KeydbIdentity,
    /// The proxy.
    pub haproxy: HaproxyIdentity,
}

/// A KeyDB server by its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
pub struct KeydbIdentity {
    /// The SPEC it was started from.
    pub spec: String,
    /// `redis_version` in its INFO.
    pub version: String,
    /// `redis_git_sha1` in its INFO.
    pub git_sha1: String,
    /// `redis_build_id` in its INFO.
    pub build_id: String,
    /// SHA-256 of the file it was started from, in hex; empty for a model, which is part of the
    /// harness, and for a server that something else started.
    pub sha256: String,
    /// The harness's version whose model it is, where it is one and not KeyDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// HAProxy by its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
pub struct HaproxyIdentity {
    /// The SPEC it was started from.
    pub spec: String,
    /// `Version` in its `show info`.
    pub version: String,
}

impl Identity {
    /// The release whose expectations a run is judged by; a model keeps every promise.
    pub fn release(&self) -> &str {
        match self.keydb.model {
            Some(_) => "model",
            None => &self.keydb.version,
        }
    }

    /// Whether the servers were KeyDB, and not the harness's model of it.
    pub fn is_real(&self) -> bool {
        self.keydb.model.is_none()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(model) = &self.keydb.model {
            return write!(
                f,
                "testbed {}, no KeyDB but the harness's model {model} of KeyDB {} ({}), HAProxy {}: this validates the harness, not KeyDB",
                self.testbed, self.keydb.version, self.keydb.spec, self.haproxy.version
            );
        }
        let binary = match self.keydb.sha256.get(..12) {
            Some(short) => format!("sha256 {short}"),
            None => format!("build {}, its file not seen", self.keydb.build_id),
        };
        write!(
            f,
            "testbed {}, KeyDB {} ({}, {binary}), HAProxy {}",
            self.testbed, self.keydb.version, self.keydb.spec, self.haproxy.version
        )
    }
}

const KEYDB: &str = "probe";
const PROXY: &str = "probe-proxy";

impl Identity {
    /// Starts one bare server of each kind, asks it, and removes it; also gives the commands and
    /// options that scenarios need and the KeyDB does not have.
    ///
    /// # Errors
    /// A server does not start or answer, or it is not KeyDB.
    pub(super) async fn probe(
        testbed: &dyn Testbed,
        keydb: &KeydbSpec,
        haproxy: &HaproxySpec,
    ) -> Result<(Self, BTreeSet<String>), EnvironmentError> {
        let seat = |name: &str, admin| Seat {
            name: name.to_owned(),
            host_port: None,
            admin,
        };
        let site = testbed
            .open(&[seat(PROXY, true), seat(KEYDB, false)])
            .await?;
        let site = Closed(site);
        let asked = tokio::try_join!(
            ask_keydb(site.0.as_ref(), keydb),
            ask_haproxy(site.0.as_ref(), haproxy)
        );
        let closing = Arc::clone(&site.0);
        let _ = tokio::task::spawn_blocking(move || closing.close()).await;
        let ((keydb, lacks), haproxy) = asked?;
        let identity = Self {
            testbed: testbed.kind().to_string(),
            keydb,
            haproxy,
        };
        Ok((identity, lacks))
    }
}

/// A site that is closed once this is dropped: whoever stops waiting for a probe whose site is just
/// being closed, such as a test that panics, goes on when that is done.
struct Closed(Arc<dyn Site>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn ask_keydb(
    site: &dyn Site,
    spec: &KeydbSpec,
) -> Result<(KeydbIdentity, BTreeSet<String>), EnvironmentError> {
    let listens = site.listens_on(KEYDB, Port::Service);
    let config = format!(
        "bind {}\nport {}\nprotected-mode no\nsave \"\"\nlogfile \"\"\ndir \"{}\"\n",
        listens.ip(),
        listens.port(),
        site.data_dir(KEYDB)
    );
    let program = Program::Keydb(spec.clone());
    let server = start(site, KEYDB, &program, config).await?;
    let mut client = answering(server.as_ref(), &program, || async {
        let address = server
            .endpoint(Port::Service)
            .await
            .map_err(|error| error.to_string())?;
        let mut client = Client::connect(address, None, Timeouts::GLANCE)
            .await
            .map_err(|error| error.to_string())?;
        client
            .query::<String>(&redis::cmd("PING"))
            .await
            .map(|_| client)
            .map_err(|error| error.to_string())
    })
    .await?;
    let failed =
        |error| EnvironmentError::new(format!("{program} does not say what it is: {error}"));
    let text: String = client
        .query(redis::cmd("INFO").arg("server"))
        .await
        .map_err(failed)?;
    let info = Info::parse(&text);
    let version = info.version().unwrap_or("an unknown version").to_owned();
    // The command that carries KeyDB's active replication; 5.3.3 knows it too, while its CONFIG GET
    // does not show active-replica (measured).
    let rreplay: Vec<redis::Value> = client
        .query(redis::cmd("COMMAND").arg("INFO").arg("rreplay"))
        .await
        .map_err(failed)?;
    if !matches!(rreplay[..], [redis::Value::Array(_)]) {
        return Err(EnvironmentError::new(format!(
            "{program} is not KeyDB: it calls itself version {version} and knows no RREPLAY; name a KeyDB server"
        )));
    }
    let model = info.get("keydb_harness_model").map(str::to_owned);
    let sha256 = match model {
        Some(_) => String::new(),
        None => {
            let executable = info.executable().unwrap_or_default();
            server.binary_sha256(executable).await?
        }
    };
    let lacks = lacks(&mut client, model.is_none()).await.map_err(failed)?;
    let identity = KeydbIdentity {
        spec: spec.to_string(),
        git_sha1: info.get("redis_git_sha1").unwrap_or_default().to_owned(),
        build_id: info.build_id().unwrap_or_default().to_owned(),
        version,
        sha256,
        model,
    };
    Ok((identity, lacks))
}

/// The commands that traffic sends, the commands and settings that scenarios need, and the options
/// that their topologies name, which this server does not have.
async fn lacks(client: &mut Client, real: bool) -> Result<BTreeSet<String>, ClientError> {
    let sent = Kind::ALL.map(|kind| Need::Command(kind.command()));
    let needs = scenario::all().iter().flat_map(|scenario| scenario.needs);
    let needs: Vec<Need> = needs.copied().chain(sent).collect();
    let mut lacks = BTreeSet::new();
    for need in &needs {
        let has = match need {
            Need::Command(name) => {
                let asked = redis::cmd("COMMAND").arg("INFO").arg(name).to_owned();
                let rows: Vec<redis::Value> = client.query(&asked).await?;
                matches!(rows[..], [redis::Value::Array(_)])
            }
            Need::Setting(name) => has_option(client, name).await?,
            Need::RealKeydb => real,
        };
        if !has {
            lacks.insert(need.name().to_owned());
        }
    }
    let planned = crate::check::plan(&[], scenario::Cost::Long).into_iter();
    let topologies = planned.filter_map(|it| (it.scenario.topology)(it.variant).ok());
    let nodes = topologies.flat_map(|topology| topology.nodes);
    let options = nodes.flat_map(|node| node.options.into_iter().map(|(name, _)| name));
    for option in options.collect::<BTreeSet<_>>() {
        if !has_option(client, &option).await? {
            lacks.insert(option);
        }
    }
    Ok(lacks)
}

async fn has_option(client: &mut Client, name: &str) -> Result<bool, ClientError> {
    let asked = redis::cmd("CONFIG").arg("GET").arg(name).to_owned();
    let shown: Vec<redis::Value> = client.query(&asked).await?;
    Ok(!shown.is_empty())
}

async fn ask_haproxy(
    site: &dyn Site,
    spec: &HaproxySpec,
) -> Result<HaproxyIdentity, EnvironmentError> {
    let (service, admin) = (
        site.listens_on(PROXY, Port::Service),
        site.listens_on(PROXY, Port::Admin),
    );
    let config = format!(
        "global\n    maxconn 100\n    stats socket ipv4@{admin} level admin\ndefaults\n    mode tcp\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\nlisten probe\n    bind {service}\n"
    );
    let program = Program::Haproxy(spec.clone());
    let server = start(site, PROXY, &program, config).await?;
    let version = answering(server.as_ref(), &program, || async {
        let address = server
            .endpoint(Port::Admin)
            .await
            .map_err(|error| error.to_string())?;
        let ask = async {
            let mut stream = tokio::net::TcpStream::connect(address).await?;
            stream.write_all(b"show info\n").await?;
            input::answer(stream, input::TEXT).await
        };
        let answer = ask.await.map_err(|error| error.to_string())?;
        let version = answer
            .lines()
            .find_map(|line| line.strip_prefix("Version: "));
        version
            .map(str::to_owned)
            .ok_or_else(|| "its admin socket names no version".to_owned())
    })
    .await?;
    Ok(HaproxyIdentity {
        spec: spec.to_string(),
        version,
    })
}

async fn start(
    site: &dyn Site,
    name: &str,
    program: &Program,
    config: String,
) -> Result<Arc<dyn Server>, EnvironmentError> {
    let plan = ServerPlan {
        name: name.to_owned(),
        program: program.clone(),
        config: config.into(),
    };
    let server = site.create(plan).await?;
    server.start().await?;
    Ok(server)
}

/// Waits until a lone server answers; one that has ended, or never answers, is an error.
async fn answering<T, F, Fut>(
    server: &dyn Server,
    program: &Program,
    mut ask: F,
) -> Result<T, EnvironmentError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(seen) => seen,
        };
        if let status @ Status::Ended(_) = server.status().await? {
            return Err(EnvironmentError::new(format!(
                "{program} {status} instead of serving; it said: {}; name a server that runs here",
                last_words(&server.log().await?)
            )));
        }
        if Instant::now() >= deadline {
            return Err(EnvironmentError::new(format!(
                "{program} does not answer within {} s: {seen}; it said: {}",
                PATIENCE.as_secs(),
                last_words(&server.log().await?)
            )));
        }
        sleep(INTERVAL).await;
    }
}

/// The last few lines of a server's log, on one line, without the time stamps that open them.
pub(crate) fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    let tail: Vec<&str> = lines[lines.len().saturating_sub(4)..]
        .iter()
        .map(|line| {
            line.split_once(" # ")
                .or(line.split_once(" * "))
                .map_or(*line, |(_, text)| text)
        })
        .collect();
    tail.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn last_words_lose_their_time_stamps() {
        let log = "1:M 22 Nov 2026 22:41:26.631 # Bad directive\n\nplain\n";
        assert_eq!(last_words(log), "Bad directive | plain");
        assert_eq!(last_words("\n"), "nothing");
    }
}
