//! `requirepass` and `masterauth`.

use anyhow::Result;

use super::Configuration;
use super::follows::{answers, links, replication};
use super::start::{self, Start};
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::cluster::{Client, Timeouts};
use crate::testbed::Port;
use crate::topology::Topology;

const PASSWORD: &str = "a \"quoted\" password";

pub(super) const ROW: Configuration = Configuration {
    name: "passwords",
    topology: || {
        super::restarted(Topology::active_active())
            .replicas(1)
            .password(PASSWORD)
            .build()
    },
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

/// In this order: each goes on where the one before left the cluster.
const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "strangers-refused",
        promise: "with requirepass no node serves who gives no password",
        source: "keydb.conf (requirepass)",
        needs: &[],
        run: |hands| Box::pin(strangers(hands)),
    },
    Behaviour {
        check: "wrong-masterauth-shows",
        promise: "a primary with a wrong masterauth does not hear its peer, says so in INFO and log, and is heard itself",
        source: "keydb.conf (masterauth)",
        needs: &[],
        run: |hands| Box::pin(wrong(hands)),
    },
    Behaviour {
        check: "masterauth-mended",
        promise: "CONFIG SET masterauth mends it without a restart",
        source: "keydb.conf (masterauth); KeyDB docs commands.md (CONFIG SET takes effect at once)",
        needs: &[],
        run: |hands| Box::pin(mended(hands)),
    },
];

async fn strangers(hands: &Hands<'_>) -> Result<Seen> {
    for node in hands.cluster().nodes() {
        let address = node.server().endpoint(Port::Service).await?;
        let mut client = Client::connect(address, None, Timeouts::PATIENT).await?;
        let mut read = redis::cmd("GET");
        read.arg("passwords:key");
        let answer = client.query::<Option<String>>(&read).await;
        hands.note(&format!(
            "{} without a password: GET -> {answer:?}",
            node.name()
        ));
        match answer {
            Err(error) if error.is_refusal("NOAUTH") => {}
            other => return Ok(Err(format!("{}: {other:?}", node.name()))),
        }
    }
    Ok(Ok("NOAUTH from every node".to_owned()))
}

/// How often primary1 was refused by its peer, as its whole log tells.
async fn refusals(hands: &Hands<'_>) -> Result<usize> {
    let log = hands.cluster().node("primary1")?.log().await?;
    let about = |line: &&str| line.contains("AUTH") && line.to_lowercase().contains("master");
    Ok(log.lines().filter(about).count())
}

async fn wrong(hands: &Hands<'_>) -> Result<Seen> {
    let node = hands.cluster().node("primary1")?;
    let before = refusals(hands).await?;
    let config = format!("{}masterauth wrong\n", node.config());
    if let Start::Refuses(code, words) = start::with(hands, node, config).await? {
        return Ok(Err(format!("it ended with {code:?}: {words}")));
    }
    hands
        .until("primary1 is refused by its peer", || async {
            match refusals(hands).await {
                Ok(count) if count > before => Ok(()),
                Ok(_) => Err("its log does not tell".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
    links(hands, "primary2", 1).await?;
    hands.ask("primary1", "SET passwords:from-1 x").await?;
    answers(hands, "primary2", "GET passwords:from-1", "x").await?;
    let masters = replication(hands, "primary1").await?.masters;
    Ok(match masters.iter().any(|master| master.link_up) {
        false => Ok("primary1's link is down, primary2's is up".to_owned()),
        true => Err("primary1's link is up".to_owned()),
    })
}

/// After how many more refusals a change is taken to have none effect: it asks once a second.
const STILL: usize = 3;

async fn mended(hands: &Hands<'_>) -> Result<Seen> {
    let mut session = hands.session("primary1").await?;
    let answer = session
        .ask_words(&["CONFIG", "SET", "masterauth", PASSWORD])
        .await?;
    let before = refusals(hands).await?;
    let up = hands
        .until("primary1's link is up, or it is refused again", || async {
            let masters = replication(hands, "primary1").await;
            let masters = masters.map_err(|error| error.to_string())?.masters;
            if masters
                .iter()
                .all(|master| master.link_up && !master.sync_in_progress)
            {
                return Ok(true);
            }
            let count = refusals(hands).await.map_err(|error| error.to_string())?;
            match count >= before + STILL {
                true => Ok(false),
                false => Err(format!("refused {} times since", count - before)),
            }
        })
        .await?;
    if !up {
        return Ok(Err(format!(
            "CONFIG SET masterauth: {answer}, and it was refused {STILL} times since"
        )));
    }
    hands.settled().await?;
    Ok(Ok("the link came up".to_owned()))
}
