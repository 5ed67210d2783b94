//! A server that answers garbage, half an answer or nothing, or that goes on for ever: whoever asks it
//! gets a clear error in time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rstest::rstest;

const HARNESS: &str = env!("CARGO_BIN_EXE_keydb-harness");
/// Far above what it takes: a hang is told from a slow machine.
const CAP: Duration = Duration::from_secs(120);

/// A server that does the same with each connection once it was asked something.
fn server(does: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 1024]);
                does(stream);
            });
        }
    });
    address
}

fn garbage(mut stream: TcpStream) {
    let _ = stream.write_all(b"\x00\xff\xfe SSH-2.0\r\n$-7\r\n*9999999999\r\n");
    nothing(stream);
}

fn half_an_answer(mut stream: TcpStream) {
    let _ = stream.write_all(b"$100000\r\nredis_ver");
    nothing(stream);
}

fn a_huge_answer(mut stream: TcpStream) {
    let _ = stream.write_all(b"$999999999999999\r\n");
    nothing(stream);
}

/// Until the other side has enough.
fn nothing(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

fn an_end(stream: TcpStream) {
    drop(stream);
}

fn no_end(mut stream: TcpStream) {
    while stream.write_all(&[b'+'; 4096]).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[rstest]
#[case::garbage(garbage)]
#[case::half_an_answer(half_an_answer)]
#[case::a_huge_answer(a_huge_answer)]
#[case::nothing(nothing)]
#[case::an_end(an_end)]
#[case::no_end(no_end)]
fn inspect_tells_that_a_node_does_not_answer(#[case] does: fn(TcpStream)) {
    let node = server(does).to_string();
    let began = Instant::now();
    let output = Command::new(HARNESS)
        .args(["inspect", &node])
        .output()
        .expect("it runs");
    assert!(began.elapsed() < CAP, "it took {:?}", began.elapsed());
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(said.contains("does not answer"), "{said}");
    assert!(said.contains(&node), "{said}");
    assert!(!said.contains("panic"), "{said}");
}
