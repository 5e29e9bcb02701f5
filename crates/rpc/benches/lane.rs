//! What a call over a lane costs: to a service in this process, and to the same one over TCP.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

use std::time::Duration;

use confab_rpc::Lane;
use confab_rpc::search::search_client::SearchClient;
use confab_rpc::search::search_server::{Search, SearchServer};
use confab_rpc::search::{FindRequest, FindResponse, Hit};
use criterion::Criterion;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

/// Finds the same at once.
struct Instant;

#[tonic::async_trait]
impl Search for Instant {
    async fn find(&self, request: Request<FindRequest>) -> Result<Response<FindResponse>, Status> {
        let hit = Hit {
            similarity: f64::from(request.into_inner().limit),
            ..Hit::default()
        };
        Ok(Response::new(FindResponse {
            hits: vec![hit],
            ..FindResponse::default()
        }))
    }
}

fn local() -> Lane {
    Lane::local(SearchServer::new(Instant), Duration::from_secs(5))
}

#[expect(clippy::disallowed_methods, reason = "it ends with the benchmark")]
async fn remote() -> Lane {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(SearchServer::new(Instant));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(server.serve_with_incoming(incoming));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    Lane::remote(endpoint.connect_lazy(), Duration::from_secs(5))
}

async fn call(mut client: SearchClient<Lane>) -> FindResponse {
    let request = FindRequest {
        user_id: "0192f0a1-0000-7000-8000-000000000001".to_owned(),
        query: "what was said about the sea".to_owned(),
        limit: 10,
        thread_id: "0192f0a1-0000-7000-8000-000000000002".to_owned(),
    };
    client.find(request).await.unwrap().into_inner()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().unwrap();
    let lanes = runtime.block_on(async { [("local", local()), ("tcp", remote().await)] });
    let mut group = criterion.benchmark_group("lane call");
    for (name, lane) in lanes {
        let client = SearchClient::new(lane);
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(call(client.clone())));
        });
    }
    group.finish();
    criterion.final_summary();
}
