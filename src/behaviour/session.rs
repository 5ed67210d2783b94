//! A connection of a row's own to one node.

use anyhow::{Context, Result};
use redis::{Cmd, Value};

use super::hands::{Hands, shown};
use super::reply;
use crate::cluster::{Client, ClientError};
use crate::secret;

/// A connection to one node.
#[derive(Debug)]
pub struct Session<'a> {
    pub(super) hands: &'a Hands<'a>,
    pub(super) node: String,
    pub(super) client: Client,
}

impl Session<'_> {
    /// One command, its words apart by blanks: its answer as text, also if it is refused.
    ///
    /// # Errors
    /// No answer.
    pub async fn ask(&mut self, command: &str) -> Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.ask_words(&words).await
    }

    /// As [`Session::ask`], for words that hold blanks.
    ///
    /// # Errors
    /// No answer.
    pub async fn ask_words(&mut self, words: &[&str]) -> Result<String> {
        let told = secret::told(words).join(" ");
        let answer = self.answer(words).await;
        let text = match &answer {
            Ok(text) => text.clone(),
            Err(error) => error.to_string(),
        };
        self.hands.line(format!("{} {told} -> {text}", self.node));
        answer.with_context(|| format!("{} on {}", shown(&told), self.node))
    }

    /// As [`Session::ask`], without a line in the transcript: for looking again and again.
    ///
    /// # Errors
    /// No answer.
    pub async fn peek(&mut self, command: &str) -> Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        Ok(self.answer(&words).await?)
    }

    async fn answer(&mut self, words: &[&str]) -> Result<String, ClientError> {
        let mut command = Cmd::new();
        command.arg(words);
        match self.client.query::<Value>(&command).await {
            Ok(value) => Ok(reply::text(&value)),
            Err(ClientError::Refused(text)) => Ok(text),
            Err(error) => Err(error),
        }
    }
}
