//! A plain connection, replies as they are, and how two replies are compared.

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use keydb_harness::cluster::Node;
use keydb_harness::testbed::Port;
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// By how much two TTLs may differ, in milliseconds: the servers get a command one after the other, on a machine
/// that may be busy.
const TTL_TOLERANCE: i64 = 8_000;

/// A connection on which nothing is interpreted.
pub struct Wire {
    stream: TcpStream,
    received: BytesMut,
}

impl Wire {
    pub async fn to(node: &Node) -> Result<Self> {
        let address = node.server().endpoint(Port::Service).await?;
        Ok(Self {
            stream: TcpStream::connect(address).await?,
            received: BytesMut::new(),
        })
    }

    /// Sends commands at once, and gives back their replies.
    pub async fn all<W: AsRef<[u8]>>(&mut self, commands: &[Vec<W>]) -> Result<Vec<BytesFrame>> {
        let mut sent = BytesMut::new();
        for words in commands {
            let words = words
                .iter()
                .map(|word| BytesFrame::BulkString(word.as_ref().to_vec().into()));
            extend_encode(&mut sent, &BytesFrame::Array(words.collect()), false)?;
        }
        self.stream.write_all(&sent).await?;
        let mut replies = Vec::new();
        while replies.len() < commands.len() {
            if let Some((reply, ..)) = decode_bytes_mut(&mut self.received)? {
                replies.push(reply);
                continue;
            }
            let read = tokio::time::timeout(
                Duration::from_secs(20),
                self.stream.read_buf(&mut self.received),
            );
            if read.await.context("no reply within 20 s")?? == 0 {
                bail!("the server closed the connection");
            }
        }
        Ok(replies)
    }

    pub async fn one<W: AsRef<[u8]> + Clone>(&mut self, words: &[W]) -> Result<BytesFrame> {
        let mut replies = self.all(&[words.to_vec()]).await?;
        replies.pop().context("a reply")
    }

    /// One command of plain words.
    pub async fn say(&mut self, command: &str) -> Result<BytesFrame> {
        let words: Vec<&str> = command.split(' ').collect();
        self.one(&words).await
    }
}

/// A reply as text, its kind included.
pub fn shown(reply: &BytesFrame) -> String {
    match reply {
        BytesFrame::SimpleString(text) => format!("+{}", text.escape_ascii()),
        BytesFrame::Error(text) => format!("-{text}"),
        BytesFrame::Integer(number) => format!(":{number}"),
        BytesFrame::BulkString(text) => format!("\"{}\"", text.escape_ascii()),
        BytesFrame::Null => "nil".to_owned(),
        BytesFrame::Array(parts) => {
            let parts: Vec<_> = parts.iter().map(shown).collect();
            format!("[{}]", parts.join(", "))
        }
    }
}

/// The reply to a command (its name in capitals) with everything in order that has none.
pub fn in_order(name: &str, reply: BytesFrame) -> BytesFrame {
    let BytesFrame::Array(mut parts) = reply else {
        return reply;
    };
    match name {
        "SMEMBERS" | "HKEYS" | "HVALS" | "KEYS" => parts.sort_by_key(shown),
        "HGETALL" => {
            let mut pairs: Vec<_> = parts.chunks(2).map(<[_]>::to_vec).collect();
            pairs.sort_by_key(|pair| shown(&pair[0]));
            parts = pairs.concat();
        }
        "SCAN" => {
            parts = parts
                .into_iter()
                .map(|part| in_order("KEYS", part))
                .collect();
        }
        _ => {}
    }
    BytesFrame::Array(parts)
}

/// Whether both replies to a command say the same. `within` are the commands of a transaction.
pub fn same(name: &str, within: &[String], model: &BytesFrame, real: &BytesFrame) -> bool {
    match (name, model, real) {
        ("TTL" | "PTTL", BytesFrame::Integer(model), BytesFrame::Integer(real))
            if *model >= 0 && *real >= 0 =>
        {
            let millis = if name == "TTL" { 1000 } else { 1 };
            (model - real).saturating_mul(millis).abs() <= TTL_TOLERANCE
        }
        ("EXEC", BytesFrame::Array(model), BytesFrame::Array(real))
            if model.len() == real.len() =>
        {
            let mut pairs = model.iter().zip(real).zip(within);
            pairs.all(|((model, real), name)| same(name, &[], model, real))
        }
        _ => in_order(name, model.clone()) == in_order(name, real.clone()),
    }
}
