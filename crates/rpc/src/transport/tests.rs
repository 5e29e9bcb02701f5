//! One connection carries everybody's calls: what some of them do is not felt by the others.

use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::{endpoint, server};
use crate::Lane;
use crate::agents::agent_context_client::AgentContextClient;
use crate::agents::agent_context_server::{AgentContext, AgentContextServer};
use crate::agents::{
    AttachmentChunk, GetSummaryRequest, ListAttachmentsRequest, ListAttachmentsResponse,
    ListMessagesRequest, ListMessagesResponse, ListPreviousSessionsRequest,
    ListPreviousSessionsResponse, ReadAttachmentRequest, Summary,
};

const LARGE: usize = 64 * 1024;
const SMALL: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Streams chunks without an end, of the size that is the file's name.
struct Endless;

#[tonic::async_trait]
impl AgentContext for Endless {
    type ReadAttachmentStream = BoxStream<'static, Result<AttachmentChunk, Status>>;

    async fn read_attachment(
        &self,
        request: Request<ReadAttachmentRequest>,
    ) -> Result<Response<Self::ReadAttachmentStream>, Status> {
        let bytes: usize = request.into_inner().name.parse().unwrap();
        let chunks = stream::repeat_with(move || vec![b'a'; bytes]).then(async |data| {
            // Each on its own, as words come: chunks that are there together leave together.
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(AttachmentChunk { data })
        });
        Ok(Response::new(chunks.boxed()))
    }

    async fn list_messages(
        &self,
        _: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        std::future::pending().await
    }

    async fn get_summary(
        &self,
        _: Request<GetSummaryRequest>,
    ) -> Result<Response<Summary>, Status> {
        Ok(Response::new(Summary::default()))
    }

    async fn list_previous_sessions(
        &self,
        _: Request<ListPreviousSessionsRequest>,
    ) -> Result<Response<ListPreviousSessionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_attachments(
        &self,
        _: Request<ListAttachmentsRequest>,
    ) -> Result<Response<ListAttachmentsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A client with one connection. The server ends with the test's runtime.
#[expect(clippy::disallowed_methods, reason = "it ends with the test")]
async fn client() -> AgentContextClient<Lane> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = server()
        .add_service(AgentContextServer::new(Endless))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(served);
    let channel = endpoint(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    AgentContextClient::new(Lane::remote(channel, PATIENCE))
}

async fn read(client: &AgentContextClient<Lane>, bytes: usize) -> Streaming<AttachmentChunk> {
    let request = ReadAttachmentRequest {
        name: bytes.to_string(),
    };
    let reply = client.clone().read_attachment(request).await;
    reply.unwrap().into_inner()
}

async fn first(reader: &mut Streaming<AttachmentChunk>) {
    let chunk = tokio::time::timeout(PATIENCE, reader.message()).await;
    assert!(chunk.unwrap().unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stand_still_stop_nobody() {
    let client = client().await;
    let mut still = Vec::new();
    for _ in 0..8 {
        still.push(read(&client, LARGE).await);
        still.push(read(&client, SMALL).await);
    }
    // More than could wait for 16 readers on the way.
    let mut reader = read(&client, LARGE).await;
    for _ in 0..200 {
        first(&mut reader).await;
    }
    client
        .clone()
        .get_summary(GetSummaryRequest {})
        .await
        .unwrap();
    for mut reader in still {
        first(&mut reader).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_go_away_end_nobody_elses_call() {
    let client = client().await;
    let mut stays = read(&client, SMALL).await;
    for _ in 0..20 {
        // What is on its way when they go is for nobody.
        let readers = (0..200).map(|_| read(&client, SMALL));
        drop(join_all(readers).await);
    }
    for _ in 0..100 {
        first(&mut stays).await;
    }
}

/// On one thread, so that calls are given up at each step of their way.
#[tokio::test]
async fn calls_that_are_given_up_at_once_end_nobody_elses() {
    let client = client().await;
    let mut stays = read(&client, SMALL).await;
    for steps in 0..30 {
        let calls = (0..100).map(|_| {
            let mut client = client.clone();
            async move { client.list_messages(ListMessagesRequest::default()).await }
        });
        let mut calls: Vec<_> = calls.map(Box::pin).collect();
        for call in &mut calls {
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        drop(calls);
        first(&mut stays).await;
    }
    client
        .clone()
        .get_summary(GetSummaryRequest {})
        .await
        .unwrap();
}
