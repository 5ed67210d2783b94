//! The replication stream as the relay reads it, for [`crate::hostile`].

use super::Filter;
use super::mutation::{Change, Mutator, Rule};
use super::stream::{Parser, Piece};
use super::tap::{Flow, Tap};
use crate::history::Recording;

/// In which pieces bytes come: each as long as one of them says, from the first on and again.
pub(crate) fn chunks(bytes: &[u8]) -> Vec<&[u8]> {
    let lengths: Vec<usize> = bytes
        .iter()
        .take(8)
        .map(|byte| 1 + usize::from(*byte))
        .collect();
    let mut rest = bytes;
    let mut lengths = lengths.into_iter().cycle();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(1).min(rest.len());
        let (chunk, after) = rest.split_at(length);
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Takes a stream apart, whole and in pieces: nothing is lost, and both give the same commands.
pub(crate) fn stream(bytes: &[u8]) {
    let mut given = Vec::new();
    let mut commands = [0, 0];
    for (chunks, count) in [vec![bytes], chunks(bytes)].into_iter().zip(&mut commands) {
        let mut parser = Parser::new();
        given.clear();
        let mut give = |piece: Piece| {
            given.extend_from_slice(piece.bytes());
            if let Piece::Command(command) = piece {
                let words: usize = command.argv().iter().map(bytes::Bytes::len).sum();
                assert!(words < command.raw().len());
                *count += 1;
            }
        };
        for chunk in chunks {
            parser.push(chunk, &mut give);
        }
        parser.end(&mut give);
        assert_eq!(given, bytes);
    }
    assert_eq!(commands[0], commands[1], "the pieces decide what it is");
}

/// Follows a stream with a tap, and with filters that change it: what these pass on is bounded by what
/// came.
pub(crate) fn tapped(bytes: &[u8]) {
    let recording = Recording::new();
    let tap = Tap::new(&recording, "primary1->primary2");
    let mutator = Mutator::new();
    mutator.set([
        Rule::new(Change::Duplicate).of("SET"),
        Rule::new(Change::SwapWithNext).of("DEL"),
        Rule::new(Change::StripTtl).of("PEXPIREAT"),
        Rule::new(Change::Drop).every(2),
    ]);
    let mut filter: Box<dyn Filter> = mutator.filter().make();
    let mut flow = Flow::new(1, true);
    let (mut onward, mut passed) = (Vec::new(), 0);
    for chunk in chunks(bytes) {
        onward.clear();
        filter.bytes(chunk, &mut onward);
        flow.came(Some(tap.clone()), chunk, &onward);
        passed += onward.len() as u64;
        flow.passed(passed, std::time::Instant::now());
    }
    onward.clear();
    filter.end(&mut onward);
    passed += onward.len() as u64;
    // A doubled command, with what wraps it, is at most three times as long.
    assert!(passed <= 64 + 3 * bytes.len() as u64, "{passed}");
    drop(flow);
    let (crossings, _) = tap.take();
    assert!(crossings.len() <= 2 * bytes.len());
    let names: usize = recording.finish().names.texts().map(str::len).sum();
    assert!(names <= 256 + 8 * bytes.len(), "{names}");
}
