//! A running proxy and what it stands between: servers that answer `PING` and `WHO`.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use super::super::serve;
use crate::cluster::haproxy_stat::{self, ServerStat};

/// Far more than anything here takes, also on a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A server; its tasks end with it, and so do its connections.
pub(super) struct FakeServer {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Whether it answers `PING`.
    pub answers: Rc<Cell<bool>>,
    _tasks: JoinSet<()>,
}

impl FakeServer {
    pub(super) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Rc::new(Cell::new(true));
        let answering = Rc::clone(&answers);
        let mut tasks = JoinSet::new();
        tasks.spawn_local(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                open.spawn_local(converse(stream, name, Rc::clone(&answering)));
            }
        });
        Self {
            name,
            address,
            answers,
            _tasks: tasks,
        }
    }
}

async fn converse(mut stream: TcpStream, name: &str, answers: Rc<Cell<bool>>) {
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let answer = match &buffer[..length] {
            b"PING\r\n" if answers.get() => "+PONG\r\n".to_owned(),
            b"WHO\r\n" => format!("+{name}\r\n"),
            _ => continue,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
    // The end of the requests is not the end of the answers.
    let _ = stream.write_all(b"+BYE\r\n").await;
}

/// An address where nothing listens.
pub(super) fn free() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A configuration such as is rendered, with quicker checks; `WHO` in hex stands for `AUTH`.
pub(super) fn config(service: SocketAddr, admin: SocketAddr, servers: &[&FakeServer]) -> String {
    let mut text = format!(
        "global\n  maxconn 100\n  stats socket ipv4@{admin} level admin\ndefaults\n  mode tcp\n  timeout connect 1s\n  timeout check 500ms\n  retries 1\n  option redispatch 1\nlisten keydb\n  bind {service}\n  balance roundrobin\n  option tcp-check\n  tcp-check connect\n  tcp-check send-binary 57484f0d0a\n  tcp-check expect string +\n  tcp-check send PING\\r\\n\n  tcp-check expect string +PONG\n  default-server inter 50ms fall 2 rise 2 on-marked-down shutdown-sessions\n"
    );
    for server in servers {
        writeln!(text, "  server {} {} check", server.name, server.address).unwrap();
    }
    text
}

/// A proxy that runs.
pub(super) struct Bench {
    pub service: SocketAddr,
    pub admin: SocketAddr,
    pub log: Rc<RefCell<Vec<String>>>,
    terminate: oneshot::Sender<()>,
    reload: mpsc::UnboundedSender<String>,
    serving: JoinHandle<i32>,
}

impl Bench {
    /// Starts a proxy and waits until all its servers have passed their checks.
    pub(super) async fn start(servers: &[&FakeServer]) -> Self {
        let bench = Self::launch(free(), free(), servers);
        for server in servers {
            bench.reaches(server.name, "UP").await;
        }
        bench
    }

    pub(super) fn launch(service: SocketAddr, admin: SocketAddr, servers: &[&FakeServer]) -> Self {
        let text = config(service, admin, servers);
        let log = Rc::new(RefCell::new(Vec::new()));
        let lines = Rc::clone(&log);
        let (terminate, terminated) = oneshot::channel();
        let (reload, reloads) = mpsc::unbounded_channel();
        let serving = spawn_local(async move {
            let terminated = async { terminated.await.unwrap_or_default() };
            let log = move |line: &str| lines.borrow_mut().push(line.to_owned());
            serve(&text, reloads, terminated, log).await
        });
        Self {
            service,
            admin,
            log,
            terminate,
            reload,
            serving,
        }
    }

    /// Has it go on with this configuration, and waits until another life answers.
    pub(super) async fn reload(&self, text: String) {
        let before = self.life().await;
        self.reload.send(text).unwrap();
        let began = Instant::now();
        while self.life().await == before {
            assert!(began.elapsed() < DEADLINE, "{:?}", self.log);
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Has it read a configuration that it cannot go on with.
    pub(super) fn reload_in_vain(&self, text: &str) {
        self.reload.send(text.to_owned()).unwrap();
    }

    /// Which of its lives answers.
    pub(super) async fn life(&self) -> String {
        let info = self.admin("show info").await;
        let life = info.lines().find_map(|line| line.strip_prefix("Pid: "));
        life.unwrap().to_owned()
    }

    /// Terminates it; returns its exit code.
    pub(super) async fn stop(self) -> i32 {
        self.terminate.send(()).unwrap();
        self.serving.await.unwrap()
    }

    pub(super) async fn client(&self) -> Client {
        Client(TcpStream::connect(self.service).await.unwrap())
    }

    /// A session on this server.
    pub(super) async fn client_on(&self, name: &str) -> Client {
        for _ in 0..3 {
            let mut client = self.client().await;
            if client.who().await == format!("+{name}\r\n") {
                return client;
            }
        }
        panic!("{name} gets no session");
    }

    pub(super) async fn admin(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        stream
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub(super) async fn stat(&self, name: &str) -> ServerStat {
        let rows = haproxy_stat::parse(&self.admin("show stat").await).unwrap();
        rows.into_iter().find(|row| row.server == name).unwrap()
    }

    /// Waits until the server has this status.
    pub(super) async fn reaches(&self, name: &str, status: &str) -> ServerStat {
        self.until(name, |stat| stat.status == status).await
    }

    /// Waits until the row of the table is as `wanted`.
    pub(super) async fn until(
        &self,
        name: &str,
        wanted: impl Fn(&ServerStat) -> bool,
    ) -> ServerStat {
        let began = Instant::now();
        loop {
            let stat = match TcpStream::connect(self.admin).await {
                Ok(_) => Some(self.stat(name).await),
                Err(_) => None,
            };
            match stat {
                Some(stat) if wanted(&stat) => return stat,
                stat => assert!(began.elapsed() < DEADLINE, "{stat:?}, {:?}", self.log),
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A client of the proxy.
pub(super) struct Client(pub TcpStream);

impl Client {
    /// Which server it talks to; empty when the session was closed.
    pub(super) async fn who(&mut self) -> String {
        match self.0.write_all(b"WHO\r\n").await {
            Ok(()) => self.hears().await,
            Err(_) => String::new(),
        }
    }

    /// What comes next; empty when the session was closed.
    pub(super) async fn hears(&mut self) -> String {
        let mut buffer = [0; 64];
        let length = timeout(DEADLINE, self.0.read(&mut buffer))
            .await
            .expect("hears");
        String::from_utf8_lossy(&buffer[..length.unwrap_or_default()]).into_owned()
    }
}
