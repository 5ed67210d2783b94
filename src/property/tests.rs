//! What properties collect, from servers that answer what is written here.

use std::time::Duration;

use redis::Value;
use rstest::rstest;
use tokio::time::Instant;

use super::*;
use crate::cluster::fake::{Script, bulk, cluster};
use crate::testbed::Status;
use crate::trial::Trial;
use crate::verdict::Verdict::{self, Broken, Holds, Inconclusive};

/// INFO of a server whose link is up.
fn info(replid: &str, keyspace: &str) -> String {
    format!(
        "# Replication\r\nrole:slave\r\nmaster_host:h\r\nmaster_port:1\r\n\
         master_link_status:up\r\nmaster_replid:{replid}\r\n\r\n# Keyspace\r\n{keyspace}\r\n"
    )
}

/// A server whose data is this.
fn holding(digest: &str, keyspace: &str) -> Script {
    Script::new(&info("a", keyspace), digest)
}

fn findings(trial: Trial) -> Vec<(String, Verdict)> {
    let (_, record) = trial.finish();
    let of = |finding: crate::verdict::Finding| (finding.check, finding.verdict);
    record.findings.into_iter().map(of).collect()
}

const NINE: &str = "db0:keys=9,expires=1";

#[rstest]
#[case::equal_data_holds(
    ["x", "x"], [NINE, NINE], 9,
    &[("agreement", Holds), ("data-kept", Holds), ("expires", Holds)]
)]
#[case::less_than_was_written_broken(
    ["x", "x"], [NINE, NINE], 10,
    &[("agreement", Holds), ("data-kept", Broken), ("expires", Holds)]
)]
#[case::invented_expiry_broken(
    ["x", "x"], [NINE, "db0:keys=9,expires=9"], 9,
    &[("agreement", Holds), ("data-kept", Holds), ("expires", Broken)]
)]
#[case::other_data_broken(["x", "y"], [NINE, NINE], 9, &[("agreement", Broken)])]
#[tokio::test]
async fn agreement_of_two_nodes(
    #[case] digests: [&str; 2],
    #[case] keyspaces: [&str; 2],
    #[case] at_least: u64,
    #[case] wanted: &[(&str, Verdict)],
) {
    let no_keys = "*2\r\n$1\r\n0\r\n*0\r\n";
    let script = |n: usize| holding(digests[n], keyspaces[n]).with("SCAN", no_keys);
    let (cluster, _) = cluster(vec![("primary1", script(0)), ("replica1", script(1))]).await;
    let trial = Trial::new(cluster, "", 0);
    let agrees = agreement::check(&trial, "agreement", at_least).await;
    assert_eq!(agrees, wanted[0].1 == Holds);
    let findings = findings(trial);
    let seen: Vec<_> = findings.iter().map(|(c, v)| (c.as_str(), *v)).collect();
    assert_eq!(seen, wanted);
}

/// The key `k` of one node: type, TTL and value are read in two pipelines.
#[tokio::test]
async fn agreement_names_the_key_that_differs() {
    let script = |digest, value| {
        holding(digest, "db3:keys=1,expires=0")
            .with("SCAN", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n")
            .with("TYPE k", "+string\r\n:-1\r\n")
            .with("GET k", &bulk(value))
    };
    let nodes = vec![
        ("primary1", script("x", "1")),
        ("primary2", script("y", "2")),
    ];
    let (cluster, scripts) = cluster(nodes).await;
    let unmet = agreement::reached(&cluster).await.unwrap_err();
    assert_eq!(
        unmet.last,
        "1 keys differ; db3 'k': string 1 on primary1, string 2 on primary2"
    );
    let asked = scripts[1].lock().unwrap().asked.clone();
    assert!(asked.contains(&"SELECT 3".to_owned()), "{asked:?}");
}

#[rstest]
#[case::follows_the_survivor_holds("b", Ok("primary2: replica1"))]
#[case::follows_the_other_broken("a", Err("primary1: replica1"))]
#[tokio::test]
async fn failover_to_primary2(#[case] replid: &str, #[case] wanted: Result<&str, &str>) {
    let script = |replid| Script::new(&info(replid, ""), "");
    let nodes = vec![
        ("primary1", script("a")),
        ("primary2", script("b")),
        ("replica1", script(replid)),
    ];
    let (cluster, _) = cluster(nodes).await;
    let seen = failover::replicas_follow(&cluster, "primary2").await;
    let seen = seen.map_err(|unmet| unmet.last);
    assert_eq!(seen.as_deref().map_err(String::as_str), wanted);
}

#[rstest]
#[case::all_well_holds(Status::Running, "ready\n", &[("alive", Holds), ("logs", Holds)])]
#[case::one_is_dead_broken(Status::Ended(None), "ready\n", &[("alive", Broken), ("logs", Holds)])]
#[case::one_logged_trouble_broken(
    Status::Running, "=== ASSERTION FAILED ===\n",
    &[("alive", Holds), ("log:assertion-failed", Broken)]
)]
#[case::one_log_is_empty_unknown(
    Status::Running, "", &[("alive", Holds), ("logs", Inconclusive), ("logs", Holds)]
)]
#[tokio::test]
async fn health_of_two_nodes(
    #[case] status: Status,
    #[case] log: &str,
    #[case] wanted: &[(&str, Verdict)],
) {
    let mut second = holding("", "");
    second.status = Ok(status);
    second.log = log.to_owned();
    let (cluster, _) = cluster(vec![("primary1", holding("", "")), ("primary2", second)]).await;
    let trial = Trial::new(cluster, "", 0);
    health::check(&trial).await;
    let findings = findings(trial);
    let seen: Vec<_> = findings.iter().map(|(c, v)| (c.as_str(), *v)).collect();
    assert_eq!(seen, wanted);
}

/// One that answers nothing is not told to live; one that ends while it is waited for, as whoever crashes
/// does once the report is written, is dead.
#[rstest]
#[case::hangs(false, Inconclusive)]
#[case::ends_in_the_end(true, Broken)]
#[tokio::test]
async fn a_silent_server_is_not_alive(#[case] ends: bool, #[case] wanted: Verdict) {
    let silent = holding("", "").with("PING", "");
    let (cluster, scripts) =
        cluster(vec![("primary1", holding("", "")), ("primary2", silent)]).await;
    let trial = Trial::new(cluster, "", 0);
    let end = async {
        if ends {
            tokio::time::sleep(Duration::from_secs(2)).await;
            scripts[1].lock().unwrap().status = Ok(Status::Ended(Some(134)));
        }
    };
    tokio::join!(health::check(&trial), end);
    assert_eq!(findings(trial)[0], ("alive".to_owned(), wanted));
}

#[tokio::test]
async fn a_server_that_was_stopped_need_not_live() {
    let mut stopped = holding("", "");
    stopped.status = Ok(Status::Ended(Some(0)));
    let (cluster, _) = cluster(vec![("primary1", holding("", "")), ("primary2", stopped)]).await;
    cluster.node("primary2").unwrap().stop().await.unwrap();
    let trial = Trial::new(cluster, "", 0);
    health::check(&trial).await;
    assert_eq!(findings(trial)[0], ("alive".to_owned(), Holds));
}

#[rstest]
#[case::accepted("+OK\r\n", Ok(true), true)]
#[case::refused_as_readonly("-READONLY You can't write\r\n", Ok(false), false)]
#[case::refused_otherwise("-OOM no memory\r\n", Err("OOM no memory"), false)]
#[tokio::test]
async fn a_probe_write_is_taken_back_if_it_was_accepted(
    #[case] reply: &str,
    #[case] wanted: Result<bool, &str>,
    #[case] deleted: bool,
) {
    let script = holding("", "").with("SET", reply).with("DEL", ":1\r\n");
    let (cluster, scripts) = cluster(vec![("replica1", script)]).await;
    let seen = read_only::accepts_writes(&cluster.nodes()[0]).await;
    let seen = seen.map_err(|error| error.to_string());
    assert_eq!(seen, wanted.map_err(str::to_owned));
    let asked = scripts[0].lock().unwrap().asked.clone();
    let delete = "DEL keydb-harness:probe:write".to_owned();
    assert_eq!(asked.contains(&delete), deleted, "{asked:?}");
}

#[tokio::test]
async fn resyncs_are_counted_from_before() {
    let stats = |full: i64, partial: i64| {
        bulk(&format!(
            "sync_full:{full}\r\nsync_partial_ok:{partial}\r\n"
        ))
    };
    let script = |full, partial| holding("", "").with("INFO", &stats(full, partial));
    let nodes = vec![("primary1", script(3, 1)), ("primary2", script(1, 0))];
    let (cluster, scripts) = cluster(nodes).await;
    cluster.node("primary2").unwrap().kill().await.unwrap();
    let before = resync::before(&cluster).await.unwrap();

    cluster.node("primary2").unwrap().start().await.unwrap();
    {
        let mut first = scripts[0].lock().unwrap();
        first.replies.insert(0, ("INFO", stats(5, 4)));
        first.log.push_str("sync: receiving 7 bytes\n");
    }
    let resyncs = resync::since(&cluster, &before).await.unwrap();
    assert_eq!((resyncs.full, resyncs.partial, resyncs.bytes), (3, 3, 7));
}

#[rstest]
#[case::on_both_nodes_holds("v", Ok(["primary1", "replica1"]))]
#[case::not_on_one_node_broken("w", Err("a key on replica1"))]
#[tokio::test]
async fn visible_on_two_nodes(#[case] second: &str, #[case] wanted: Result<[&str; 2], &str>) {
    let script = |value| holding("", "").with("GET k", &bulk(value));
    let nodes = vec![("primary1", script("v")), ("replica1", script(second))];
    let (cluster, scripts) = cluster(nodes).await;
    let mut readers = visible::readers(&cluster, 3).await.unwrap();
    let read = redis::cmd("GET").arg("k").to_owned();
    let value = visible::bulk("v");
    let since = Instant::now() - Duration::from_millis(5);
    let seen = visible::everywhere(&cluster, &mut readers, "a key", &read, &value, since).await;
    match (seen, wanted) {
        (Ok(latencies), Ok(names)) => {
            assert!(latencies.0.keys().eq(names), "{latencies}");
            assert!(
                latencies
                    .0
                    .values()
                    .all(|time| *time >= Duration::from_millis(5))
            );
        }
        (Err(unmet), Err(what)) => assert_eq!(unmet.what, what),
        (seen, wanted) => panic!("{seen:?}, not {wanted:?}"),
    }
    for script in scripts {
        assert_eq!(script.lock().unwrap().asked[..2], ["SELECT 3", "GET k"]);
    }
    assert_eq!(value, Value::BulkString(b"v".to_vec()));
}
