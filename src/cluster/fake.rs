//! A cluster of servers that answer what a test wrote down, for trying what asks them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::links::Links;
use super::{Cluster, Node, Startup};
use crate::spec::KeydbSpec;
use crate::testbed::{
    EnvironmentError, Pace, Port, Program, Server, ServerPlan, Site, Status, TestbedKind,
};
use crate::topology::{NodeSpec, Persistence, Relayed, Role, Topology};

/// How long a condition is waited for that the servers will never meet.
const CAP: Duration = Duration::from_millis(60);

/// What a server answers, and what it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) status: Result<Status, EnvironmentError>,
    pub(crate) log: String,
    /// Whether others have the processors all the time.
    pub(crate) starved: bool,
    /// Replies as they go over the wire, by how the command begins; the first that fits is sent.
    pub(crate) replies: Vec<(&'static str, String)>,
    pub(crate) asked: Vec<String>,
}

impl Script {
    /// A server that runs, has said something, and answers INFO and DEBUG DIGEST.
    pub(crate) fn new(info: &str, digest: &str) -> Self {
        Self {
            status: Ok(Status::Running),
            log: "ready\n".to_owned(),
            starved: false,
            replies: vec![
                ("INFO", bulk(info)),
                ("DEBUG DIGEST", format!("+{digest}\r\n")),
                ("SELECT", "+OK\r\n".to_owned()),
            ],
            asked: Vec::new(),
        }
    }

    /// The same, with this reply to commands that begin so.
    pub(crate) fn with(mut self, command: &'static str, reply: &str) -> Self {
        self.replies.insert(0, (command, reply.to_owned()));
        self
    }

    fn answer(&mut self, command: String) -> String {
        let reply = self.replies.iter().find(|(c, _)| command.starts_with(c));
        let reply = reply.map_or("-ERR not written down\r\n", |(_, reply)| reply);
        self.asked.push(command);
        reply.to_owned()
    }
}

/// A bulk string on the wire.
pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

pub(crate) type Shared = Arc<Mutex<Script>>;

/// A cluster of these servers, all of them started, and their scripts. Names that begin with
/// `primary` are primaries; nobody follows anybody.
pub(crate) async fn cluster(nodes: Vec<(&str, Script)>) -> (Cluster, Vec<Shared>) {
    let mut servers = Vec::new();
    let mut scripts = Vec::new();
    for (name, script) in nodes {
        let script = Arc::new(Mutex::new(script));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::clone(&script)));
        let server = FakeServer {
            address,
            script: Arc::clone(&script),
            since: Instant::now(),
        };
        let node = Node::new(
            spec(name),
            KeydbSpec::default(),
            String::new().into(),
            None,
            Arc::new(server),
        );
        node.start().await.unwrap();
        servers.push(node);
        scripts.push(script);
    }
    let topology = Topology {
        nodes: servers.iter().map(|node| node.spec().clone()).collect(),
        proxy: None,
        password: None,
        multi_master: false,
        relayed: Relayed::None,
    };
    let cluster = Cluster {
        topology,
        nodes: servers,
        proxy: None,
        startup: Startup::default(),
        links: Links::default(),
        site: Arc::new(FakeSite),
        pace: Pace {
            deadline: CAP,
            ..TestbedKind::Embedded.pace()
        },
        keydb: KeydbSpec::Model(crate::model::Quirks::default()),
        lacks: BTreeSet::new(),
        listener: None,
    };
    (cluster, scripts)
}

fn spec(name: &str) -> NodeSpec {
    NodeSpec {
        name: name.to_owned(),
        role: match name.starts_with("primary") {
            true => Role::Primary,
            false => Role::Replica,
        },
        follows: Vec::new(),
        persistence: Persistence::None,
        options: Vec::new(),
        keydb: None,
        host_port: None,
    }
}

async fn serve(listener: TcpListener, script: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(talk(stream, Arc::clone(&script)));
    }
}

/// Commands come whole and one after the other: the client waits for each reply.
async fn talk(mut stream: TcpStream, script: Shared) {
    let mut buffer = vec![0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let sent = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let words: Vec<&str> = sent.split("\r\n").skip(2).step_by(2).collect();
        let reply = script.lock().unwrap().answer(words.join(" "));
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[derive(Debug)]
struct FakeServer {
    address: SocketAddr,
    script: Shared,
    since: Instant,
}

#[async_trait]
impl Server for FakeServer {
    async fn start(&self) -> Result<(), EnvironmentError> {
        Ok(())
    }

    async fn stop(&self, _grace: Duration) -> Result<(), EnvironmentError> {
        Ok(())
    }

    async fn kill(&self) -> Result<(), EnvironmentError> {
        Ok(())
    }

    async fn pause(&self) -> Result<(), EnvironmentError> {
        Ok(())
    }

    async fn resume(&self) -> Result<(), EnvironmentError> {
        Ok(())
    }

    async fn replace(&self, _program: Program, _config: String) -> Result<(), EnvironmentError> {
        Ok(())
    }

    async fn endpoint(&self, _port: Port) -> Result<SocketAddr, EnvironmentError> {
        Ok(self.address)
    }

    async fn kept_waiting(&self) -> Result<Duration, EnvironmentError> {
        Ok(match self.script.lock().unwrap().starved {
            true => self.since.elapsed(),
            false => Duration::ZERO,
        })
    }

    async fn status(&self) -> Result<Status, EnvironmentError> {
        self.script.lock().unwrap().status.clone()
    }

    async fn log(&self) -> Result<String, EnvironmentError> {
        Ok(self.script.lock().unwrap().log.clone())
    }

    async fn binary_sha256(&self, _executable: &str) -> Result<String, EnvironmentError> {
        Err(EnvironmentError::new("there is no binary"))
    }
}

/// Nothing is created here, and nothing is left behind.
#[derive(Debug)]
struct FakeSite;

#[async_trait]
impl Site for FakeSite {
    fn listens_on(&self, _server: &str, _port: Port) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    fn reached_at(&self, _server: &str, _port: Port) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    fn data_dir(&self, _server: &str) -> String {
        String::new()
    }

    async fn create(&self, _plan: ServerPlan) -> Result<Arc<dyn Server>, EnvironmentError> {
        Err(EnvironmentError::new("nothing is created here"))
    }

    fn close(&self) {}
}
