//! Replicas refuse writes, primaries accept them.

use crate::cluster::{ClientError, Node};

/// What a plain `SET` of a probe key gives: `Ok(true)` if it was accepted (the key is removed
/// again), `Ok(false)` if it was refused as `READONLY`.
///
/// # Errors
/// Anything else: no answer, or another refusal.
pub async fn accepts_writes(node: &Node) -> Result<bool, ClientError> {
    let key = "keydb-harness:probe:write";
    let mut client = node.client().await?;
    let answer = client
        .query(redis::cmd("SET").arg(key).arg(node.name()))
        .await;
    let accepted = was_accepted(answer)?;
    if accepted {
        client.query::<()>(redis::cmd("DEL").arg(key)).await?;
    }
    Ok(accepted)
}

/// What the answer to a write says: accepted, refused as `READONLY`, or neither.
fn was_accepted(answer: Result<(), ClientError>) -> Result<bool, ClientError> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.is_refusal("READONLY") => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn refused(text: &str) -> Result<(), ClientError> {
        Err(ClientError::Refused(text.to_owned()))
    }

    fn not_sent() -> Result<(), ClientError> {
        Err(ClientError::NotSent {
            address: "127.0.0.1:1".to_owned(),
            cause: "connection refused".to_owned(),
        })
    }

    /// `Some(true)` makes a primary's promise hold and a replica's broken, `Some(false)` the other
    /// way round; with `None` neither is kept.
    #[rstest]
    #[case::write_acknowledged_primary_holds_replica_broken(Ok(()), Some(true))]
    #[case::refused_as_readonly_primary_broken_replica_holds(
        refused("READONLY You can't write against a read only replica."),
        Some(false)
    )]
    #[case::bare_code_word_primary_broken_replica_holds(refused("READONLY"), Some(false))]
    #[case::out_of_memory_both_broken(refused("OOM command not allowed"), None)]
    #[case::loading_both_broken(refused("LOADING KeyDB is loading the dataset in memory"), None)]
    #[case::lower_case_code_both_broken(refused("readonly"), None)]
    #[case::longer_code_word_both_broken(refused("READONLYISH no"), None)]
    #[case::readonly_only_mentioned_both_broken(refused("ERR READONLY"), None)]
    #[case::empty_refusal_both_broken(refused(""), None)]
    #[case::no_answer_both_broken(Err(ClientError::Unknown("READONLY".to_owned())), None)]
    #[case::not_sent_both_broken(not_sent(), None)]
    fn read_only(#[case] answer: Result<(), ClientError>, #[case] accepted: Option<bool>) {
        let judged = was_accepted(answer.clone());
        assert_eq!(judged.clone().ok(), accepted);
        if accepted.is_none() {
            assert_eq!(judged.err(), answer.err(), "the error is told as it came");
        }
    }
}
