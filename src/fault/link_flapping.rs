//! The link comes and goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::link::{Link, Look, Strike};
use super::{Fault, LITTLE, MadeOf, NameError};
use crate::relay::Relay;

/// How often it has to have been cut while a connection lived until it counts.
const CUTS: u64 = 2;

/// Cuts the link and lets it be made anew, in turn.
#[derive(Debug)]
pub struct Flapping {
    /// For how long connections are reset and turned away.
    pub shut: Duration,
    /// For how long they may live. Servers try once a second.
    pub open: Duration,
    /// The present task, and whether it may still cut.
    task: Mutex<Option<(JoinHandle<()>, Active)>>,
}

/// Locked by whoever cuts, so that nothing is cut any more once it is false.
type Active = Arc<Mutex<bool>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flapping {
    /// Shut and open for so long, in turn.
    pub fn new(shut: Duration, open: Duration) -> Self {
        Self {
            shut,
            open,
            task: Mutex::default(),
        }
    }

    fn stop(&self) {
        if let Some((task, active)) = lock(&self.task).take() {
            *lock(&active) = false;
            task.abort();
        }
    }
}

impl Drop for Flapping {
    fn drop(&mut self) {
        self.stop();
    }
}

/// In a schedule: its parameter is how long it is shut each time. It lives longer than servers take to
/// connect anew.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    const OPEN: Duration = Duration::from_millis(1500);
    let shut = of.time(LITTLE)?;
    of.link(|| Flapping::new(shut, OPEN))
}

#[async_trait]
impl Strike for Flapping {
    fn verb(&self) -> String {
        format!(
            "flap {} ms shut, {} ms open:",
            self.shut.as_millis(),
            self.open.as_millis()
        )
    }

    fn colour(&self) -> &'static str {
        "#7f8c8d"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        // Not held: the relay ends with its cluster.
        let relay = Arc::downgrade(relay);
        let (shut, open) = (self.shut, self.open);
        let active = Active::new(Mutex::new(true));
        let may = Arc::clone(&active);
        let order = move |order: fn(&Relay)| -> bool {
            let active = lock(&may);
            let relay = relay.upgrade().filter(|_| *active);
            relay.is_some_and(|relay| {
                order(&relay);
                true
            })
        };
        let task = tokio::spawn(async move {
            while order(Relay::cut) {
                sleep(shut).await;
                order(|relay| relay.refuse(false));
                sleep(open).await;
            }
        });
        self.stop();
        *lock(&self.task) = Some((task, active));
    }

    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        match look.cuts() {
            cuts if cuts >= CUTS => Ok(format!("{cuts} connections were cut")),
            cuts => Err(format!("{cuts} connections were cut")),
        }
    }

    fn cease(&self) {
        self.stop();
    }
}
