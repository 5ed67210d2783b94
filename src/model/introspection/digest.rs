//! `DEBUG DIGEST`: equal for equal data, TTLs included. The model's own, as KeyDB's is KeyDB's own.

use sha2::{Digest, Sha256};

use crate::model::keyspace::Keyspace;
use crate::model::stamp::now_millis;

/// Forty hexadecimal digits; all zeros without keys, as in KeyDB.
pub(super) fn of(keyspace: &Keyspace) -> String {
    let now = now_millis();
    let mut digest = Sha256::new();
    let mut empty = true;
    for (number, database) in keyspace.databases.iter().enumerate() {
        for (key, object) in database.alive(now) {
            empty = false;
            digest.update((number as u64).to_le_bytes());
            digest.update((key.len() as u64).to_le_bytes());
            digest.update(key);
            if let Ok(bytes) = postcard::to_stdvec(object) {
                digest.update(bytes);
            }
        }
    }
    if empty {
        return "0".repeat(40);
    }
    let digest = digest.finalize();
    digest
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
