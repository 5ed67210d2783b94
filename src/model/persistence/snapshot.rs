//! All that a node knows, as bytes: what goes over a link in a full resync, and into files.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::keyspace::{Entry, Keyspace};

const MAGIC: &[u8] = b"KEYDBMODEL1";

/// Bytes that are no snapshot.
#[derive(Debug, thiserror::Error)]
pub(in crate::model) enum SnapshotError {
    #[error("it is no snapshot of the model")]
    Foreign,
    #[error("its checksum is wrong: it was damaged")]
    Damaged,
    #[error(transparent)]
    Unreadable(#[from] postcard::Error),
}

/// How far a node had come in a master's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::model) struct MasterMemory {
    pub(in crate::model) host: String,
    pub(in crate::model) port: u16,
    pub(in crate::model) replid: String,
    pub(in crate::model) offset: u64,
}

/// All that a node knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::model) struct Snapshot {
    /// Of the node's own stream.
    pub(in crate::model) replid: String,
    pub(in crate::model) offset: u64,
    pub(in crate::model) masters: Vec<MasterMemory>,
    /// The keys of each database, tombstones included.
    pub(in crate::model) databases: Vec<BTreeMap<Bytes, Entry>>,
}

impl Snapshot {
    /// The data of a node.
    pub(in crate::model) fn of(keyspace: &Keyspace) -> Self {
        Self {
            databases: keyspace
                .databases
                .iter()
                .map(|database| database.keys.clone())
                .collect(),
            ..Self::default()
        }
    }

    /// Magic, length, checksum, contents.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(in crate::model) fn to_bytes(&self) -> Result<Bytes, SnapshotError> {
        Ok(Self::framed(&postcard::to_stdvec(self)?))
    }

    /// Contents with what stands before them.
    pub(in crate::model) fn framed(contents: &[u8]) -> Bytes {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((contents.len() as u64).to_le_bytes());
        bytes.extend(crc32fast::hash(contents).to_le_bytes());
        bytes.extend(contents);
        bytes.into()
    }

    /// Reads a snapshot off the front; gives back what follows it.
    ///
    /// # Errors
    /// The bytes are no snapshot, or were damaged.
    pub(in crate::model) fn from_bytes(bytes: &Bytes) -> Result<(Self, Bytes), SnapshotError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::Foreign)?;
        let (length, rest) = rest.split_first_chunk().ok_or(SnapshotError::Damaged)?;
        let (checksum, rest) = rest.split_first_chunk().ok_or(SnapshotError::Damaged)?;
        let length =
            usize::try_from(u64::from_le_bytes(*length)).map_err(|_| SnapshotError::Damaged)?;
        let (contents, rest) = rest
            .split_at_checked(length)
            .ok_or(SnapshotError::Damaged)?;
        if crc32fast::hash(contents) != u32::from_le_bytes(*checksum) {
            return Err(SnapshotError::Damaged);
        }
        let snapshot: Self = postcard::from_bytes(contents)?;
        // KeyDB counts in signed numbers; what lies behind cannot be counted on.
        let mut offsets = snapshot.masters.iter().map(|master| master.offset);
        if i64::try_from(snapshot.offset).is_err()
            || offsets.any(|offset| i64::try_from(offset).is_err())
        {
            return Err(SnapshotError::Damaged);
        }
        Ok((snapshot, bytes.slice_ref(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_comes_back_and_damage_is_seen() {
        let snapshot = Snapshot {
            replid: "a".repeat(40),
            offset: 7,
            databases: vec![BTreeMap::from([("k".into(), Entry::default())])],
            ..Snapshot::default()
        };
        let mut bytes = snapshot.to_bytes().unwrap().to_vec();
        bytes.extend(b"tail");
        let (back, rest) = Snapshot::from_bytes(&bytes.clone().into()).unwrap();
        assert_eq!((back.offset, &rest[..]), (7, &b"tail"[..]));
        assert_eq!(back.databases[0].len(), 1);

        let middle = bytes.len() - 6;
        bytes[middle] ^= 1;
        assert!(matches!(
            Snapshot::from_bytes(&bytes.into()),
            Err(SnapshotError::Damaged)
        ));
        assert!(matches!(
            Snapshot::from_bytes(&Bytes::from_static(b"REDIS0009")),
            Err(SnapshotError::Foreign)
        ));
    }
}
