//! The README of a folder.

use super::{EXPECTED, Reproduction, SCRIPT, Script};

/// That of a reproduction that was written by hand.
pub(super) fn of(it: &Reproduction) -> String {
    let not_on = match it.not_on {
        [] => String::new(),
        versions => format!(" Seen not to have it: {}.", versions.join(", ")),
    };
    let Reproduction {
        id,
        title,
        notices,
        promise,
        source,
        happens,
        ..
    } = it;
    format!(
        "# {id}: {title}\n\n{notices}\n\n**Promised:** {promise} ({source}).\n\n**What happens:** {happens}\n\n\
         **Seen on** KeyDB {}.{not_on}\n\n{}\n## The wrong answer\n\n```text\n{}\n```\n\n## The right answer\n\n```text\n{}\n```\n",
        it.seen_on.join(", "),
        running(&(it.script)()),
        it.expected.join("\n"),
        it.right.join("\n"),
    )
}

/// How a folder is used.
pub(super) fn running(script: &Script) -> String {
    let lines = script.lines();
    let shows = match script.apart {
        true => "the nodes do not all answer alike".to_owned(),
        false => format!("the answers are those of `{EXPECTED}`"),
    };
    format!(
        "## How to run it\n\n```console\n$ ./{SCRIPT}\n```\n\nIt needs Docker and Compose (v2, or `docker-compose` 1.29); it publishes no port. \
         It starts the cluster of `docker-compose.yml`, calls `keydb-cli` in {lines} lines, prints what the nodes answer, judges it \
         and takes the cluster down. Exit status 0: {shows}, the defect shows; 1: it does not; \
         3: it could not be tried, and why.\n\n\
         `KEYDB_IMAGE` (and `HAPROXY_IMAGE` where there is a proxy) choose other images:\n\n\
         ```console\n$ KEYDB_IMAGE=eqalpha/keydb:x86_64_v6.3.4 ./{SCRIPT}\n```\n"
    )
}
