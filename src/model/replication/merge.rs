//! Taking in everything another node knows.
//!
//! An active node merges: its own data stays where it is newer, and what was new goes on to those
//! that follow it (docs active-rep.md, multi-master.md; P6, P7, P19, P22). A plain replica begins
//! anew with its primary's data.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::model::keyspace::Entry;
use crate::model::node::Node;
use crate::model::object::Data;
use crate::model::persistence::Snapshot;
use crate::model::quirk::Quirk;
use crate::model::resp;
use crate::model::stamp::now_millis;

/// Passes on what a merge brought for one key: `KEYDB.MODELMERGE database key entry`. KeyDB uses
/// `KEYDB.MVCCRESTORE` for it.
pub(super) const MERGE: &[u8] = b"KEYDB.MODELMERGE";
/// Keys between two looks at what clients want meanwhile.
const AT_ONCE: usize = 2000;
/// The same where `key-load-delay` has it take its time for each.
const SLOWLY: usize = 20;

/// Takes in a snapshot of the master's data, which belongs to this place in its stream.
pub(in crate::model) async fn take_in(
    node: &Rc<Node>,
    snapshot: Snapshot,
    replid: &str,
    offset: u64,
) {
    if node.is_active() {
        merge(node, snapshot).await;
    } else {
        node.keyspace.borrow_mut().replace(snapshot.databases);
        if node.quirks.has(Quirk::ZsetTailLost) {
            lose_tails(node);
        }
        node.saw_everything();
        node.stream.borrow_mut().replace(replid.to_owned(), offset);
    }
    node.rewrite_aof();
}

async fn merge(node: &Rc<Node>, snapshot: Snapshot) {
    node.loading.set(true);
    if node.quirks.has(Quirk::NoTombstones) {
        node.forget_tombstones();
    }
    let delay = node.config.borrow().number("key-load-delay");
    // As slow as it is told to be, it looks up often.
    let (at_once, pause) = match delay {
        0 => (AT_ONCE, Duration::ZERO),
        delay => {
            let pause = delay.saturating_mul(SLOWLY as u64);
            (SLOWLY, Duration::from_micros(pause))
        }
    };
    let mut count = 0;
    for (database, keys) in snapshot.databases.into_iter().enumerate() {
        for (key, mut entry) in keys {
            node.clock.borrow_mut().saw(entry.newest().mvcc);
            if node.quirks.has(Quirk::OldDataAfterResync) {
                prefer(node, database, &key, &mut entry);
            }
            if merge_one(node, database, &key, &entry) {
                pass_on(node, database, &key);
            }
            count += 1;
            if count % at_once == 0 {
                match pause.is_zero() {
                    true => tokio::task::yield_now().await,
                    false => tokio::time::sleep(pause).await,
                }
            }
        }
    }
    node.loading.set(false);
}

/// Takes in what a merge brought to the master of this node.
pub(super) fn take_in_one(node: &Node, argv: &[Bytes], raw: &Bytes) {
    let [_, database, key, payload] = argv else {
        return;
    };
    let database = std::str::from_utf8(database)
        .ok()
        .and_then(|text| text.parse().ok());
    let entry: Option<Entry> = postcard::from_bytes(payload).ok();
    let (Some(database), Some(entry)) = (database, entry) else {
        node.log
            .warning("== CRITICAL == a merged key from the master cannot be read");
        return;
    };
    node.clock.borrow_mut().saw(entry.newest().mvcc);
    if merge_one(node, database, key, &entry) && node.is_active() {
        node.feed(raw.clone());
    }
}

fn merge_one(node: &Node, database: usize, key: &Bytes, entry: &Entry) -> bool {
    let mut keyspace = node.keyspace.borrow_mut();
    let Some(database) = keyspace.databases.get_mut(database) else {
        return false;
    };
    if node.quirks.has(Quirk::MergeTakesOneSide)
        && let Some(known) = database.keys.get_mut(key)
    {
        let newer = entry.newest() > known.newest();
        if newer {
            *known = entry.clone().settled();
        }
        return newer;
    }
    database.keys.entry(key.clone()).or_default().merge(entry)
}

fn pass_on(node: &Node, database: usize, key: &Bytes) {
    let keyspace = node.keyspace.borrow();
    let Some(entry) = keyspace.databases[database].keys.get(key) else {
        return;
    };
    let mut entry = entry.clone();
    drop(keyspace);
    if node.quirks.has(Quirk::TtlInvented) {
        for slot in [&mut entry.base, &mut entry.now] {
            if let Some(object) = slot.as_mut() {
                object.expires.get_or_insert(now_millis() + 3_600_000);
            }
        }
    }
    let Ok(payload) = postcard::to_stdvec(&entry) else {
        return;
    };
    let mut bytes = BytesMut::new();
    let database = database.to_string();
    resp::put_command(&mut bytes, &[MERGE, database.as_bytes(), key, &payload]);
    node.feed(bytes.freeze());
}

/// The quirk: makes the peer's value win, whatever its age.
fn prefer(node: &Node, database: usize, key: &Bytes, entry: &mut Entry) {
    let own = node
        .keyspace
        .borrow()
        .databases
        .get(database)
        .and_then(|database| database.keys.get(key).map(Entry::newest));
    if own.is_some_and(|own| own > entry.newest()) {
        let mvcc = node.clock.borrow_mut().tick(now_millis());
        entry.base = entry.clone().settled().now;
        entry.writes.clear();
        entry.base_stamp = node.stamp(mvcc);
    }
}

/// The quirk: takes the last member of every sorted set away.
fn lose_tails(node: &Node) {
    for database in &mut node.keyspace.borrow_mut().databases {
        for entry in database.keys.values_mut() {
            if let Some(object) = &mut entry.now
                && let Data::SortedSet(scores) = &mut object.data
            {
                scores.pop_last();
            }
            if entry.now.as_ref().is_some_and(|o| o.data.is_empty()) {
                entry.now = None;
            }
        }
    }
}
