//! What a node passes on, and what it takes in of what others pass on.

use std::time::Duration;

use bytes::Bytes;

use super::Node;
use crate::model::channels;
use crate::model::keyspace::Write;
use crate::model::quirk::Quirk;
use crate::model::replication::{Envelope, altered, appends, deletes};
use crate::model::stamp::now_millis;

impl Node {
    /// Adds to the node's own stream.
    pub(in crate::model) fn feed(&self, bytes: Bytes) {
        self.stream.borrow_mut().feed(bytes);
    }

    /// Passes on what a client wrote.
    pub(in crate::model) fn publish(&self, writes: Vec<(usize, Bytes, Write)>) {
        if writes.is_empty() {
            return;
        }
        self.clock
            .borrow_mut()
            .saw(writes[writes.len() - 1].2.stamp.mvcc);
        let envelope = Envelope {
            origin: self.origin,
            writes,
        };
        self.append_to_aof(&envelope.to_bytes());
        if self.quirks.has(Quirk::DiesOfTransactions) && envelope.writes.len() > 1 {
            self.transactions.set(self.transactions.get() + 1);
            if self.transactions.get() >= 20 {
                self.log.warning(
                    "=== ASSERTION FAILED === (model quirk) !g_pserver->propagate_in_transaction",
                );
                self.end(134);
            }
        }
        let early = self.started.elapsed() < Duration::from_millis(500);
        if early && self.quirks.has(Quirk::EarlyWritesLost) && self.is_active() {
            return;
        }
        self.passed_on.set(self.passed_on.get() + 1);
        if self.quirks.has(Quirk::OneInAThousand) && self.passed_on.get().is_multiple_of(1000) {
            return;
        }
        let bytes = match altered(self, &envelope) {
            Some(altered) => altered.to_bytes(),
            None => envelope.to_bytes(),
        };
        if self.quirks.has(Quirk::SlowWithFollowers) && !self.stream.borrow().followers.is_empty() {
            // The whole server, as a lock that all share does.
            std::thread::sleep(Duration::from_millis(300));
        }
        if self.quirks.has(Quirk::FloodsAfterLoss) && self.lost_a_peer() {
            for _ in 0..29 {
                self.feed(bytes.clone());
            }
        }
        self.feed(bytes);
    }

    /// Takes in what another node wrote, once: what is known already, or was written here, changes
    /// nothing and goes no further, so nothing runs in circles (P11, P12, P25).
    pub(in crate::model) fn replay(&self, envelope: Envelope, raw: &Bytes) {
        let echo = envelope.origin == self.origin;
        if echo && !self.quirks.has(Quirk::EchoesCount) {
            return;
        }
        let (mut new, mut written) = (false, false);
        let mut keyspace = self.keyspace.borrow_mut();
        for (mut database, key, mut write) in envelope.writes {
            self.clock.borrow_mut().saw(write.stamp.mvcc);
            if echo {
                // Only with the quirk: no longer known as its own.
                write.stamp.origin.0 ^= 1;
            }
            if channels::is_message(&write) {
                new |= channels::hear(self, &write);
                continue;
            }
            if self.quirks.has(Quirk::WrongDatabase) {
                database = 0;
            }
            if self.quirks.has(Quirk::CrossingWritesSwap) && self.is_active() {
                let mvcc = self.clock.borrow_mut().tick(now_millis());
                write.stamp = self.stamp(mvcc);
            }
            if deletes(&write) {
                if self.quirks.has(Quirk::DeletesInDatabase0) {
                    database = 0;
                }
                if self.quirks.has(Quirk::ReplicaKeepsDeleted) && self.is_plain_replica() {
                    continue;
                }
            }
            let twice = self.quirks.has(Quirk::AppendsTwiceAfterLoss)
                && self.lost_a_peer()
                && appends(&write);
            if database >= keyspace.databases.len() {
                self.log
                    .warning("== CRITICAL == a write from the master is for no database");
                continue;
            }
            if twice || self.quirks.has(Quirk::AppliesTwice) {
                let mut again = write.clone();
                again.stamp.origin.0 ^= 1;
                keyspace.insert(database, &key, again);
            }
            let earlier_life = write.stamp.millis() < self.born;
            let again = write.clone();
            let is_new = keyspace.insert(database, &key, write);
            if !is_new && earlier_life && self.quirks.has(Quirk::ForgetsItself) {
                let mvcc = self.clock.borrow_mut().tick(now_millis());
                let stamp = self.stamp(mvcc);
                keyspace.insert(database, &key, Write { stamp, ..again });
            }
            written |= is_new;
        }
        drop(keyspace);
        if !new && !written {
            return;
        }
        // Messages are not kept.
        if written && !self.quirks.has(Quirk::AofWithoutPeer) {
            self.append_to_aof(raw);
        }
        // keydb.conf speaks of masters in a mesh only: plain replicas hear nobody else.
        let has_replicas = (self.stream.borrow().followers.iter()).any(|it| !it.is_active);
        let forwards = has_replicas || !self.config.borrow().is_set("multi-master-no-forward");
        if self.is_active() && forwards && !self.quirks.has(Quirk::ForwardsNothing) {
            self.feed(raw.clone());
        }
    }
}
