//! What the admin socket is told, and what follows.

use rstest::rstest;

use super::bench::{Bench, FakeServer};
use super::locally;

#[rstest]
#[case("disable server keydb/one", "enable server keydb/one")]
#[case("set server keydb/one state maint", "set server keydb/one state ready")]
#[tokio::test]
async fn maintenance_ends_the_sessions(#[case] off: &str, #[case] on: &str) {
    locally(async {
        let (one, two) = (
            FakeServer::start("one").await,
            FakeServer::start("two").await,
        );
        let bench = Bench::start(&[&one, &two]).await;
        let mut lost = bench.client_on("one").await;
        assert_eq!(bench.admin(off).await, "\n");
        assert_eq!(lost.hears().await, "");
        let stat = bench.stat("one").await;
        assert_eq!((stat.status.as_str(), stat.check_status), ("MAINT", None));
        assert_eq!(bench.client().await.who().await, "+two\r\n");
        assert_eq!(bench.client().await.who().await, "+two\r\n");
        assert_eq!(bench.admin(on).await, "\n");
        assert!(bench.stat("one").await.is_up(), "at once");
        bench.client_on("one").await;
        bench.reaches("one", "UP").await;
    })
    .await;
}

#[tokio::test]
async fn a_drained_server_keeps_its_sessions() {
    locally(async {
        let (one, two) = (
            FakeServer::start("one").await,
            FakeServer::start("two").await,
        );
        let bench = Bench::start(&[&one, &two]).await;
        let mut kept = bench.client_on("one").await;
        assert_eq!(bench.admin("set server keydb/one state drain").await, "\n");
        assert_eq!(bench.stat("one").await.status, "DRAIN");
        assert_eq!(bench.client().await.who().await, "+two\r\n");
        assert_eq!(bench.client().await.who().await, "+two\r\n");
        assert_eq!(kept.who().await, "+one\r\n");
        assert_eq!(
            bench.admin("shutdown sessions server keydb/one").await,
            "\n"
        );
        assert_eq!(kept.hears().await, "");
    })
    .await;
}

#[tokio::test]
async fn the_admin_socket_answers_each_command() {
    locally(async {
        let one = FakeServer::start("one").await;
        let bench = Bench::start(&[&one]).await;
        let info = bench.admin("show info").await;
        let version = format!("\nVersion: built-in {}\n", env!("CARGO_PKG_VERSION"));
        assert!(
            info.starts_with("Name: keydb-harness built-in proxy\n"),
            "{info}"
        );
        assert!(info.contains(&version), "{info}");
        assert!(info.ends_with("\nCurrConns: 0\n\n"), "{info}");
        for (command, answer) in [
            ("disable server keydb/nobody", "No such server.\n\n"),
            ("disable server other/one", "No such backend.\n\n"),
            ("disable server one", "Require 'backend/server'.\n\n"),
            ("disable server keydb/one; enable server keydb/one", "\n\n"),
        ] {
            assert_eq!(bench.admin(command).await, answer, "{command}");
        }
        let unknown = bench.admin("show peers").await;
        assert!(
            unknown.starts_with("Unknown command: 'show peers'."),
            "{unknown}"
        );
        let state = bench.admin("set server keydb/one state gone").await;
        assert!(state.starts_with("State 'gone' is not one of"), "{state}");
    })
    .await;
}
