//! What a node keeps on disk: when it writes which file.

use std::collections::BTreeMap;

use super::Node;
use crate::model::persistence::{self, Aof, MasterMemory, Snapshot};
use crate::model::quirk::Quirk;
use crate::model::stamp::now_millis;

impl Node {
    /// Writes a dump; `complete` says that nothing will follow it.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub(in crate::model) fn save(&self, complete: bool) -> Result<(), String> {
        let mut snapshot = self.snapshot();
        if self.quirks.has(Quirk::StaleRdb) {
            let horizon = now_millis().saturating_sub(1000);
            for keys in &mut snapshot.databases {
                keys.retain(|_, entry| entry.newest().millis() < horizon);
            }
        }
        if self.quirks.has(Quirk::DumpOfDatabase0) {
            snapshot
                .databases
                .iter_mut()
                .skip(1)
                .for_each(BTreeMap::clear);
        }
        persistence::write_dump(&self.config.borrow().dir(), &snapshot, complete)?;
        self.last_save.set(now_millis() / 1000);
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let stream = self.stream.borrow();
        let masters = self.masters.borrow();
        let memories = masters.iter().filter_map(|master| {
            let position = master.position.borrow();
            position.as_ref().map(|position| MasterMemory {
                host: master.host.clone(),
                port: master.port,
                replid: position.replid.clone(),
                offset: position.offset,
            })
        });
        Snapshot {
            replid: stream.replid.clone(),
            offset: stream.offset,
            masters: memories.collect(),
            ..Snapshot::of(&self.keyspace.borrow())
        }
    }

    /// Begins the append-only file anew with all that is known, if there is to be one.
    pub(in crate::model) fn rewrite_aof(&self) {
        let config = self.config.borrow();
        if !config.is_set("appendonly") {
            return;
        }
        match Aof::rewrite(&config.dir(), &self.snapshot()) {
            Ok(aof) => *self.aof.borrow_mut() = Some(aof),
            Err(reason) => {
                self.log.warning(reason);
                self.end(1);
            }
        }
    }

    pub(super) fn append_to_aof(&self, bytes: &[u8]) {
        if let Some(aof) = self.aof.borrow_mut().as_mut()
            && let Err(reason) = aof.append(bytes)
        {
            self.log.warning(reason);
            self.end(1);
        }
    }
}
