//! The proxy between clients and servers, as scenarios use it.

mod admin;
mod bench;

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::LocalSet;

use self::bench::{Bench, Client, FakeServer, config, free};
use super::serve;

async fn locally(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn sessions_go_round() {
    locally(async {
        let (one, two) = (
            FakeServer::start("one").await,
            FakeServer::start("two").await,
        );
        let bench = Bench::start(&[&one, &two]).await;
        let mut clients = Vec::new();
        for expected in ["+one\r\n", "+two\r\n", "+one\r\n", "+two\r\n"] {
            let mut client = bench.client().await;
            assert_eq!(client.who().await, expected);
            clients.push(client);
        }
        let stat = bench.stat("one").await;
        assert_eq!(
            (stat.sessions_current, stat.sessions_total),
            (Some(2), Some(2))
        );
        assert_eq!(stat.address, Some(one.address.to_string()));
        assert_eq!((stat.check_failures, stat.downs), (Some(0), Some(0)));
        assert!(stat.check_status.unwrap().ends_with("L7OK"));
        assert_eq!(bench.stat("FRONTEND").await.sessions_current, Some(4));
        assert_eq!(bench.stat("FRONTEND").await.status, "OPEN");
        assert_eq!(bench.stat("BACKEND").await.status, "UP");
        drop(clients);
        bench
            .until("BACKEND", |stat| stat.sessions_current == Some(0))
            .await;
        assert_eq!(bench.log.borrow().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_refused_connection_goes_to_the_other_server() {
    locally(async {
        let (one, two) = (
            FakeServer::start("one").await,
            FakeServer::start("two").await,
        );
        let bench = Bench::start(&[&one, &two]).await;
        drop(one);
        for _ in 0..4 {
            assert_eq!(bench.client().await.who().await, "+two\r\n");
        }
        let stat = bench.reaches("one", "DOWN").await;
        assert_eq!((stat.check_failures, stat.downs), (Some(2), Some(1)));
        assert!(stat.check_status.unwrap().ends_with("L4CON"));
        let log = bench.log.borrow().join("\n");
        let began = "[WARNING] Server keydb/one is DOWN, reason: L4CON, no connection: ";
        assert!(log.starts_with(began), "{log}");
        drop(two);
        bench.reaches("two", "DOWN").await;
        assert_eq!(bench.client().await.who().await, "", "nobody is left");
        assert_eq!(bench.stat("BACKEND").await.status, "DOWN");
        let log = bench.log.borrow().join("\n");
        assert!(
            log.ends_with("[ALERT] Proxy keydb has no server left for new sessions."),
            "{log}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_silent_server_loses_its_sessions_and_comes_back() {
    locally(async {
        let (one, two) = (
            FakeServer::start("one").await,
            FakeServer::start("two").await,
        );
        let bench = Bench::start(&[&one, &two]).await;
        let mut lost = bench.client_on("one").await;
        let mut kept = bench.client_on("two").await;
        one.answers.set(false);
        assert_eq!(lost.hears().await, "");
        let stat = bench.reaches("one", "DOWN").await;
        assert_eq!(stat.sessions_current, Some(0));
        assert!(stat.check_status.unwrap().ends_with("L7TOUT"));
        assert_eq!(bench.client().await.who().await, "+two\r\n");
        assert_eq!(bench.client().await.who().await, "+two\r\n");
        assert_eq!(kept.who().await, "+two\r\n");
        one.answers.set(true);
        bench.reaches("one", "UP").await;
        bench.client_on("one").await;
        let log = bench.log.borrow().join("\n");
        assert!(
            log.contains("Server keydb/one is UP, reason: L7OK"),
            "{log}"
        );
    })
    .await;
}

#[tokio::test]
async fn each_direction_ends_by_itself_and_a_reset_ends_both() {
    locally(async {
        let one = FakeServer::start("one").await;
        let bench = Bench::start(&[&one]).await;
        let mut client = bench.client().await;
        client.0.shutdown().await.unwrap();
        assert_eq!(client.hears().await, "+BYE\r\n");
        assert_eq!(client.hears().await, "");
        let mut client = bench.client_on("one").await;
        assert_eq!(client.who().await, "+one\r\n");
        client.0.set_zero_linger().unwrap();
        drop(client);
        bench
            .until("one", |stat| stat.sessions_current == Some(0))
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_restart_takes_the_same_ports_and_ends_the_sessions() {
    locally(async {
        let one = FakeServer::start("one").await;
        let bench = Bench::start(&[&one]).await;
        let mut client = bench.client_on("one").await;
        let (service, admin) = (bench.service, bench.admin);
        assert_eq!(bench.stop().await, 0);
        let again = Bench::launch(service, admin, &[&one]);
        assert_eq!(client.hears().await, "");
        again.reaches("one", "UP").await;
        again.client_on("one").await;
    })
    .await;
}

#[tokio::test]
async fn a_reload_keeps_the_sessions_and_takes_the_new_configuration() {
    locally(async {
        let (one, two) = (
            FakeServer::start("one").await,
            FakeServer::start("two").await,
        );
        let bench = Bench::start(&[&one]).await;
        let mut kept = bench.client_on("one").await;
        assert_eq!(bench.life().await, "1");
        bench.reload_in_vain("global\n    nbthread 2\n");
        bench
            .reload(config(bench.service, bench.admin, &[&two]))
            .await;
        assert_eq!(bench.life().await, "2");
        let log = bench.log.borrow().join("\n");
        assert!(
            log.starts_with("[ALERT] not reloaded: config: line 2"),
            "{log}"
        );
        bench.reaches("two", "UP").await;
        assert_eq!(bench.client().await.who().await, "+two\r\n");
        assert_eq!(kept.who().await, "+one\r\n");
        let stat = bench.stat("two").await;
        assert_eq!(stat.sessions_total, Some(1), "the old one counts elsewhere");
        // Nobody checks the old server any more: it may fail without ending what lives.
        one.answers.set(false);
        bench.client_on("two").await;
        assert_eq!(kept.who().await, "+one\r\n");
        assert_eq!(bench.stop().await, 0);
        assert_eq!(kept.hears().await, "", "terminated, it closes everything");
    })
    .await;
}

#[tokio::test]
async fn everything_closes_with_its_local_set() {
    // A killed proxy has no time to close anything itself.
    let set = LocalSet::new();
    let opened = set.run_until(async {
        let bench = Bench::launch(free(), free(), &[]);
        bench.reaches("FRONTEND", "OPEN").await;
        let admin = TcpStream::connect(bench.admin).await.unwrap();
        // Answered after the one above was accepted, so that one is open.
        bench.admin("show info").await;
        (Client(admin), bench.service)
    });
    let (mut client, service) = opened.await;
    drop(set);
    assert_eq!(client.hears().await, "");
    assert!(TcpStream::connect(service).await.is_err());
}

async fn refusal(config: &str) -> (i32, String) {
    let log = Rc::new(RefCell::new(String::new()));
    let lines = Rc::clone(&log);
    let (_nobody, reloads) = unbounded_channel();
    let code = serve(config, reloads, pending(), move |line: &str| {
        lines.borrow_mut().push_str(line)
    })
    .await;
    (code, log.take())
}

#[tokio::test]
async fn a_malformed_configuration_is_refused() {
    locally(async {
        let (code, log) = refusal("global\n    nbthread 2\n").await;
        assert_eq!(code, 1);
        let began = "[ALERT] config: line 2: 'nbthread 2': unknown in section global; remove it";
        assert!(log.starts_with(began), "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_refused() {
    locally(async {
        let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = holder.local_addr().unwrap();
        for text in [config(taken, free(), &[]), config(free(), taken, &[])] {
            let (code, log) = refusal(&text).await;
            assert_eq!(code, 1);
            let began = format!("[ALERT] cannot bind {taken}: ");
            assert!(log.starts_with(&began), "{log}");
        }
    })
    .await;
}
