//! A session store on KeyDB, as small as one can be: an application whose tests use keydb-harness.
//!
//! ```console
//! $ session_store redis://127.0.0.1:6379/ login ada
//! $ session_store redis://127.0.0.1:6379/ whoami TOKEN
//! $ session_store redis://127.0.0.1:6379/ logout TOKEN
//! ```
//!
//! One URL is that of the proxy: sessions are kept the naive way. Several, with commas between, are
//! those of the primaries: the sound way. The tests (`cargo test --example session_store`) show what
//! is wrong with the naive one.

mod store;
#[cfg(test)]
mod tests;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};
use store::{Naive, Sessions, Sound};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let said = match words
        .first()
        .map(|urls| urls.split(',').collect::<Vec<_>>())
    {
        Some(urls) if urls.len() > 1 => {
            let urls = urls.into_iter().map(str::to_owned);
            obey(&Sound::new(urls.collect()), &words[1..]).await
        }
        Some(urls) => obey(&Naive::new(urls.concat()), &words[1..]).await,
        None => obey(&Naive::new(""), &[]).await,
    };
    match said {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("session_store: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(sessions: &impl Sessions, words: &[String]) -> Result<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["login", user] => Ok(sessions.log_in(user).await?),
        ["whoami", token] => {
            let user = sessions.user_of(token).await?;
            Ok(user.unwrap_or_else(|| "nobody".to_owned()))
        }
        ["logout", token] => {
            sessions.log_out(token).await?;
            Ok("logged out".to_owned())
        }
        _ => bail!("usage: session_store URL[,URL] login USER | whoami TOKEN | logout TOKEN"),
    }
}
