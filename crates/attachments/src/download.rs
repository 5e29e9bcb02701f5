//! A file on its way out: who may read it, and which bytes.

use std::io;

use confab_rpc::attachments::download_request::Access;
use confab_rpc::attachments::download_response::Part;
use confab_rpc::attachments::{DownloadRequest, DownloadResponse};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;
use crate::name::FileName;
use crate::range::range;
use crate::service::{Service, to_wire};
use crate::store::Attachment;

/// The header of a file and then its bytes.
pub(crate) type Download = BoxStream<'static, Result<DownloadResponse, Status>>;

impl Service {
    /// Reads what a download asks for.
    pub(crate) async fn read(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let attachment = self.permitted(request).await?;
        let size = u64::try_from(attachment.size).unwrap_or_default();
        let range = range(request.offset, request.length, size)?;
        let pieces = match self.blobs.read(attachment.id, size, range).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Deleted since its row was read? Otherwise the bytes are lost, which is another matter.
                self.anyones(attachment.id).await?;
                return Err(error.into());
            }
            read => read?,
        };
        let header = stream::once(async { Ok(Part::Header(to_wire(attachment))) });
        let chunks = pieces.map(|piece| Ok(Part::Chunk(piece?.into())));
        let parts = header.chain(chunks);
        let responses =
            parts.map(|part: Result<Part, Error>| Ok(DownloadResponse { part: Some(part?) }));
        Ok(responses.boxed())
    }

    /// The file that a download names, if the caller has shown that it may be read.
    async fn permitted(&self, request: &DownloadRequest) -> Result<Attachment, Error> {
        let id = FileName::parse(&request.name).ok_or(Error::NotFound)?.id;
        let found = match &request.access {
            Some(Access::UserId(user_id)) => self.readable(user_id, id).await?,
            Some(Access::Signature(signature)) => {
                let now = self.clock.now().timestamp();
                self.links
                    .verify(&request.name, signature.expires, &signature.mac, now)?;
                self.anyones(id).await?
            }
            Some(Access::NameSuffices(true)) => self.anyones(id).await?,
            Some(Access::NameSuffices(false)) | None => return Err(Error::NotFound),
        };
        found.named(&request.name)
    }

    async fn anyones(&self, id: Uuid) -> Result<Attachment, Error> {
        let found = self.store.anyones(id).await?;
        found.ok_or(Error::NotFound)
    }
}
