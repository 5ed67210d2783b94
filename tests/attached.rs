//! Clusters that run somewhere: what is sound holds and is left as it was, what is not is seen, and
//! what strikes is healed.
//!
//! The clusters are the library's own, reached by their addresses alone.

use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::{BoxFuture, try_join_all};
use keydb_harness::attached::inventory::Inventory;
use keydb_harness::attached::{Attached, open, plan};
use keydb_harness::cluster::{Cluster, Order, ready};
use keydb_harness::lab::Lab;
use keydb_harness::model::Quirk;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::TestbedKind;
use keydb_harness::testbed::process::find_haproxy;
use keydb_harness::topology::{Role, Topology};
use keydb_harness::verdict::{Outcome, Verdict};
use keydb_harness::wait::{DEADLINE, eventually};
use libtest_mimic::{Arguments, Failed, Trial};
use redis::cmd;

type Body = for<'a> fn(&'a Lab) -> BoxFuture<'a, Result<()>>;

/// On models within this process: they run everywhere.
const ON_MODELS: &[(&str, Body)] = &[
    ("inspect takes the inventory", |lab| Box::pin(inspect(lab))),
    ("a sound cluster holds and is left as it was", |lab| {
        Box::pin(sound(lab))
    }),
    ("without a proxy the primaries are written to", |lab| {
        Box::pin(without_proxy(lab))
    }),
    ("two runs do not meet", |lab| Box::pin(two_runs(lab))),
    ("every key has a time to live", |lab| Box::pin(ends(lab))),
    ("a password is used and not told", |lab| {
        Box::pin(password(lab))
    }),
    ("what is broken is seen", |lab| Box::pin(red(lab))),
];

/// On processes: they can be struck.
const ON_PROCESSES: &[(&str, Body)] = &[
    ("inspect takes the inventory", |lab| Box::pin(inspect(lab))),
    ("a sound cluster holds and is left as it was", |lab| {
        Box::pin(sound(lab))
    }),
    ("an ACL user that may do little is enough", |lab| {
        Box::pin(acl_user(lab))
    }),
    ("a proxy that speaks TLS", |lab| Box::pin(tls(lab))),
    ("a frozen node is healed and nothing is lost", |lab| {
        Box::pin(frozen(lab))
    }),
    ("writes that are lost are seen", |lab| Box::pin(lost(lab))),
    ("a node that stays away is seen", |lab| {
        Box::pin(stays_away(lab))
    }),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(8);
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let mut tests = Vec::new();
    for (kind, bodies) in [
        (TestbedKind::Embedded, ON_MODELS),
        (TestbedKind::Process, ON_PROCESSES),
    ] {
        let settings = Settings {
            testbed: TestbedChoice::Only(kind),
            ..Settings::default()
        };
        let lab = runtime.block_on(Lab::open(&settings));
        if let Err(error) = &lab {
            eprintln!("attached, {kind}: NOT RUN: {error}");
        }
        let lab = Arc::new(lab);
        for (name, body) in bodies {
            let (lab, runtime) = (Arc::clone(&lab), Arc::clone(&runtime));
            let absent = lab.is_err();
            let test = Trial::test(format!("{kind}: {name}"), move || {
                let lab = lab.as_ref().as_ref().map_err(ToString::to_string)?;
                let done = runtime.block_on(body(lab));
                done.map_err(|error| Failed::from(format!("{error:#}")))
            });
            tests.push(test.with_ignored_flag(absent));
        }
    }
    // The longest are at the end of the tables, and begun first.
    tests.reverse();
    libtest_mimic::run(&arguments, tests).exit_code()
}

async fn cluster(lab: &Lab) -> Result<Cluster> {
    let topology = Topology::active_active().replicas(2).build()?;
    Cluster::start(lab, topology, Order::Staged).await
}

/// The addresses of a cluster as an inventory, with more text behind it.
async fn inventory(cluster: &Cluster, more: &str) -> Result<String> {
    let mut text = "name = 'own'\n".to_owned();
    for node in cluster.nodes() {
        let role = match node.spec().role {
            Role::Primary => "primary",
            Role::Replica => "replica",
        };
        text += &format!(
            "[[node]]\nname = '{}'\naddress = '{}'\nrole = '{role}'\n",
            node.name(),
            node.address().await?
        );
    }
    if let Ok(proxy) = cluster.proxy() {
        text += &format!("[proxy]\naddress = '{}'\n", proxy.address().await?);
    }
    Ok(text + more)
}

fn parse(text: &str) -> Result<Inventory> {
    Ok(Inventory::parse(text, &std::env::temp_dir())?)
}

/// Opens the cluster and runs the checks whose names contain `filter`.
async fn run(text: &str, filter: &str, deadline: Duration) -> Result<Vec<Outcome>> {
    let inventory = parse(text)?;
    let (planned, _) = plan(&inventory, &[filter.to_owned()], true);
    ensure!(!planned.is_empty(), "nothing is called like {filter}");
    let attached: Attached = open(inventory).await?.impatient(deadline);
    let outcomes = attached.run(&planned, &|_| {}).await;
    // Where something was broken on purpose keys may stay.
    let _ = attached.leave().await;
    Ok(outcomes)
}

fn all_hold(outcomes: &[Outcome]) -> Result<()> {
    for outcome in outcomes {
        let bad = outcome.findings.iter();
        let bad: Vec<_> = bad.filter(|it| it.verdict != Verdict::Holds).collect();
        ensure!(
            outcome.verdict() == Verdict::Holds,
            "{}: {bad:#?}",
            outcome.id()
        );
    }
    Ok(())
}

/// Each check that is broken, as `attached-writes: reaches-all`.
fn broken(outcomes: &[Outcome]) -> Vec<String> {
    let findings = outcomes.iter().flat_map(|outcome| {
        let findings = outcome.findings.iter();
        let broken = findings.filter(|it| it.verdict == Verdict::Broken);
        broken.map(|it| format!("{}: {}", outcome.scenario, it.check))
    });
    findings.collect()
}

const PATIENT: Duration = Duration::from_secs(90);
const IMPATIENT: Duration = Duration::from_secs(3);

async fn sound(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let mut client = cluster.node("primary1")?.client().await?;
    client.query::<()>(cmd("SET").arg("ours").arg("1")).await?;
    let before = holdings(&cluster).await?;
    let text = inventory(&cluster, "").await?;
    let attached = open(parse(&text)?).await?;
    let (planned, left_out) = plan(attached.inventory(), &[], false);
    ensure!(left_out.is_empty(), "no fault has a command: {left_out:?}");
    ensure!(planned.len() == 6, "{planned:?}");
    let outcomes = attached.run(&planned, &|_| {}).await;
    all_hold(&outcomes)?;
    let said = attached.leave().await.map_err(anyhow::Error::msg)?;
    ensure!(said.contains("none is left"), "{said}");
    let after = holdings(&cluster).await?;
    ensure!(before == after, "{before:?} became {after:?}");
    if lab.identity().is_real() {
        nothing_but_harmless(&cluster).await?;
    }
    cluster.close().await;
    Ok(())
}

/// The keys of every node, once they are the same for a moment.
async fn holdings(cluster: &Cluster) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for node in cluster.nodes() {
        let mut client = node.client().await?;
        let mut keys: Vec<String> = client.query(cmd("KEYS").arg("*")).await?;
        keys.sort();
        all.push(format!("{}: {}", node.name(), keys.join(" ")));
    }
    Ok(all)
}

/// No server was told to do what the inventory's owner would not expect.
async fn nothing_but_harmless(cluster: &Cluster) -> Result<()> {
    for node in cluster.nodes() {
        let mut client = node.client().await?;
        let stats: String = client.query(cmd("INFO").arg("commandstats")).await?;
        for word in ["flush", "config", "scan", "shutdown", "client", "swapdb"] {
            let asked = format!("cmdstat_{word}");
            ensure!(!stats.contains(&asked), "{}: {stats}", node.name());
        }
    }
    Ok(())
}

async fn without_proxy(lab: &Lab) -> Result<()> {
    let topology = Topology::active_active().replicas(1).without_proxy();
    let cluster = Cluster::start(lab, topology.build()?, Order::Staged).await?;
    all_hold(&run(&inventory(&cluster, "").await?, "attached", PATIENT).await?)?;
    cluster.close().await;
    Ok(())
}

async fn two_runs(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let text = inventory(&cluster, "").await?;
    let first = open(parse(&text)?).await?;
    match open(parse(&text)?).await {
        Ok(_) => bail!("a second run began"),
        Err(error) => ensure!(
            error.to_string().contains("another run is at work"),
            "{error}"
        ),
    }
    first.leave().await.map_err(anyhow::Error::msg)?;
    let second = open(parse(&text)?).await?;
    second.leave().await.map_err(anyhow::Error::msg)?;
    cluster.close().await;
    Ok(())
}

/// What a run that is killed leaves goes by itself.
async fn ends(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let attached = open(parse(&inventory(&cluster, "").await?)?).await?;
    let (planned, _) = plan(attached.inventory(), &[], false);
    all_hold(&attached.run(&planned, &|_| {}).await)?;
    for node in cluster.nodes() {
        let mut client = node.client().await?;
        let keys: Vec<String> = client.query(cmd("KEYS").arg("*")).await?;
        ensure!(keys.len() > 50, "{} has {} keys", node.name(), keys.len());
        for key in keys {
            ensure!(key.starts_with("keydb-harness:"), "{key}");
            let left: i64 = client.query(cmd("TTL").arg(&key)).await?;
            ensure!((0..=900).contains(&left), "{key} has {left} s left");
        }
    }
    cluster.close().await;
    Ok(())
}

async fn password(lab: &Lab) -> Result<()> {
    let topology = Topology::active_active().replicas(1);
    let topology = topology.password("open sesame").build()?;
    let cluster = Cluster::start(lab, topology, Order::Staged).await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("password");
    let access = format!("[access]\npassword-file = '{}'\n", file.display());
    std::fs::write(&file, "open sesame\n")?;
    let text = inventory(&cluster, &access).await?;
    all_hold(&run(&text, "attached", PATIENT).await?)?;
    std::fs::write(&file, "open barley\n")?;
    match open(parse(&text)?).await {
        Ok(_) => bail!("a wrong password was taken"),
        Err(error) => {
            let error = error.to_string();
            ensure!(error.contains("primary1 of the inventory"), "{error}");
            ensure!(!error.contains("barley"), "{error}");
        }
    }
    cluster.close().await;
    Ok(())
}

/// The program looks at what an inventory names, with its password, and holds it against what it says.
async fn inspect(lab: &Lab) -> Result<()> {
    let topology = Topology::active_active().replicas(1);
    let topology = topology.password("open sesame").build()?;
    let cluster = Cluster::start(lab, topology, Order::Staged).await?;
    let dir = tempfile::tempdir()?;
    let (file, password) = (dir.path().join("cluster.toml"), dir.path().join("password"));
    let access = format!("[access]\npassword-file = '{}'\n", password.display());
    std::fs::write(&file, inventory(&cluster, &access).await?)?;
    let risks = || async {
        let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_keydb-harness"));
        program
            .args(["inspect", "--json", "--inventory"])
            .arg(&file);
        let output = program.output().await?;
        let notices: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let risks = notices.iter().filter(|it| it["severity"] == "risk");
        let told = risks.map(|it| format!("{}: {}", it["at"], it["says"]));
        anyhow::Ok(told.collect::<Vec<_>>())
    };
    std::fs::write(&password, "open sesame\n")?;
    let sound = risks().await?;
    ensure!(sound.is_empty(), "{sound:#?}");
    let mut client = cluster.node("replica1")?.client().await?;
    client
        .query::<()>(cmd("REPLICAOF").arg("NO").arg("ONE"))
        .await?;
    let alone = risks().await?;
    let told = |word: &str| alone.iter().any(|risk| risk.contains(word));
    ensure!(told("replica1") && told("it follows nobody"), "{alone:#?}");
    std::fs::write(&password, "open barley\n")?;
    let stranger = risks().await?;
    ensure!(stranger.len() == cluster.nodes().len(), "{stranger:#?}");
    ensure!(!format!("{stranger:?}").contains("barley"), "{stranger:#?}");
    cluster.close().await;
    Ok(())
}

/// What makes a cluster one that breaks a promise.
#[derive(Clone, Copy)]
enum Ill {
    /// Its servers have this quirk.
    Quirk(&'static str),
    /// One of them gets it once the cluster is ready, as it would not become so with it.
    Late(&'static str, &'static str),
    /// One of them was told to.
    Told(&'static str, &'static [&'static str]),
}

/// What is ill, and a check that has to see it.
const RED: &[(Ill, &str)] = &[
    (
        Ill::Told("replica1", &["REPLICAOF", "NO", "ONE"]),
        "attached-links: links",
    ),
    (
        Ill::Told("replica1", &["REPLICAOF", "NO", "ONE"]),
        "attached-writes: reaches-all",
    ),
    (
        Ill::Told("primary2", &["REPLICAOF", "NO", "ONE"]),
        "attached-writes: from-primary1",
    ),
    (
        Ill::Late("replica1", "replica-keeps-deleted"),
        "attached-removals: deleted",
    ),
    (
        Ill::Quirk("sorted-sets-stay-home"),
        "attached-kinds: sorted-set",
    ),
    (Ill::Quirk("ttl-lost"), "attached-expiry: lives-on-replica1"),
    (Ill::Quirk("expired-on-replica"), "attached-expiry: ends"),
    (
        Ill::Quirk("writable-replica"),
        "attached-read-only: refuses-replica1",
    ),
];

async fn red(lab: &Lab) -> Result<()> {
    // They mostly wait.
    let all = RED.iter().map(|(ill, seen)| async {
        let caught = caught(lab, *ill, seen).await;
        caught.with_context(|| (*seen).to_owned())
    });
    try_join_all(all).await.map(drop)
}

async fn caught(lab: &Lab, ill: Ill, seen: &str) -> Result<()> {
    let model = |quirk: &str| -> Result<KeydbSpec> {
        let quirk: Quirk = quirk.parse().map_err(anyhow::Error::msg)?;
        Ok(KeydbSpec::Model([quirk].into_iter().collect()))
    };
    let lab = match ill {
        Ill::Quirk(quirk) => lab.with_keydb(model(quirk)?),
        _ => lab.clone(),
    };
    let cluster = cluster(&lab).await?;
    match ill {
        Ill::Quirk(_) => {}
        Ill::Late(node, quirk) => {
            cluster.node(node)?.replace(model(quirk)?).await?;
            let links = || ready::links(&cluster);
            eventually(&cluster, "every link is up", DEADLINE, links).await?;
        }
        Ill::Told(node, words) => {
            let mut client = cluster.node(node)?.client().await?;
            client.query::<()>(cmd(words[0]).arg(&words[1..])).await?;
        }
    }
    let (filter, _) = seen.split_once(':').context("a check")?;
    let outcomes = run(&inventory(&cluster, "").await?, filter, IMPATIENT).await?;
    let broken = broken(&outcomes);
    ensure!(broken.iter().any(|it| it == seen), "{broken:?}");
    cluster.close().await;
    Ok(())
}

async fn acl_user(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    for node in cluster.nodes() {
        let mut client = node.client().await?;
        let mut acl = cmd("ACL");
        acl.arg("SETUSER").arg("harness").arg("on").arg(">hidden-7");
        acl.arg("~keydb-harness:*").arg("+@read").arg("+@write");
        acl.arg("+@connection").arg("+info").arg("+command");
        acl.arg("+multi")
            .arg("+exec")
            .arg("-@dangerous")
            .arg("+info");
        client.query::<()>(&acl).await?;
    }
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("password");
    std::fs::write(&file, "hidden-7")?;
    let access = format!(
        "[access]\nusername = 'harness'\npassword-file = '{}'\n",
        file.display()
    );
    let text = inventory(&cluster, &access).await?;
    all_hold(&run(&text, "attached", PATIENT).await?)?;
    cluster.close().await;
    Ok(())
}

/// HAProxy ends TLS before the first primary: the certificate is checked against the name.
async fn tls(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let dir = tempfile::tempdir()?;
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, signed.cert.pem())?;
    let both = dir.path().join("both.pem");
    std::fs::write(
        &both,
        signed.cert.pem() + &signed.signing_key.serialize_pem(),
    )?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let primary = cluster.node("primary1")?.address().await?;
    let config = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\nlisten tls\n  bind {port} ssl crt {}\n  server primary1 {primary}\n",
        both.display()
    );
    let file = dir.path().join("haproxy.cfg");
    std::fs::write(&file, config)?;
    let mut haproxy = Command::new(find_haproxy(None)?)
        .arg("-db")
        .arg("-f")
        .arg(&file)
        .spawn()?;
    let done = over_tls(&cluster, port, &ca).await;
    haproxy.kill()?;
    haproxy.wait()?;
    cluster.close().await;
    done
}

async fn over_tls(cluster: &Cluster, port: SocketAddr, ca: &std::path::Path) -> Result<()> {
    let plain = inventory(cluster, "").await?;
    let (nodes, _) = plain.split_once("[proxy]").context("a proxy")?;
    let of = |host: &str| {
        format!(
            "{nodes}[proxy]\naddress = '{host}:{}'\n[proxy.access.tls]\nca = '{}'\n",
            port.port(),
            ca.display()
        )
    };
    // It may not listen yet.
    let deadline = std::time::Instant::now() + PATIENT;
    while std::net::TcpStream::connect(port).is_err() {
        ensure!(
            std::time::Instant::now() < deadline,
            "HAProxy does not listen"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    all_hold(&run(&of("localhost"), "attached", PATIENT).await?)?;
    match open(parse(&of("127.0.0.1"))?).await {
        Ok(_) => bail!("a certificate for another name was taken"),
        Err(error) => ensure!(error.to_string().contains("ertificate"), "{error}"),
    }
    Ok(())
}

/// `[faults]` that freeze and thaw the nodes of this cluster.
async fn freezing(cluster: &Cluster, thaw: &str) -> Result<String> {
    let mut cases = String::new();
    for node in cluster.nodes() {
        let info = node.info().await?;
        let pid = info.get("process_id").context("a process id")?;
        cases += &format!("{}) p={pid};; ", node.name());
    }
    Ok(format!(
        "[faults]\npause = 'case {{node}} in {cases}esac; kill -STOP $p'\nresume = 'case {{node}} in {cases}esac; {thaw}'\n"
    ))
}

async fn frozen(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let faults = freezing(&cluster, "kill -CONT $p").await?;
    let text = inventory(&cluster, &faults).await?;
    let inventory = parse(&text)?;
    let (_, left_out) = plan(&inventory, &[], false);
    ensure!(left_out.len() == 4, "{left_out:?}");
    let outcomes = run(&text, "attached-fault", PATIENT).await?;
    ensure!(outcomes.len() == 4, "{outcomes:?}");
    all_hold(&outcomes)?;
    cluster.close().await;
    Ok(())
}

async fn stays_away(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let faults = freezing(&cluster, "true").await?;
    let text = inventory(&cluster, &faults).await?;
    let outcomes = run(&text, "pause-primary1", IMPATIENT).await?;
    let broken = broken(&outcomes);
    ensure!(
        broken.contains(&"attached-fault: comes-back".to_owned()),
        "{broken:?}"
    );
    cluster.close().await;
    Ok(())
}

async fn lost(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let primary2 = cluster.node("primary2")?.address().await?;
    let thaw = format!(
        "kill -CONT $p; bash -c \"exec 3<>/dev/tcp/{}/{}; echo FLUSHALL >&3; head -n1 <&3\"",
        primary2.ip(),
        primary2.port()
    );
    let faults = freezing(&cluster, &thaw).await?;
    let text = inventory(&cluster, &faults).await?;
    let outcomes = run(&text, "pause-replica1", Duration::from_secs(15)).await?;
    let broken = broken(&outcomes);
    ensure!(
        broken.contains(&"attached-fault: survival".to_owned()),
        "{broken:?}"
    );
    cluster.close().await;
    Ok(())
}
