//! A wire that a test can cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Stands between a process and something it connects to; it ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    open: watch::Sender<bool>,
    server: AbortHandle,
}

impl Proxy {
    /// Starts one in front of `target`, whole or cut.
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    pub async fn start(target: SocketAddr, whole: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port for the proxy");
        let address = listener.local_addr().expect("the proxy's address");
        let (open, is_open) = watch::channel(whole);
        let server = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target, is_open.clone()));
            }
        });
        Self {
            address,
            open,
            server: server.abort_handle(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection; new ones end at once.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets new connections through.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.open.send_replace(false);
        self.server.abort();
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut open: watch::Receiver<bool>) {
    if !*open.borrow_and_update() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
