//! One file on its way to the attachments service: chunks at once, what they are at the end.

use bytes::Bytes;
use confab_rpc::attachments::upload_request::{Commit, Part};
use confab_rpc::attachments::{Attachment, UploadRequest};
use confab_rpc::{Fault, Reason};
use confab_runtime::Tasks;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use crate::backends::Backends;

/// Chunks are no longer than the contract allows.
const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks between the client and the service.
const CHUNKS_UNDER_WAY: usize = 4;

/// A file being sent. Dropped before [`Transfer::commit`], nothing of it stays.
#[derive(Debug)]
pub(crate) struct Transfer {
    parts: mpsc::Sender<UploadRequest>,
    outcome: oneshot::Receiver<Result<Attachment, Fault>>,
}

impl Transfer {
    /// Opens the way.
    pub(crate) fn open(backends: &Backends, tasks: &Tasks) -> Self {
        let (parts, receiver) = mpsc::channel(CHUNKS_UNDER_WAY);
        let (done, outcome) = oneshot::channel();
        let mut uploads = backends.uploads();
        tasks.spawn("upload", async move {
            let stored = uploads.upload(ReceiverStream::new(receiver)).await;
            // Nobody waits any more when the client has gone.
            let _ = done.send(stored.map(tonic::Response::into_inner).map_err(Fault::from));
        });
        Self { parts, outcome }
    }

    /// Sends more of the file; waits while the service is behind. A fault ends the transfer.
    pub(crate) async fn send(&mut self, mut bytes: Bytes) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            self.part(Part::Chunk(chunk.to_vec())).await?;
        }
        Ok(())
    }

    /// Says what the file is and waits until it is stored.
    pub(crate) async fn commit(mut self, commit: Commit) -> Result<Attachment, Fault> {
        self.part(Part::Commit(commit)).await?;
        drop(self.parts);
        self.outcome.await.unwrap_or_else(|_| Err(broken()))
    }

    async fn part(&mut self, part: Part) -> Result<(), Fault> {
        let part = UploadRequest { part: Some(part) };
        let early = tokio::select! {
            biased;
            outcome = &mut self.outcome => outcome,
            sent = self.parts.send(part) => match sent {
                Ok(()) => return Ok(()),
                Err(_) => (&mut self.outcome).await,
            },
        };
        // The service answered before it had everything, so it refused.
        Err(match early {
            Ok(Err(fault)) => fault,
            Ok(Ok(_)) | Err(_) => broken(),
        })
    }
}

fn broken() -> Fault {
    Fault::new(Reason::Internal, "the upload broke off")
}
