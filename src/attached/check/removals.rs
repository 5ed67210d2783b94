//! What is removed is gone on every node.

use super::{Check, once};
use crate::attached::Visit;
use crate::attached::keys::count;

pub(super) const CHECK: Check = Check {
    name: "attached-removals",
    title: "what is removed is gone everywhere",
    promise: "a key that is deleted, renamed away or emptied is gone on every node, and stays so",
    source: "KeyDB docs active-rep.md (all writes are replicated)",
    strikes: false,
    variants: once,
    run: |visit| Box::pin(run(visit)),
};

const EACH: usize = 20;

async fn run(visit: &Visit<'_>) -> anyhow::Result<()> {
    let mut entry = visit.entry().await?;
    let names = |what: &str| -> Vec<String> {
        let numbers = 0..EACH;
        numbers
            .map(|number| visit.key(&format!("removals:{what}:{number}")))
            .collect()
    };
    let (deleted, emptied, moved) = (names("deleted"), names("emptied"), names("moved"));
    // Remembered, so that they are removed in the end.
    let new_names = names("new-name");
    let mut all = redis::pipe();
    all.atomic();
    for ((deleted, emptied), moved) in deleted.iter().zip(&emptied).zip(&moved) {
        for key in [deleted, moved] {
            all.cmd("SET").arg(key).arg("1").arg("EX").arg(visit.ttl());
        }
        all.cmd("RPUSH").arg(emptied).arg("1");
        all.cmd("EXPIRE").arg(emptied).arg(visit.ttl());
    }
    entry.pipeline::<()>(&all).await?;
    let every = [deleted.clone(), emptied.clone(), moved.clone()].concat();
    everywhere(
        visit,
        "every key is there before it is removed",
        &every,
        every.len(),
    )
    .await?;

    let mut all = redis::pipe();
    for key in &deleted {
        all.cmd("DEL").arg(key);
    }
    for key in &emptied {
        all.cmd("LPOP").arg(key);
    }
    for (key, new) in moved.iter().zip(&new_names) {
        all.cmd("RENAME").arg(key).arg(new);
    }
    entry.pipeline::<redis::Value>(&all).await?;
    for (check, promise, keys) in [
        ("deleted", "a deleted key is gone on every node", &deleted),
        ("emptied", "an emptied list is gone on every node", &emptied),
        (
            "renamed",
            "a key that was renamed is gone under its old name on every node",
            &moved,
        ),
    ] {
        let gone = everywhere(visit, promise, keys, 0).await;
        visit.check(
            check,
            promise,
            gone.map(|()| format!("{} keys", keys.len())),
        );
    }
    let promise = "a key that was renamed is there under its new name on every node";
    let there = everywhere(visit, promise, &new_names, EACH).await;
    visit.check("new-name", promise, there.map(|()| format!("{EACH} keys")));
    Ok(())
}

/// Waits until every node has so many of these keys.
async fn everywhere(
    visit: &Visit<'_>,
    what: &str,
    keys: &[String],
    wanted: usize,
) -> Result<(), crate::wait::Unmet> {
    visit
        .eventually(what, || async {
            for member in &visit.inventory().members {
                let found = count(&member.reach, keys).await;
                let found = found.map_err(|error| format!("{}: {error}", member.name))?;
                if usize::try_from(found) != Ok(wanted) {
                    return Err(format!(
                        "{} has {found} of {} keys, not {wanted}",
                        member.name,
                        keys.len()
                    ));
                }
            }
            Ok(())
        })
        .await
}
