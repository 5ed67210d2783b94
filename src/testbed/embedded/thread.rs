//! A server on a thread of its own, which can do to it what signals do to a process.

use std::pin::Pin;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime;
use tokio::sync::mpsc as tokio_mpsc;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

/// Exit codes as a shell shows them: 128 plus the signal's number.
const KILLED: i32 = 137;
const ABORTED: i32 = 134;

/// What a server is told.
enum Order {
    /// SIGTERM.
    End,
    /// SIGSTOP: says when the thread stands still, and stands until the other end of the second
    /// channel is dropped.
    Freeze(oneshot::Sender<()>, mpsc::Receiver<()>),
    /// SIGUSR2: go on with this configuration.
    Reload(String),
}

/// What a server hears from outside.
pub(super) struct Signals {
    /// Resolves at SIGTERM.
    pub terminated: Pin<Box<dyn Future<Output = ()>>>,
    /// The configurations to go on with.
    pub reloads: tokio_mpsc::UnboundedReceiver<String>,
}

/// What runs on the thread; gives back its exit code.
pub(super) type Body = Box<dyn FnOnce(Signals) -> Pin<Box<dyn Future<Output = i32>>> + Send>;

/// A running server.
#[derive(Debug)]
pub(super) struct ServerThread {
    handle: Option<JoinHandle<()>>,
    orders: tokio_mpsc::UnboundedSender<Order>,
    kill: Option<oneshot::Sender<()>>,
    /// Held while the thread stands still.
    frozen: Option<mpsc::Sender<()>>,
    ended: watch::Receiver<Option<i32>>,
}

impl ServerThread {
    /// Starts a server.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn start(name: &str, body: Body) -> std::io::Result<Self> {
        let (orders, mut received) = tokio_mpsc::unbounded_channel();
        let (kill, killed) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let run = move || {
            let local = LocalSet::new();
            let life = async {
                let (term, terminated) = oneshot::channel();
                let (reload, reloads) = tokio_mpsc::unbounded_channel();
                tokio::task::spawn_local(async move {
                    let mut term = Some(term);
                    while let Some(order) = received.recv().await {
                        match order {
                            Order::End => {
                                if let Some(term) = term.take() {
                                    let _ = term.send(());
                                }
                            }
                            Order::Reload(config) => {
                                // Nobody listens who cannot be reloaded.
                                let _ = reload.send(config);
                            }
                            Order::Freeze(frozen, thaw) => {
                                let _ = frozen.send(());
                                // Blocks the thread, and with it all that the server does.
                                let _ = thaw.recv();
                            }
                        }
                    }
                });
                let terminated = async {
                    if terminated.await.is_err() {
                        std::future::pending().await
                    }
                };
                let signals = Signals {
                    terminated: Box::pin(terminated),
                    reloads,
                };
                tokio::select! {
                    biased;
                    _ = killed => KILLED,
                    code = body(signals) => code,
                }
            };
            local.block_on(&runtime, life)
            // Here the set and the runtime are dropped, and every socket is closed.
        };
        let handle = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                end.send_replace(Some(ended.unwrap_or(ABORTED)));
            })?;
        Ok(Self {
            handle: Some(handle),
            orders,
            kill: Some(kill),
            frozen: None,
            ended,
        })
    }

    /// SIGTERM.
    pub(super) fn terminate(&self) {
        let _ = self.orders.send(Order::End);
    }

    /// SIGUSR2, with the configuration to go on with.
    pub(super) fn reload(&self, config: String) {
        let _ = self.orders.send(Order::Reload(config));
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
        self.thaw();
    }

    /// SIGSTOP. The answer comes once the thread stands still.
    pub(super) fn freeze(&mut self) -> oneshot::Receiver<()> {
        let (frozen, stands) = oneshot::channel();
        let (hold, thaw) = mpsc::channel();
        let _ = self.orders.send(Order::Freeze(frozen, thaw));
        self.frozen = Some(hold);
        stands
    }

    /// SIGCONT.
    pub(super) fn thaw(&mut self) {
        self.frozen = None;
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// The exit code, once it has ended.
    pub(super) fn ended(&self) -> Option<i32> {
        *self.ended.borrow()
    }

    /// Resolves when it has ended.
    pub(super) fn end(&self) -> watch::Receiver<Option<i32>> {
        self.ended.clone()
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.kill();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}
