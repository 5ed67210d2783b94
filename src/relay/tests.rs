use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;

const SEED: u64 = 7;
const SOON: Duration = Duration::from_secs(20);
/// For what must not come.
const NEVER: Duration = Duration::from_millis(60);

/// A relay, and what it leads to.
struct Bench {
    relay: Relay,
    upstream: TcpListener,
}

impl Bench {
    async fn new() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let upstream = TcpListener::bind(local).await.unwrap();
        let ends = Ends {
            downstream: "a".to_owned(),
            upstream: "b".to_owned(),
        };
        let relay = Relay::open(ends, local, upstream.local_addr().unwrap(), SEED).unwrap();
        Self { relay, upstream }
    }

    async fn connect(&self) -> (TcpStream, TcpStream) {
        let down = TcpStream::connect(self.relay.address()).await.unwrap();
        let (up, _) = timeout(SOON, self.upstream.accept())
            .await
            .unwrap()
            .unwrap();
        (down, up)
    }

    /// Waits until it is so.
    async fn until(&self, is: impl Fn(&Relay) -> bool) {
        let wait = async {
            while !is(&self.relay) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, wait).await.unwrap();
    }
}

async fn read(socket: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let whole = socket.read_exact(&mut bytes);
    timeout(SOON, whole).await.expect("in time").unwrap();
    bytes
}

async fn nothing_comes(socket: &mut TcpStream) {
    assert!(timeout(NEVER, socket.read_u8()).await.is_err());
}

async fn is_reset(socket: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = timeout(SOON, socket.read_to_end(&mut rest)).await.unwrap();
    ended.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

fn held(relay: &Relay) -> u64 {
    relay.traffic(Direction::TowardsDownstream).held
}

#[tokio::test]
async fn bytes_and_ends_pass_both_ways_and_are_counted() {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    down.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut up, 4).await, b"ping");
    up.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut down, 5).await, b"hello");
    let traffic = bench.relay.traffic(Direction::TowardsDownstream);
    assert_eq!((traffic.seen, traffic.passed, traffic.held), (5, 5, 0));
    let crossed = bench.relay.crossings();
    let ways: Vec<_> = crossed
        .iter()
        .map(|one| (one.direction, one.bytes))
        .collect();
    assert_eq!(
        ways,
        [
            (Direction::TowardsUpstream, 4),
            (Direction::TowardsDownstream, 5)
        ]
    );
    drop(up);
    assert_eq!(
        down.read(&mut [0; 8]).await.unwrap(),
        0,
        "an end is passed on"
    );
    drop(down);
    bench.until(|relay| relay.connections().live == 0).await;
    assert_eq!(bench.relay.connections().cut, 0);
}

#[tokio::test]
async fn a_cut_resets_both_sides_and_turns_away_until_it_is_healed() {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    // The relay has its own end of it too.
    down.write_all(b"x").await.unwrap();
    read(&mut up, 1).await;
    bench.relay.cut();
    assert!(is_reset(&mut down).await);
    assert!(is_reset(&mut up).await);
    let refused = async { while TcpStream::connect(bench.relay.address()).await.is_ok() {} };
    timeout(SOON, refused).await.unwrap();
    bench.relay.heal();
    let healed = async {
        loop {
            if let Ok(socket) = TcpStream::connect(bench.relay.address()).await {
                return socket;
            }
        }
    };
    timeout(SOON, healed).await.expect("the same port is back");
    assert!(bench.relay.connections().cut >= 1);
}

#[tokio::test]
async fn refusing_leaves_live_connections_alone() {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    bench.relay.refuse(true);
    let refused = async { while TcpStream::connect(bench.relay.address()).await.is_ok() {} };
    timeout(SOON, refused).await.unwrap();
    up.write_all(b"x").await.unwrap();
    assert_eq!(read(&mut down, 1).await, b"x");
}

#[tokio::test]
async fn held_bytes_come_in_order_once_healed_and_the_other_way_stays_open() {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    bench.relay.set(Direction::TowardsDownstream, Passage::Hold);
    up.write_all(b"one ").await.unwrap();
    bench.until(|relay| held(relay) == 4).await;
    up.write_all(b"two").await.unwrap();
    nothing_comes(&mut down).await;
    down.write_all(b"back").await.unwrap();
    assert_eq!(read(&mut up, 4).await, b"back");
    drop(up);
    bench.until(|relay| held(relay) == 7).await;
    bench.relay.heal();
    assert_eq!(read(&mut down, 7).await, b"one two");
    assert_eq!(down.read(&mut [0; 8]).await.unwrap(), 0, "so does the end");
}

#[tokio::test]
async fn a_held_direction_fills_the_senders_buffers_and_loses_nothing() {
    const LENGTH: usize = 16 << 20;
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    bench.relay.set(Direction::TowardsDownstream, Passage::Hold);
    let bytes: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
    let sent = bytes.clone();
    let sending = tokio::spawn(async move {
        up.write_all(&sent).await.unwrap();
        up
    });
    bench.until(|relay| held(relay) >= 1 << 20).await;
    assert!(held(&bench.relay) < 2 << 20, "bounded");
    bench.relay.heal();
    assert!(read(&mut down, LENGTH).await == bytes);
    sending.await.unwrap();
}

#[tokio::test]
async fn no_connection_is_made_through_a_black_hole() {
    let bench = Bench::new().await;
    bench.relay.set_both(&Passage::Hold);
    let mut down = TcpStream::connect(bench.relay.address()).await.unwrap();
    down.write_all(b"ping").await.unwrap();
    assert!(timeout(NEVER, bench.upstream.accept()).await.is_err());
    bench.relay.heal();
    let (mut up, _) = bench.upstream.accept().await.unwrap();
    assert_eq!(read(&mut up, 4).await, b"ping");
}

#[tokio::test]
async fn what_was_discarded_costs_the_connection() {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    bench
        .relay
        .set(Direction::TowardsDownstream, Passage::Discard);
    up.write_all(b"lost").await.unwrap();
    let dropped = |relay: &Relay| relay.traffic(Direction::TowardsDownstream).dropped == 4;
    bench.until(dropped).await;
    nothing_comes(&mut down).await;
    bench.relay.heal();
    assert!(is_reset(&mut down).await);
}

#[rstest]
#[case::delay(Passage::Delay { by: Duration::from_millis(80), jitter: Duration::ZERO })]
#[case::jitter(Passage::Delay { by: Duration::from_millis(80), jitter: Duration::from_millis(80) })]
#[case::throttle(Passage::Throttle { bytes_per_second: 100 })]
#[tokio::test]
async fn slow_passages_keep_the_order_and_take_their_time(#[case] passage: Passage) {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    bench.relay.set(Direction::TowardsDownstream, passage);
    let began = Instant::now();
    for word in [&b"one "[..], b"two ", b"three "] {
        up.write_all(word).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&mut down, 14).await, b"one two three ");
    assert!(began.elapsed() >= Duration::from_millis(80));
    up.write_all(b"more").await.unwrap();
    bench.relay.heal();
    assert_eq!(read(&mut down, 4).await, b"more");
}

#[tokio::test]
async fn jitter_is_that_of_the_seed() {
    let bench = Bench::new().await;
    let (_down, mut up) = bench.connect().await;
    let jitter = Duration::from_millis(400);
    let by = Duration::ZERO;
    bench
        .relay
        .set(Direction::TowardsDownstream, Passage::Delay { by, jitter });
    up.write_all(b"x").await.unwrap();
    bench.until(|relay| !relay.crossings().is_empty()).await;
    let crossing = bench.relay.crossings()[0];
    let chance: f64 = ChaCha8Rng::seed_from_u64(SEED ^ (1 << 1) ^ 1).random();
    assert!(crossing.passed - crossing.arrived >= jitter.mul_f64(chance));
}

#[rstest]
#[case::of_a_live_connection(true)]
#[case::of_new_ones(false)]
#[tokio::test]
async fn a_cut_after_n_bytes_lets_exactly_so_many_pass(#[case] live: bool) {
    let bench = Bench::new().await;
    let way = Direction::TowardsDownstream;
    let cut = || bench.relay.set(way, Passage::CutAfter(5));
    let (mut down, mut up) = if live {
        let (mut down, mut up) = bench.connect().await;
        up.write_all(b"before").await.unwrap();
        read(&mut down, 6).await;
        cut();
        (down, up)
    } else {
        cut();
        bench.connect().await
    };
    let before = bench.relay.traffic(way).passed;
    up.write_all(b"hello world").await.unwrap();
    assert_eq!(read(&mut down, 5).await, b"hello");
    assert!(is_reset(&mut down).await);
    assert!(is_reset(&mut up).await);
    assert_eq!(bench.relay.traffic(way).passed - before, 5);
    assert_eq!(bench.relay.connections().cut, 1);
}

#[rstest]
#[case::in_one_piece(&["..marker.."], "..mar")]
#[case::over_a_boundary(&["..mar", "ker.."], "..mar")]
#[case::early_boundary(&["..m", "arker.."], "..mar")]
#[tokio::test]
async fn a_cut_inside_falls_in_the_middle(#[case] pieces: &[&str], #[case] passes: &str) {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    let marker = Passage::CutInside(Bytes::from_static(b"marker"));
    bench.relay.set(Direction::TowardsDownstream, marker);
    let mut seen = 0;
    for piece in pieces {
        up.write_all(piece.as_bytes()).await.unwrap();
        seen += piece.len() as u64;
        bench
            .until(|relay| relay.traffic(Direction::TowardsDownstream).seen >= seen)
            .await;
    }
    assert_eq!(read(&mut down, passes.len()).await, passes.as_bytes());
    assert!(is_reset(&mut down).await);
}

#[derive(Debug)]
struct Shout(Arc<Mutex<usize>>);

impl Filter for Shout {
    fn bytes(&mut self, came: &[u8], onward: &mut Vec<u8>) {
        *self.0.lock().unwrap() += came.len();
        onward.extend(came.to_ascii_uppercase());
    }

    fn end(&mut self, onward: &mut Vec<u8>) {
        onward.push(b'!');
    }
}

#[tokio::test]
async fn a_filter_changes_one_direction_of_new_connections() {
    let bench = Bench::new().await;
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let make = MakeFilter::new(move || Box::new(Shout(Arc::clone(&count))));
    bench.relay.filter(Direction::TowardsDownstream, Some(make));
    let (mut down, mut up) = bench.connect().await;
    up.write_all(b"hi").await.unwrap();
    drop(up);
    assert_eq!(read(&mut down, 3).await, b"HI!");
    assert_eq!(*seen.lock().unwrap(), 2);
    let traffic = bench.relay.traffic(Direction::TowardsDownstream);
    assert_eq!((traffic.seen, traffic.passed, traffic.filtered), (2, 3, -1));
}

#[tokio::test]
async fn an_upstream_that_is_down_resets_who_comes() {
    let Bench { relay, upstream } = Bench::new().await;
    drop(upstream);
    let mut down = TcpStream::connect(relay.address()).await.unwrap();
    assert!(is_reset(&mut down).await);
    assert_eq!(relay.connections().unreachable, 1);
}

#[tokio::test]
async fn a_dropped_relay_takes_its_connections_with_it() {
    let bench = Bench::new().await;
    let (mut down, mut up) = bench.connect().await;
    let address = bench.relay.address();
    drop(bench.relay);
    assert_eq!(down.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(up.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
