//! Scripts and KEYS.

use std::time::Duration;

use anyhow::Result;

use super::{ONE, TWO};
use crate::behaviour::{Behaviour, Hands, Seen};

/// Those that may end a server come last, each with one of its own.
pub(super) const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "no-expiry-within-script",
        promise: "a key whose time runs out while a script runs is there until it ends, and both primaries have the script's effect",
        source: "KeyDB docs replication.md (no key expiries are performed during Lua scripts)",
        needs: &["EVAL"],
        run: |hands| Box::pin(no_expiry_within_script(hands)),
    },
    Behaviour {
        check: "replping-while-busy",
        promise: "a server that is busy with a script answers REPLPING",
        source: "KeyDB docs commands.md, REPLPING (a blocked server will respond to it)",
        needs: &["EVAL", "REPLPING"],
        run: |hands| Box::pin(replping_while_busy(hands)),
    },
    Behaviour {
        check: "keys-within-script",
        promise: "KEYS within a script answers, and the server lives",
        source: "Redis documentation, EVAL; upstream #445, #562, #594",
        needs: &["EVAL"],
        run: |hands| {
            Box::pin(survives(
                hands,
                ONE,
                &[&["EVAL", "return #redis.call('keys', 'cross:k:*')", "0"]],
                "3",
            ))
        },
    },
    Behaviour {
        check: "keys-after-waiting",
        promise: "KEYS answers on a connection that waited for an element before, and the server lives",
        source: "Redis documentation, KEYS; upstream #532, #605, #659",
        needs: &["BRPOP"],
        run: |hands| {
            Box::pin(survives(
                hands,
                TWO,
                &[&["BRPOP", "cross:nothing", "1"], &["KEYS", "cross:k:1"]],
                "[cross:k:1]",
            ))
        },
    },
];

/// Whether a server that is busy with a script answers REPLPING; the script is ended afterwards.
async fn replping_while_busy(hands: &Hands<'_>) -> Result<Seen> {
    let limit = hands.ask(ONE, "CONFIG GET lua-time-limit").await?;
    hands.ask(ONE, "CONFIG SET lua-time-limit 50").await?;
    let mut busy = hands.session(ONE).await?;
    let mut asking = hands.session(ONE).await?;
    let ask = async {
        let mut other = hands.session(ONE).await?;
        let open = tokio::sync::Mutex::new(&mut other);
        hands
            .until("the server is busy", || async {
                match open.lock().await.peek("GET cross:busy").await {
                    Ok(text) if text.starts_with("BUSY") => Ok(()),
                    Ok(text) => Err(text),
                    Err(error) => Err(format!("{error:#}")),
                }
            })
            .await?;
        let answer = asking.ask("REPLPING").await;
        other.ask("SCRIPT KILL").await?;
        answer
    };
    let script = ["EVAL", "while true do end", "0"];
    let (ended, answer) = tokio::join!(busy.ask_words(&script), ask);
    ended?;
    let answer = answer?;
    let limit = limit.trim_matches(['[', ']']).replace(',', "");
    hands.ask(ONE, &format!("CONFIG SET {limit}")).await?;
    Ok(match answer == "PONG" {
        true => Ok(answer),
        false => Err(format!("it answers {answer}")),
    })
}

/// Looks at the key, waits within the script until its time is over, and looks again.
const LOOKS_TWICE: &str = "redis.replicate_commands() \
    local before = redis.call('exists', KEYS[1]) \
    local from, now = redis.call('time'), nil \
    repeat now = redis.call('time') \
    until (now[1] - from[1]) * 1000000 + now[2] - from[2] > tonumber(ARGV[1]) * 1000 \
    local after = redis.call('exists', KEYS[1]) \
    redis.call('set', KEYS[2], before .. after) \
    return before .. after";
/// Milliseconds.
const SHORT: u64 = 150;

async fn no_expiry_within_script(hands: &Hands<'_>) -> Result<Seen> {
    let waits = (2 * SHORT).to_string();
    let keys = ["cross:short", "cross:looks"];
    // The key may be gone before the script begins: on a machine that stands still.
    let seen = hands
        .until("a script begins before the key's time is over", || async {
            let said = |error: anyhow::Error| format!("{error:#}");
            let mut one = hands.session(ONE).await.map_err(said)?;
            one.ask(&format!("SET {} x PX {SHORT}", keys[0]))
                .await
                .map_err(said)?;
            let script = ["EVAL", LOOKS_TWICE, "2", keys[0], keys[1], &waits];
            match one.ask_words(&script).await.map_err(said)? {
                late if late.starts_with('0') => Err(late),
                seen => Ok(seen),
            }
        })
        .await?;
    if seen != "11" {
        return Ok(Err(format!(
            "it was there before and after (1) or not (0): {seen}"
        )));
    }
    hands.settled().await?;
    let gone = hands.comes_everywhere("EXISTS cross:short", "0", Duration::from_secs(10));
    if let Err(wrong) = gone.await? {
        return Ok(Err(wrong));
    }
    hands.everywhere("GET cross:looks", "11").await
}

/// Commands on one connection, the last answer of which is known; then the server is asked again.
async fn survives(
    hands: &Hands<'_>,
    node: &str,
    commands: &[&[&str]],
    wanted: &str,
) -> Result<Seen> {
    hands
        .ask(node, "MSET cross:k:1 x cross:k:2 x cross:k:3 x")
        .await?;
    let answers = async {
        let mut session = hands.session(node).await?;
        let mut last = String::new();
        for words in commands {
            last = session.ask_words(words).await?;
        }
        hands.ask(node, "PING").await?;
        anyhow::Ok(last)
    };
    Ok(match answers.await {
        Ok(last) if last == wanted => Ok(format!("{last}, and it answers afterwards")),
        Ok(last) => Err(format!("it answers {last}, not {wanted}")),
        // A server that is gone is what is looked for here.
        Err(error) => Err(format!("{error:#}")),
    })
}
