//! One client's session: a server for it, and bytes both ways.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::backend::Backend;
use super::server::Server;

/// HAProxy's buffer size.
const BUFFER: usize = 16 * 1024;

/// How long HAProxy waits before it connects to the same server again.
const TURN_AROUND: Duration = Duration::from_secs(1);

/// Serves a client until either side is done; it is closed when no server takes it.
pub(super) async fn run(backend: Rc<Backend>, mut client: TcpStream) {
    let _counted = backend.sessions.enter();
    let mut last = None;
    for attempt in 0..=backend.listen.retries {
        let stays = last.is_some() && !backend.listen.redispatch;
        if attempt > 0 && (stays || backend.available() <= 1) {
            sleep(TURN_AROUND.min(backend.listen.connect)).await;
        }
        let chosen = if stays { last } else { backend.next(last) };
        let Some(server) = chosen.and_then(|index| backend.servers.get(index)) else {
            return;
        };
        last = chosen;
        let _counted = server.sessions.enter();
        let cut = server.cut.notified();
        let serving = async {
            match connect(server, backend.listen.connect).await {
                Some(upstream) => pump(&mut client, upstream).await,
                None => Served::No,
            }
        };
        tokio::select! {
            () = cut => return,
            served = serving => if served == Served::Yes { return },
        }
    }
}

/// Whether a server took the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    Yes,
    No,
}

async fn connect(server: &Server, within: Duration) -> Option<TcpStream> {
    let connecting = TcpStream::connect(&server.line.address);
    timeout(within, connecting).await.ok()?.ok()
}

/// Passes bytes and the end of each direction on; an error on either side ends both.
async fn pump(client: &mut TcpStream, mut upstream: TcpStream) -> Served {
    for stream in [&*client, &upstream] {
        // Without it only latency suffers, so a refusal is no reason to end the session.
        let _ = stream.set_nodelay(true);
    }
    // How it ended concerns the two sides only, and they see it for themselves.
    let _ = copy_bidirectional_with_sizes(client, &mut upstream, BUFFER, BUFFER).await;
    Served::Yes
}
