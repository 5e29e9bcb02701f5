//! A gateway that listens on a port of its own.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use confab_cache::Cache;
use confab_delivery::Delivery;
use confab_gateway::settings::{Assistant, Auth, Conversations, Groups, Limits, OpenAi, Sockets};
use confab_gateway::{AuthMode, Backends, GatewayError, Mirror, Settings, serve};
use confab_rpc::Lane;
use confab_runtime::{SystemClock, Tasks};
use tokio::sync::oneshot;
use tonic::transport::Endpoint;

/// A running gateway.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    tasks: Tasks,
    ended: oneshot::Receiver<Result<(), GatewayError>>,
}

/// Settings for tests, with small limits.
pub(crate) fn settings(mode: AuthMode, origins: &[&str]) -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        allowed_origins: origins.iter().map(|it| (*it).to_owned()).collect(),
        docs: true,
        auth: Auth {
            mode,
            open_beyond_loopback: false,
        },
        sockets: Sockets {
            frame_bytes: 1024,
            message_bytes: 2048,
            ping_seconds: 3600,
            pending_frames: 4,
        },
        assistant: Assistant {
            mirror: Mirror::Off,
            mirror_stream: "CHAT_STREAM".to_owned(),
        },
        groups: Groups {
            push: true,
            open_join: true,
        },
        conversations: Conversations {
            model: String::new(),
            open_models: Vec::new(),
            open_deposit_microdollars: 0,
        },
        openai: OpenAi { body_bytes: 1024 },
        limits: Limits {
            requests_per_minute: 0,
            tokens_per_minute: 0,
        },
    }
}

impl Front {
    /// Starts one in open mode.
    pub(crate) fn open() -> Self {
        Self::start(settings(AuthMode::Open, &[]))
    }

    pub(crate) fn start(settings: Settings) -> Self {
        settings.validate().unwrap();
        let listener = TcpListener::bind(settings.listen[0]).unwrap();
        let address = listener.local_addr().unwrap();
        let backends = Backends::new(nowhere(), nowhere(), nowhere(), nowhere(), nowhere());
        let cache = Cache::open(&confab_cache::Settings {
            url: String::new().into(),
            timeout_ms: 100,
        });
        let tasks = Tasks::new();
        let delivery = Delivery::open(&delivery(), &tasks).unwrap();
        let serving = serve(
            settings,
            backends,
            cache.unwrap(),
            delivery,
            vec![listener],
            Arc::new(SystemClock),
            tasks.clone(),
        );
        let (done, ended) = oneshot::channel();
        tasks.spawn("gateway", async move {
            let _ = done.send(serving.await);
        });
        Self {
            address,
            tasks,
            ended,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks it to end, and says whether everything did.
    pub(crate) async fn stop(self) -> bool {
        let all = self.tasks.stop(Duration::from_secs(30)).await;
        self.ended.await.unwrap().unwrap();
        all
    }

    /// Asks it to end and does not wait for it.
    pub(crate) fn begin_to_stop(&self) {
        self.tasks.stopping().cancel();
    }
}

/// A lane to a port that nobody listens on.
fn nowhere() -> Lane {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    Lane::remote(channel, Duration::from_secs(5))
}

/// Delivery through memory.
fn delivery() -> confab_delivery::Settings {
    confab_delivery::Settings {
        url: String::new().into(),
        exchange: "confab".to_owned(),
        queue_length: 100,
        prefetch: 200,
        confirm_window: 100,
        confirm_timeout_ms: 1000,
    }
}
