//! The password of a cluster is seen nowhere: not in what is printed or kept of a run, not in errors, not in
//! the list of processes, and not by other users of the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use keydb_harness::cluster::reach::Reach;
use keydb_harness::cluster::{Client, Cluster, Order, Timeouts};
use keydb_harness::inspect::rules;
use keydb_harness::inspect::survey::{Asked, survey};
use keydb_harness::lab::Lab;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::testbed::{Port, TestbedKind};
use keydb_harness::topology::{Persistence, Topology};
use keydb_harness::workload::write_mixed_data;
use rstest::rstest;

/// Of the cluster that is started here. It has what shells, URLs, JSON and HTML write differently.
const PASSWORD: &str = "recognisable \"d41d\" pass&word";
/// Of `configuration/passwords`.
const OF_THE_SCENARIO: &str = "a \"quoted\" password";

/// A text however it may be written.
fn written(text: &str) -> Vec<String> {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url = |text: &str| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric();
        let bytes = text.bytes();
        let words = bytes.map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        });
        words.collect()
    };
    let escaped = text.replace('"', "\\\"");
    let html = |quote: &str| text.replace('&', "&amp;").replace('"', quote);
    vec![
        text.to_owned(),
        escaped.replace('\\', "\\\\"),
        escaped,
        html("&quot;"),
        html("&#34;"),
        html("&#x22;"),
        hex(text),
        url(text),
    ]
}

fn is_not_seen(password: &str, place: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for written in written(password) {
        let at = text.find(&written);
        let around = at.map(|at| text[..at].chars().rev().take(60).collect::<String>());
        let around = around.map(|text| text.chars().rev().collect::<String>());
        assert_eq!(around, None, "{place} shows {written}");
    }
}

/// Every file below a folder, compressed ones as what they hold. Gives how many there were.
fn no_file_shows(password: &str, folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            count += no_file_shows(password, &path);
            continue;
        }
        let mut content = fs::read(&path).expect("a file");
        if path.extension().is_some_and(|end| end == "zst") {
            content = zstd::decode_all(&content[..]).expect("zstd");
        }
        is_not_seen(password, &path.display().to_string(), &content);
        count += 1;
    }
    count
}

/// The command lines of all processes of the machine.
fn command_lines() -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").expect("proc").flatten() {
        // Most are no processes, and some end meanwhile.
        all.extend(fs::read(entry.path().join("cmdline")).unwrap_or_default());
        all.push(b'\n');
    }
    all.iter_mut()
        .filter(|byte| **byte == 0)
        .for_each(|byte| *byte = b' ');
    all
}

/// The testbed with this KeyDB; none where it cannot be had.
async fn lab(kind: TestbedKind, keydb: Option<&str>) -> Option<Lab> {
    let settings = Settings {
        testbed: TestbedChoice::Only(kind),
        keydb: keydb.map(|keydb| keydb.parse().expect("a SPEC")),
        ..Settings::default()
    };
    match Lab::open(&settings).await {
        Ok(lab) => Some(lab),
        Err(error) => {
            eprintln!("{kind}, {keydb:?}: NOT RUN: {error}");
            None
        }
    }
}

#[rstest]
#[case::embedded(TestbedKind::Embedded, None)]
#[case::the_model_as_processes(TestbedKind::Process, Some("model"))]
#[case::keydb_as_processes(TestbedKind::Process, None)]
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_its_password(
    #[case] kind: TestbedKind,
    #[case] keydb: Option<&str>,
) -> Result<()> {
    let Some(lab) = lab(kind, keydb).await else {
        return Ok(());
    };
    let topology = Topology::active_active()
        .replicas(1)
        .persistence(Persistence::Aof)
        .password(PASSWORD)
        .build()?;
    is_not_seen(PASSWORD, "a topology", format!("{topology:#?}").as_bytes());
    let cluster = Cluster::start(&lab, topology, Order::Staged).await?;
    let seen = |place: &str, text: &str| is_not_seen(PASSWORD, place, text.as_bytes());
    write_mixed_data(&mut cluster.proxy()?.client().await?, "secret", 10).await?;
    is_not_seen(PASSWORD, "the list of processes", &command_lines());
    seen("a cluster", &format!("{cluster:#?}"));
    seen("what it shows", &cluster.observe().await.to_string());
    let mut nodes = Vec::new();
    for node in cluster.nodes() {
        let address = node.server().endpoint(Port::Service).await?;
        nodes.push(Asked {
            name: node.name().to_owned(),
            reach: Reach::plain(address, Some(PASSWORD)),
            declared: None,
        });
        let wrong = format!("{PASSWORD}, but another");
        let refused = Client::connect(address, Some(&wrong), Timeouts::GLANCE).await;
        let refused = refused.err().context("a wrong password is taken")?;
        seen("a refusal", &refused.to_string());
        seen("a log", &node.log().await?);
        seen("INFO", &node.info().await?.to_string());
    }
    seen("the proxy's log", &cluster.proxy()?.server().log().await?);
    let statistics = cluster.proxy()?.admin("show stat").await;
    let statistics = &statistics.map_err(anyhow::Error::msg)?;
    seen("the proxy's statistics", statistics);
    let surveyed = survey(&nodes).await;
    seen("an inspection", &format!("{surveyed:#?}"));
    seen("its notices", &format!("{:#?}", rules::all(&surveyed)));
    let known = surveyed[0]
        .facts
        .as_ref()
        .map(|facts| facts.option("requirepass"));
    ensure!(known == Ok(Some("***")), "{known:?}");

    if kind == TestbedKind::Process {
        let data = cluster.node("primary1")?.server().data_files().await?;
        ensure!(!data.is_empty(), "it keeps files");
        let runs = keydb_harness::run::runs_dir()?;
        for run in fs::read_dir(runs)?.flatten() {
            let Ok(about) = run.metadata() else { continue };
            let mode = about.permissions().mode() & 0o077;
            ensure!(mode == 0, "others may look into {:?}: {mode:o}", run.path());
        }
    }
    cluster.close().await;
    Ok(())
}

/// A server that knows no `AUTH` repeats what it was sent, whole or in part.
#[tokio::test]
async fn a_server_that_repeats_the_password_does_not_bring_it_into_an_error() -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let said =
                format!("-ERR unknown command `AUTH`, with args beginning with: `{PASSWORD}`");
            let cut_off = &said[..said.len() - 5];
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream
                .write_all(format!("{said} {cut_off}\r\n").as_bytes())
                .await;
        }
    });
    let refused = Client::connect(address, Some(PASSWORD), Timeouts::GLANCE).await;
    let refused = refused.err().context("it refuses")?.to_string();
    is_not_seen(&PASSWORD[..20], "an error", refused.as_bytes());
    Ok(())
}

/// What a run prints, and all that it keeps.
#[rstest]
#[case::embedded(TestbedKind::Embedded, None)]
#[case::keydb_as_processes(TestbedKind::Process, None)]
#[tokio::test]
async fn a_report_does_not_show_the_password(
    #[case] kind: TestbedKind,
    #[case] keydb: Option<&str>,
) -> Result<()> {
    if lab(kind, keydb).await.is_none() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let output = Command::new(env!("CARGO_BIN_EXE_keydb-harness"))
        .args([
            "check",
            "configuration/passwords",
            "--testbed",
            &kind.to_string(),
        ])
        .arg("--report")
        .arg(&report)
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains("configuration/passwords"), "{output:?}");
    is_not_seen(OF_THE_SCENARIO, "standard output", &output.stdout);
    is_not_seen(OF_THE_SCENARIO, "standard error", &output.stderr);
    let count = no_file_shows(OF_THE_SCENARIO, folder.path());
    ensure!(count > 5, "{count} files were kept");
    Ok(())
}
