//! What a lane and a fault promise.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Code, Request, Response, Status};

use crate::agent::ai_service_client::AiServiceClient;
use crate::agent::ai_service_server::{AiService, AiServiceServer};
use crate::{Fault, Lane, Reason, agent};

/// Answers according to the message it gets.
struct Agent;

#[tonic::async_trait]
impl AiService for Agent {
    async fn process(
        &self,
        request: Request<agent::Request>,
    ) -> Result<Response<agent::Response>, Status> {
        match request.into_inner().chat_message.as_str() {
            "refuse" => Err(Fault::new(Reason::KeyReused, "used before").into()),
            "too large" => Err(Fault::new(Reason::AttachmentTooLarge, "too large")
                .with_limit(5)
                .into()),
            "hang" => std::future::pending().await,
            "panic" => panic!("on request"),
            text => Ok(Response::new(agent::Response {
                response_text: text.to_owned(),
                ..Default::default()
            })),
        }
    }
}

async fn ask(lane: Lane, message: &str) -> Result<String, Status> {
    let request = agent::Request {
        chat_message: message.to_owned(),
        ..Default::default()
    };
    let reply = AiServiceClient::new(lane).process(request).await?;
    Ok(reply.into_inner().response_text)
}

fn local() -> Lane {
    Lane::local(AiServiceServer::new(Agent), Duration::from_secs(5))
}

#[expect(clippy::disallowed_methods, reason = "it ends with the test")]
async fn remote() -> (Lane, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tokio::spawn(async move {
        tonic::transport::Server::builder()
            .add_service(AiServiceServer::new(Agent))
            .serve_with_incoming(incoming)
            .await
            .unwrap();
    });
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    (Lane::remote(channel, Duration::from_secs(5)), server)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_answer_and_keep_the_reason() {
    let (remote, _server) = remote().await;
    for lane in [local(), remote] {
        assert_eq!(ask(lane.clone(), "hello").await.unwrap(), "hello");
        let too_large = ask(lane.clone(), "too large").await.unwrap_err();
        assert_eq!(Fault::from(too_large).limit, Some(5));
        let refused = ask(lane, "refuse").await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(
            Fault::from(&refused),
            Fault::new(Reason::KeyReused, "used before")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_keep_the_deadline() {
    let (remote, _server) = remote().await;
    for lane in [local(), remote] {
        let late = ask(lane.with_deadline(Duration::from_millis(50)), "hang")
            .await
            .unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert_eq!(Fault::from(late).reason, Reason::Overloaded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_internal_error_and_the_lane_lives_on() {
    let lane = local();
    let status = ask(lane.clone(), "panic").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(ask(lane, "still here").await.unwrap(), "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_reads_as_overloaded() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    let status = ask(Lane::remote(channel, Duration::from_secs(5)), "hello")
        .await
        .unwrap_err();
    assert_eq!(Fault::from(status).reason, Reason::Overloaded);
}

/// Its process died: what became of the call is not known, and it is nobody's mistake.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_under_a_call_reads_as_overloaded() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    let lane = Lane::remote(channel, Duration::from_secs(5));
    let dying = async {
        // Settings of its own, so that the call begins.
        let (mut connection, _) = listener.accept().await.unwrap();
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        connection.write_all(&settings).await.unwrap();
        connection.read_exact(&mut [0; 64]).await.unwrap();
    };
    let (asked, ()) = tokio::join!(ask(lane, "hello"), dying);
    let status = asked.unwrap_err();
    assert_eq!(
        Fault::from(&status).reason,
        Reason::Overloaded,
        "{status:?}"
    );
}

/// A current-thread runtime, as an HTTP worker has, calls a service that lives on the big one.
#[test]
fn a_call_from_another_runtime_runs_on_the_services_own() {
    let big = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let lane = big.block_on(async { local() });
    let worker = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert_eq!(
        worker.block_on(ask(lane, "over here")).unwrap(),
        "over here"
    );
}
