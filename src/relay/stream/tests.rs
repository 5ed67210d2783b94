use proptest::prelude::*;
use rstest::rstest;

use super::*;

const MARKED: &str = "3f786850e387550fdab836ed7e6dc881de23001b";

/// What a parser gives, with neighbours that are no commands put together.
fn pieces(parser: &mut Parser, chunks: &[&[u8]]) -> Vec<Piece> {
    let mut given: Vec<Piece> = Vec::new();
    let mut give = |piece: Piece| match (given.last_mut(), &piece) {
        (Some(Piece::Other(before)), Piece::Other(bytes)) => {
            *before = [&before[..], bytes].concat().into();
        }
        _ => given.push(piece),
    };
    for chunk in chunks {
        parser.push(chunk, &mut give);
    }
    parser.end(&mut give);
    given
}

fn told(pieces: &[Piece]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = pieces.iter().map(|piece| match piece {
        Piece::Other(bytes) => format!("other {}", bytes.len()),
        Piece::Command(command) => {
            let words: Vec<_> = command.argv().iter().map(|word| text(word)).collect();
            words.join(" ")
        }
    });
    told.collect()
}

/// As 6.3.4 answers a peer with a password, and then says.
const FULL: &str = "-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n+OK active-replica\r\n\
    +9c20b9b1-3fe4-4bde-b187-ba4591ff0001\r\n\
    +FULLRESYNC 03864c7768ea0aac05698ba62477d8eb5e308822 0\r\n\n\n$9\r\nREDIS*1\r\n\
    *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n\n*1\r\n$4\r\nPING\r\n";

fn diskless() -> String {
    format!(
        "+PONG\r\n+FULLRESYNC x 0\r\n$EOF:{MARKED}\r\nREDIS{}{MARKED}*1\r\n$4\r\nPING\r\n",
        &MARKED[..30]
    )
}

#[rstest]
#[case::full(FULL.to_owned(), &["other 174", "SET k \r\n", "other 1", "PING"])]
#[case::diskless(diskless(), &["other 146", "PING"])]
#[case::partial(
    "+OK\r\n+CONTINUE abc\r\n*2\r\n$3\r\nDEL\r\n$0\r\n\r\n".to_owned(),
    &["other 20", "DEL "]
)]
#[case::refused("-NOMASTERLINK not now\r\n".to_owned(), &["other 23"])]
fn streams_are_taken_apart(#[case] stream: String, #[case] wanted: &[&str]) {
    let mut parser = Parser::new();
    let whole = pieces(&mut parser, &[stream.as_bytes()]);
    assert_eq!(told(&whole), wanted);
    let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    assert_eq!(pieces(&mut Parser::new(), &bytes), whole);
}

#[rstest]
#[case::inline(
    "+CONTINUE\r\nSET k v\r\n*1\r\n$4\r\nPING\r\n",
    "a line stands where a command should"
)]
#[case::no_snapshot("+FULLRESYNC x 0\r\n+OK\r\n", "no snapshot follows +FULLRESYNC")]
#[case::short_mark("+FULLRESYNC x 0\r\n$EOF:abc\r\n", "no snapshot follows +FULLRESYNC")]
#[case::wrong_length(
    "+CONTINUE\r\n*1\r\n$3\r\nPING\r\n",
    "an argument is longer than it says"
)]
#[case::no_length("+CONTINUE\r\n*1\r\n:3\r\nPING\r\n", "an argument has no length")]
#[case::negative("+CONTINUE\r\n*1\r\n$-1\r\n", "an argument has no length")]
fn what_is_not_understood_passes_and_is_told(#[case] stream: &str, #[case] why: &str) {
    let mut parser = Parser::new();
    let mut onward = Vec::new();
    parser.push(stream.as_bytes(), &mut |piece| {
        onward.extend_from_slice(piece.bytes());
    });
    assert_eq!(parser.lost(), Some(why));
    assert_eq!(onward, stream.as_bytes());
}

#[test]
fn a_long_command_passes_without_being_kept_and_the_next_one_is_known() {
    let value = vec![b'x'; 64 << 10];
    let count = 80;
    let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", count * value.len());
    let mut parts = vec![head.as_bytes()];
    parts.extend(std::iter::repeat_n(&value[..], count));
    parts.push(b"\r\n*1\r\n$4\r\nPING\r\n");

    let mut parser = Parser::in_commands();
    let (mut onward, mut commands) = (0, 0);
    for part in &parts {
        parser.push(part, &mut |piece| {
            onward += piece.bytes().len();
            commands += usize::from(matches!(piece, Piece::Command(_)));
        });
        assert!(parser.pending.len() < 100);
    }
    assert_eq!((onward, commands), (parts.concat().len(), 1));
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::collection::vec(any::<u8>(), 0..20);
    let command = prop::collection::vec(word, 1..5).prop_map(|words| {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        bytes
    });
    let part = prop_oneof![8 => command, 1 => Just(b"\n".to_vec()), 1 => Just(b"*0\r\n".to_vec())];
    let head = prop_oneof![
        Just("+OK\r\n+CONTINUE x\r\n".to_owned()),
        Just("+FULLRESYNC x 0\r\n\n$5\r\nREDIS".to_owned()),
        Just(format!(
            "+FULLRESYNC x 0\r\n$EOF:{MARKED}\r\nREDIS0123{MARKED}"
        )),
    ];
    (head, prop::collection::vec(part, 0..12))
        .prop_map(|(head, parts)| [head.into_bytes(), parts.concat()].concat())
}

fn any_garbage() -> impl Strategy<Value = Vec<u8>> {
    let bits = prop::sample::select(vec![
        "+CONTINUE\r\n",
        "+FULLRESYNC\r\n",
        "$EOF:",
        MARKED,
        "*",
        "$",
        "1",
        "3",
        "\r\n",
        "\n",
        "-",
        "18446744073709551615",
        "x",
        "PING",
    ]);
    let bits = prop::collection::vec(bits, 0..40).prop_map(|bits| bits.concat().into_bytes());
    prop_oneof![bits, prop::collection::vec(any::<u8>(), 0..200)]
}

fn cut_up(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|pair| bytes[pair[0]..pair[1]].to_vec())
        .collect()
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_and_nothing_is_lost(
        bytes in prop_oneof![any_stream(), any_garbage()],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut whole_parser = Parser::new();
        let whole = pieces(&mut whole_parser, &[&bytes]);
        let put_together: Vec<u8> = whole.iter().flat_map(|piece| piece.bytes().to_vec()).collect();
        prop_assert_eq!(&put_together, &bytes);
        let chunks = cut_up(&bytes, &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(pieces(&mut Parser::new(), &chunks), whole);
    }

    #[test]
    fn every_stream_is_understood(bytes in any_stream()) {
        let mut parser = Parser::new();
        parser.push(&bytes, &mut |_| {});
        prop_assert_eq!(parser.lost(), None);
        prop_assert!(parser.pending.is_empty());
    }
}
