//! Something between a client and the broker that can cut them off.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes on while it is open.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    open: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn to(broker: SocketAddr, open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = watch::Sender::new(open);
        let mut state = open.subscribe();
        confab_runtime::Tasks::new().spawn("proxy", async move {
            while let Ok((client, _)) = listener.accept().await {
                if !*state.borrow_and_update() {
                    continue;
                }
                let mut state = state.clone();
                confab_runtime::Tasks::new().spawn("connection", async move {
                    tokio::select! {
                        () = pass(client, broker) => {}
                        _ = state.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { port, open }
    }

    /// Ends all connections and refuses new ones.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn heal(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(mut client: TcpStream, broker: SocketAddr) {
    let mut broker = TcpStream::connect(broker).await.unwrap();
    // Either end may go away in the middle.
    let _ = copy_bidirectional(&mut client, &mut broker).await;
}
