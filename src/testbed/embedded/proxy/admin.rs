//! The admin socket: a line of commands, their answers, and the end of the connection.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::backend::Backend;
use super::server::{Mode, Server};
use super::stat;

/// How long a line may take to come; HAProxy's own limit.
const IDLE: Duration = Duration::from_secs(10);

/// The longest line that is read.
const LONGEST: u64 = 16 * 1024;

/// Serves one connection.
pub(super) async fn run(backend: Rc<Backend>, stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let read = timeout(IDLE, (&mut stream).take(LONGEST).read_line(&mut line)).await;
    if !matches!(read, Ok(Ok(1..))) {
        return;
    }
    // Who asked and has gone needs no answer.
    let _ = stream.write_all(answers(&backend, &line).as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The answers to commands with `;` between them. As HAProxy's, each ends with an empty line.
fn answers(backend: &Backend, line: &str) -> String {
    line.trim_end()
        .split(';')
        .map(|command| {
            let words: Vec<&str> = command.split_whitespace().collect();
            answer(backend, &words).unwrap_or_else(|refusal| refusal + "\n") + "\n"
        })
        .collect()
}

/// The answer to one command, or why it was not carried out.
fn answer(backend: &Backend, words: &[&str]) -> Result<String, String> {
    match words {
        ["show", "stat"] => return Ok(stat::table(backend)),
        ["show", "info"] => return Ok(info(backend)),
        ["disable", "server", name] => backend.set_mode(find(backend, name)?, Mode::Maint),
        ["enable", "server", name] => backend.set_mode(find(backend, name)?, Mode::Ready),
        ["set", "server", name, "state", state] => {
            let server = find(backend, name)?;
            let mode = match *state {
                "ready" => Mode::Ready,
                "drain" => Mode::Drain,
                "maint" => Mode::Maint,
                _ => {
                    return Err(format!(
                        "State '{state}' is not one of ready, drain, maint."
                    ));
                }
            };
            backend.set_mode(server, mode);
        }
        ["shutdown", "sessions", "server", name] => find(backend, name)?.cut.notify_waiters(),
        _ => {
            return Err(format!(
                "Unknown command: '{}'. The built-in proxy knows: show stat; show info; disable server B/S; enable server B/S; set server B/S state ready|drain|maint; shutdown sessions server B/S.",
                words.join(" ")
            ));
        }
    }
    Ok(String::new())
}

/// The server `BACKEND/SERVER`; the refusals are HAProxy's.
fn find<'a>(backend: &'a Backend, name: &str) -> Result<&'a Server, String> {
    let (proxy, name) = name.split_once('/').ok_or("Require 'backend/server'.")?;
    if proxy != backend.listen.name {
        return Err("No such backend.".to_owned());
    }
    let mut servers = backend.servers.iter();
    let server = servers.find(|server| server.line.name == name);
    server.ok_or_else(|| "No such server.".to_owned())
}

fn info(backend: &Backend) -> String {
    format!(
        "Name: keydb-harness built-in proxy\nVersion: built-in {}\nPid: {}\nUptime_sec: {}\nCurrConns: {}\n",
        env!("CARGO_PKG_VERSION"),
        // It is no process: what changes at a reload is its life.
        backend.life,
        backend.started.elapsed().as_secs(),
        backend.sessions.now()
    )
}
