//! What the servers of a cluster show of themselves, recorded whenever it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Recording;
use crate::cluster::haproxy_stat::{self, ServerStat};
use crate::cluster::info::Info;
use crate::cluster::{Client, Cluster, Timeouts};
use crate::input;
use crate::secret::Secret;
use crate::testbed::{Port, Server};
use crate::topology::PROXY;

/// Between two looks at a server, unless another time is asked for.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// How long a look may take.
const PATIENCE: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    reply: Duration::from_secs(1),
};

/// Looks at each server of a cluster again and again, each on its own, so that one that is frozen
/// holds up no other, and records what is new: of a node whether it answers, its role, replid,
/// links, loading and syncs, how many resyncs it has served ([`RESYNCS`]) and which run of the
/// server it is ([`RUN`]), as a restarted one counts anew; of the proxy the state of each of its
/// servers. Ends when it is dropped.
///
/// A link is called after the server at its other end, also through a relay; one to an address
/// that no server of the cluster has, after that address.
#[derive(Debug)]
pub struct Watch {
    tasks: JoinSet<()>,
}

impl Watch {
    /// Begins to watch: the first look of each server records all that it shows.
    pub fn start(cluster: &Cluster, recording: &Recording, every: Duration) -> Self {
        let places: Arc<BTreeMap<SocketAddr, String>> = Arc::new(
            cluster
                .nodes()
                .iter()
                .map(|node| node.name())
                .chain(cluster.proxy().is_ok().then_some(PROXY))
                .map(|name| (cluster.reached_at(name), name.to_owned()))
                .chain(cluster.relays().iter().map(|relay| {
                    // A node sees a relay where its upstream would be.
                    (relay.address(), relay.ends().upstream.clone())
                }))
                .collect(),
        );
        let mut tasks = JoinSet::new();
        for node in cluster.nodes() {
            let mut looker = NodeLooker {
                server: node.handle(),
                password: cluster.topology().password.clone(),
                places: Arc::clone(&places),
                client: None,
            };
            let mut shown = Shown::of(node.name(), recording);
            tasks.spawn(async move {
                let mut ticks = ticks(every);
                loop {
                    ticks.tick().await;
                    shown.shows(looker.look().await);
                }
            });
        }
        if let Ok(proxy) = cluster.proxy() {
            let (server, backends) = (proxy.handle(), proxy.backends().to_vec());
            let mut shown = Shown::of(PROXY, recording);
            tasks.spawn(async move {
                let mut ticks = ticks(every);
                loop {
                    ticks.tick().await;
                    shown.shows(look_at_proxy(server.as_ref(), &backends).await);
                }
            });
        }
        Self { tasks }
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What a server showed last.
struct Shown {
    who: String,
    recording: Recording,
    last: BTreeMap<String, String>,
}

/// The property that says whether a server answers.
const ANSWERS: &str = "answers";
/// The property that says which run of a node it is: new at every start.
pub const RUN: &str = "run";
/// The properties that count the resyncs which a node was asked for: in full, in part, and those in
/// part that it refused.
pub const RESYNCS: [&str; 3] = ["sync_full", "sync_partial_ok", "sync_partial_err"];

impl Shown {
    fn of(who: &str, recording: &Recording) -> Self {
        Self {
            who: who.to_owned(),
            recording: recording.clone(),
            last: BTreeMap::new(),
        }
    }

    /// Records what is new. Of a server that does not answer nothing else is known: what it showed
    /// before stands until it answers again. What it shows no more is `gone`.
    fn shows(&mut self, seen: Option<BTreeMap<String, String>>) {
        let answers = if seen.is_some() { "yes" } else { "no" };
        self.is(ANSWERS, answers);
        let Some(seen) = seen else { return };
        // Another run counts from nothing: what it shows first is new, though it be as before.
        if self.last.get(RUN) != seen.get(RUN) {
            self.last
                .retain(|what, _| !RESYNCS.contains(&what.as_str()));
        }
        for (what, value) in &seen {
            self.is(what, value);
        }
        let missing: BTreeSet<String> = self
            .last
            .keys()
            .filter(|what| *what != ANSWERS && !seen.contains_key(*what))
            .cloned()
            .collect();
        for what in missing {
            self.is(&what, "gone");
        }
    }

    fn is(&mut self, what: &str, value: &str) {
        if self.last.get(what).is_none_or(|last| last != value) {
            self.recording.state(&self.who, what, value);
            self.last.insert(what.to_owned(), value.to_owned());
        }
    }
}

/// What is asked of a node.
const SECTIONS: [&str; 4] = ["server", "replication", "persistence", "stats"];

struct NodeLooker {
    server: Arc<dyn Server>,
    password: Option<Secret>,
    places: Arc<BTreeMap<SocketAddr, String>>,
    client: Option<Client>,
}

impl NodeLooker {
    async fn look(&mut self) -> Option<BTreeMap<String, String>> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                let address = self.server.endpoint(Port::Service).await.ok()?;
                Client::connect(address, self.password.as_deref(), PATIENCE)
                    .await
                    .ok()?
            }
        };
        let mut all = redis::pipe();
        for section in SECTIONS {
            all.cmd("INFO").arg(section);
        }
        let sections: Vec<String> = client.pipeline(&all).await.ok()?;
        self.client = Some(client);
        let info = Info::parse(&sections.join("\r\n"));
        Some(states(&info, |host, port| {
            let address = SocketAddr::new(host.parse().ok()?, port);
            self.places.get(&address).cloned()
        }))
    }
}

/// The properties that an `INFO` shows.
fn states(info: &Info, name: impl Fn(&str, u16) -> Option<String>) -> BTreeMap<String, String> {
    let replication = info.replication();
    let mut states = BTreeMap::from([
        ("role".to_owned(), replication.role.to_string()),
        ("replid".to_owned(), replication.replid.clone()),
    ]);
    if let Some(loading) = info.loading() {
        states.insert("loading".to_owned(), yes_no(loading));
    }
    if let Some(run) = info.run_id() {
        states.insert(RUN.to_owned(), run.to_owned());
    }
    for what in RESYNCS {
        if let Some(count) = info.stat(what) {
            states.insert(what.to_owned(), count.to_string());
        }
    }
    for master in &replication.masters {
        let other = name(&master.host, master.port)
            .unwrap_or_else(|| format!("{}:{}", master.host, master.port));
        let link = if master.link_up { "up" } else { "down" };
        states.insert(format!("link {other}"), link.to_owned());
        states.insert(format!("sync {other}"), yes_no(master.sync_in_progress));
    }
    states
}

fn yes_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

async fn look_at_proxy(
    server: &dyn Server,
    backends: &[String],
) -> Option<BTreeMap<String, String>> {
    let address = server.endpoint(Port::Admin).await.ok()?;
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"show stat\n").await.ok()?;
        input::answer(stream, input::TEXT).await.ok()
    };
    let answer = timeout(PATIENCE.reply, exchange).await.ok()??;
    let server = |stat: ServerStat| (format!("server {}", stat.server), stat.status);
    Some(
        haproxy_stat::parse(&answer)
            .ok()?
            .into_iter()
            .filter(|stat| backends.contains(&stat.server))
            .map(server)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Subject;

    fn seen(pairs: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        Some(pairs.iter().map(own).collect())
    }

    #[test]
    fn only_what_is_new_is_recorded() {
        let recording = Recording::new();
        let mut shown = Shown::of("primary1", &recording);
        shown.shows(seen(&[("role", "master"), ("link primary2", "up")]));
        shown.shows(seen(&[("role", "master"), ("link primary2", "up")]));
        shown.shows(None);
        shown.shows(None);
        shown.shows(seen(&[("role", "active-replica")]));
        let history = recording.finish();
        let events: Vec<String> = history
            .events
            .iter()
            .map(|event| match &event.subject {
                Subject::State { node, what, value } => [node, what, value]
                    .map(|name| history.names.text(*name))
                    .join(" "),
                Subject::Fault { .. } => "fault".to_owned(),
            })
            .collect();
        assert_eq!(
            events,
            [
                "primary1 answers yes",
                "primary1 link primary2 up",
                "primary1 role master",
                "primary1 answers no",
                "primary1 answers yes",
                "primary1 role active-replica",
                "primary1 link primary2 gone",
            ]
        );
    }

    #[test]
    fn another_run_counts_its_resyncs_anew() {
        let recording = Recording::new();
        let mut shown = Shown::of("primary1", &recording);
        for run in ["a", "a", "b"] {
            shown.shows(seen(&[
                ("run", run),
                ("sync_full", "1"),
                ("role", "master"),
            ]));
        }
        let history = recording.finish();
        let events: Vec<String> = history
            .events
            .iter()
            .map(|event| match &event.subject {
                Subject::State { what, value, .. } => [what, value]
                    .map(|name| history.names.text(*name))
                    .join(" "),
                Subject::Fault { .. } => "fault".to_owned(),
            })
            .collect();
        let wanted = [
            "answers yes",
            "role master",
            "run a",
            "sync_full 1",
            "run b",
            "sync_full 1",
        ];
        assert_eq!(events, wanted);
    }

    #[test]
    fn links_are_called_after_the_server_at_their_end() {
        let info = Info::parse(
            "# Replication\r\nrole:active-replica\r\nmaster_host:127.0.0.2\r\nmaster_port:1\r\n\
             master_link_status:up\r\nmaster_sync_in_progress:0\r\nmaster_1_host:127.0.0.9\r\n\
             master_1_port:2\r\nmaster_1_link_status:down\r\nmaster_1_sync_in_progress:1\r\n\
             master_replid:abc\r\nloading:0\r\nrun_id:def\r\nsync_full:2\r\n\
             sync_partial_ok:0\r\n",
        );
        let states = states(&info, |host, _| {
            (host == "127.0.0.2").then(|| "primary2".to_owned())
        });
        let wanted = seen(&[
            ("role", "active-replica"),
            ("replid", "abc"),
            ("loading", "no"),
            ("run", "def"),
            ("sync_full", "2"),
            ("sync_partial_ok", "0"),
            ("link primary2", "up"),
            ("sync primary2", "no"),
            ("link 127.0.0.9:2", "down"),
            ("sync 127.0.0.9:2", "yes"),
        ]);
        assert_eq!(Some(states), wanted);
    }
}
