//! Health checks: connect, then the steps of `tcp-check`.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::backend::Backend;
use super::config::{Listen, Step};
use super::server::{Mode, Server};

/// The most an answer may hold without the text that is expected.
const ANSWER: usize = 16 * 1024;

/// The longest a check may take: a clock cannot hold every deadline.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What a check found.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub passed: bool,
    /// HAProxy's code for it, such as `L7OK` or `L4CON`.
    pub code: &'static str,
    /// The cause, without what was sent: that may be a password.
    pub detail: String,
}

impl Outcome {
    fn passed(code: &'static str) -> Self {
        Self {
            passed: true,
            code,
            detail: "tcp-check".to_owned(),
        }
    }

    fn failed(code: &'static str, detail: String) -> Self {
        Self {
            passed: false,
            code,
            detail,
        }
    }
}

/// Checks a server for as long as the proxy runs. The first checks are spread over one interval,
/// as HAProxy's are.
pub(super) async fn watch(backend: Rc<Backend>, index: usize) {
    let Some(server) = backend.servers.get(index) else {
        return;
    };
    let inter = server.line.health.inter;
    let share = index as f64 / backend.servers.len() as f64;
    sleep(inter.mul_f64(share)).await;
    loop {
        if server.state.borrow().mode != Mode::Maint {
            server.state.borrow_mut().checking = true;
            let outcome = check(server, &backend.listen).await;
            server.state.borrow_mut().checking = false;
            backend.checked(server, outcome);
        }
        sleep(inter).await;
    }
}

/// One check. As in HAProxy, connecting has to be done within an interval, the rest within
/// `timeout check`.
async fn check(server: &Server, listen: &Listen) -> Outcome {
    let inter = server.line.health.inter;
    let connecting = TcpStream::connect(&server.line.address);
    let mut stream = match timeout(listen.connect.min(inter), connecting).await {
        Err(_) => return Outcome::failed("L4TOUT", "no connection in time".to_owned()),
        Ok(Err(error)) => return Outcome::failed("L4CON", format!("no connection: {error}")),
        Ok(Ok(stream)) => stream,
    };
    if listen.steps.is_empty() {
        return Outcome::passed("L4OK");
    }
    let deadline = Instant::now() + listen.check.unwrap_or(inter).min(LONGEST);
    let mut answer = Vec::new();
    for (index, step) in listen.steps.iter().enumerate() {
        // HAProxy counts connecting as the first step.
        let number = index + 2;
        let what = match step {
            Step::Send(_) => format!("step {number} (send)"),
            Step::Expect(text) => format!("step {number} (expect '{}')", text.escape_default()),
        };
        match timeout_at(deadline, perform(step, &mut stream, &mut answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(Fault::Socket(error))) => {
                return Outcome::failed("SOCKERR", format!("{error} at {what}"));
            }
            Ok(Err(Fault::Answer(fault))) => {
                return Outcome::failed("L7RSP", format!("{fault} at {what}"));
            }
            Err(_) => return Outcome::failed("L7TOUT", format!("no answer in time at {what}")),
        }
    }
    Outcome::passed("L7OK")
}

enum Fault {
    Socket(std::io::Error),
    Answer(&'static str),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Socket(error)
    }
}

async fn perform(step: &Step, stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), Fault> {
    match step {
        Step::Send(bytes) => {
            answer.clear();
            stream.write_all(bytes).await?;
        }
        Step::Expect(text) => {
            while !holds(answer, text.as_bytes()) {
                if answer.len() >= ANSWER {
                    return Err(Fault::Answer("another answer"));
                }
                if stream.read_buf(answer).await? == 0 {
                    return Err(Fault::Answer(if answer.is_empty() {
                        "closed without an answer"
                    } else {
                        "closed after another answer"
                    }));
                }
            }
        }
    }
    Ok(())
}

fn holds(answer: &[u8], text: &[u8]) -> bool {
    text.is_empty() || answer.windows(text.len()).any(|window| window == text)
}
