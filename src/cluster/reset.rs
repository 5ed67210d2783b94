//! A cluster that was used, made as good as new, and the proof that it is.
//!
//! Nothing is believed: what a scenario did is not asked for. A cluster is as good as new if nobody
//! struck it, it holds no key, and every server shows what it showed when the cluster had just become
//! ready: the same process, role, upstreams, followers, replication id and settings.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Value;

use super::info::ServerRole;
use super::{ClientError, Cluster, Node, dataset, ready};
use crate::topology::{Persistence, Relayed, Role};
use crate::wait::{Unmet, eventually};

/// Within which an emptied cluster has to look new. One that does not is thrown away: nothing is lost
/// but the time.
const DEADLINE: Duration = Duration::from_secs(10);

/// What `DEBUG DIGEST` answers where no key is.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// What every server of a cluster shows that has just become ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh(BTreeMap<String, Shown>);

/// What a server shows that a reset must not leave changed.
#[derive(Clone, PartialEq)]
struct Shown {
    run_id: String,
    role: ServerRole,
    replid: String,
    upstreams: Vec<(String, u16)>,
    followers: usize,
    /// Syncs that it has served in full and in part, and refused to serve in part.
    syncs: [Option<i64>; 3],
    /// `ACL LIST`, where there is one.
    users: Option<Value>,
    /// `CONFIG GET *`, names and values in turn; some have none, so that they cannot be told apart (I8).
    settings: Vec<Value>,
}

/// Without settings and users: passwords are among them.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("run_id", &self.run_id)
            .field("role", &self.role)
            .field("replid", &self.replid)
            .finish_non_exhaustive()
    }
}

/// Why a used cluster is not as good as new.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not as good as new: {0}")]
pub struct NotReset(String);

impl NotReset {
    fn because(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl From<ClientError> for NotReset {
    fn from(error: ClientError) -> Self {
        Self::because(error)
    }
}

impl From<Unmet> for NotReset {
    fn from(unmet: Unmet) -> Self {
        Self::because(unmet.sentence())
    }
}

impl Cluster {
    /// What its servers show now: the yardstick of [`Self::reset`], taken once it is ready.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn shown(&self) -> Result<Fresh, ClientError> {
        let nodes = self.nodes.iter();
        let all = nodes.map(|node| async { Ok((node.name().to_owned(), shown(node).await?)) });
        let all = try_join_all(all).await?;
        Ok(Fresh(all.into_iter().collect()))
    }

    /// Takes all keys and scripts away, and proves that the cluster is as good as new: links, digests,
    /// and everything that [`Self::shown`] tells. Logs go on: whoever reads them compares with what there was.
    ///
    /// # Errors
    /// It is not so: a server was stopped or killed, its data are kept in files, links cross relays,
    /// or something shows otherwise. The cluster is then good for nothing but to be closed.
    pub async fn reset(&self, fresh: &Fresh) -> Result<(), NotReset> {
        self.can_be_reset()?;
        self.is_as(fresh).await.map_err(NotReset::because)?;
        for node in &self.nodes {
            let mut client = node.client().await?;
            if node.spec().role == Role::Primary {
                client.query::<()>(&redis::cmd("FLUSHALL")).await?;
            }
            // A server without Lua has none to lose.
            let scripts = redis::cmd("SCRIPT").arg("FLUSH").to_owned();
            let _ = client.query::<()>(&scripts).await;
        }
        let what = "an emptied cluster holds no key, and its links are up";
        eventually(self, what, DEADLINE, || self.is_empty()).await?;
        let what = "a probe write is readable everywhere, and gone afterwards";
        eventually(self, what, DEADLINE, || ready::probe(self)).await?;
        self.is_empty().await.map_err(NotReset::because)?;
        self.is_as(fresh).await.map_err(NotReset::because)?;
        Ok(())
    }

    /// Whether all can be seen that may have changed on it: nobody was struck, nothing stands in files or
    /// relays. Without that [`Self::reset`] need not be tried.
    ///
    /// # Errors
    /// It is none, and why.
    pub fn can_be_reset(&self) -> Result<(), NotReset> {
        if self.topology.relayed != Relayed::None {
            return Err(NotReset::because("links cross relays"));
        }
        for node in &self.nodes {
            let name = node.name();
            if node.spec().persistence != Persistence::None {
                return Err(NotReset::because(format!("{name} keeps files")));
            }
            if !node.should_answer() || node.was_killed() || !node.ends().is_empty() {
                return Err(NotReset::because(format!("{name} was struck")));
            }
        }
        match self.proxy() {
            Ok(proxy) if proxy.was_struck() => Err(NotReset::because("the proxy was struck")),
            _ => Ok(()),
        }
    }

    async fn is_empty(&self) -> Result<(), String> {
        ready::links(self).await?;
        for node in &self.nodes {
            let name = node.name();
            let asked = async { dataset::digest(&mut node.client().await?).await };
            match asked.await {
                Ok(digest) if digest == NOTHING => {}
                Ok(digest) => return Err(format!("{name} holds keys still, digest {digest}")),
                Err(error) => return Err(format!("{name}: {error}")),
            }
        }
        Ok(())
    }

    /// Nothing of this changes by itself: who waits for it waits for ever.
    async fn is_as(&self, fresh: &Fresh) -> Result<(), String> {
        for node in &self.nodes {
            let name = node.name();
            let seen = shown(node)
                .await
                .map_err(|error| format!("{name}: {error}"))?;
            match fresh.0.get(name) {
                Some(before) if *before == seen => {}
                Some(before) => return Err(format!("{name} {}", before.difference(&seen))),
                None => return Err(format!("{name} was not there")),
            }
        }
        Ok(())
    }
}

impl Shown {
    /// The first thing in which what is seen now is not what was seen before. Settings without their
    /// values: a password is one.
    fn difference(&self, now: &Self) -> String {
        let all = [
            ("run_id", self.run_id == now.run_id),
            ("role", self.role == now.role),
            ("replid", self.replid == now.replid),
            ("list of upstreams", self.upstreams == now.upstreams),
            ("number of followers", self.followers == now.followers),
            ("number of syncs", self.syncs == now.syncs),
            ("list of users", self.users == now.users),
        ];
        if let Some((what, _)) = all.iter().find(|(_, same)| !same) {
            return format!("shows another {what}");
        }
        let both = self.settings.windows(2).zip(now.settings.windows(2));
        let mut changed = both.filter(|(before, now)| before[0] == now[0] && before[1] != now[1]);
        match changed.next() {
            Some((before, _)) => format!("shows another {:?}", before[0]),
            None => "shows other settings".to_owned(),
        }
    }
}

async fn shown(node: &Node) -> Result<Shown, ClientError> {
    let mut client = node.client().await?;
    let settings = redis::cmd("CONFIG").arg("GET").arg("*").to_owned();
    let settings = client.query(&settings).await?;
    let users = redis::cmd("ACL").arg("LIST").to_owned();
    let users = client.query(&users).await.ok();
    let info = node.glance().await?;
    let syncs = ["sync_full", "sync_partial_ok", "sync_partial_err"].map(|it| info.stat(it));
    let replication = info.replication();
    let upstreams = replication.masters.into_iter();
    let mut upstreams: Vec<_> = upstreams.map(|it| (it.host, it.port)).collect();
    upstreams.sort();
    Ok(Shown {
        run_id: info.run_id().unwrap_or_default().to_owned(),
        role: replication.role,
        replid: replication.replid,
        upstreams,
        followers: replication.slaves.len(),
        syncs,
        users,
        settings,
    })
}

#[cfg(test)]
mod tests;
