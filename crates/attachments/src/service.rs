//! The calls of `confab.attachments.v1.Attachments`.

use std::sync::Arc;

use confab_database::Database;
use confab_rpc::attachments as wire;
use confab_rpc::attachments::attachments_server::Attachments;
use confab_rpc::attachments::get_attachment_request::By;
use confab_rpc::time;
use confab_runtime::{Clock, Tasks};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::blobs::{self, Blobs};
use crate::content_type::is_inline;
use crate::download::Download;
use crate::error::{Error, OpenError};
use crate::link::{LinkKey, SECRET_BYTES, expiry};
use crate::name::FileName;
use crate::settings::Settings;
use crate::store::{Attachment, Store};
use crate::sweep::Sweep;

/// The attachments service. Replicas share the database and the place of the bytes.
#[derive(Clone)]
pub struct Service {
    pub(crate) store: Store,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) links: LinkKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_file_bytes: u64,
    pub(crate) min_bytes_per_second: u32,
    pub(crate) quota_bytes: Option<u64>,
}

impl Service {
    /// Makes the directory and the secret for links when they are missing, tries whether files can be written, and
    /// starts to sweep what nobody needs any more. The database has its tables already.
    pub async fn open(
        database: Database,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Result<Self, OpenError> {
        let blobs = blobs::open(settings, tasks.clone()).await?;
        let store = Store::new(database);
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        let secret = store.link_secret(secret, clock.now()).await?;
        let sweep = Sweep {
            blobs: Arc::clone(&blobs),
            store: store.clone(),
            clock: clock.clone(),
        };
        sweep.start(&tasks);
        Ok(Self {
            store,
            blobs,
            links: LinkKey::new(&secret),
            clock,
            max_file_bytes: settings.max_file_bytes(),
            min_bytes_per_second: settings.min_upload_bytes_per_second,
            quota_bytes: settings.quota_bytes(),
        })
    }

    /// A file that a user owns or may read.
    pub(crate) async fn readable(&self, user_id: &str, id: Uuid) -> Result<Attachment, Error> {
        let user_id = parse(user_id).ok_or(Error::NotFound)?;
        let found = self.store.readable_by(user_id, id).await?;
        found.ok_or(Error::NotFound)
    }

    async fn get(&self, request: &wire::GetAttachmentRequest) -> Result<Attachment, Error> {
        match &request.by {
            Some(By::Id(id)) => {
                let id = parse(id).ok_or(Error::NotFound)?;
                self.readable(&request.user_id, id).await
            }
            Some(By::Name(name)) => {
                let id = FileName::parse(name).ok_or(Error::NotFound)?.id;
                let found = self.readable(&request.user_id, id).await?;
                found.named(name)
            }
            None => Err(Error::NotFound),
        }
    }

    async fn list(&self, request: &wire::ListAttachmentsRequest) -> Result<Vec<Attachment>, Error> {
        let (Some(user_id), Some(thread_id)) = (parse(&request.user_id), parse(&request.thread_id))
        else {
            return Ok(Vec::new());
        };
        let files = self.store.of(user_id);
        let after = match request.after.as_str() {
            "" => None,
            after => {
                let after = parse(after).ok_or(Error::NotFound)?;
                Some(files.get(after).await?.ok_or(Error::NotFound)?)
            }
        };
        let limit = Some(request.limit).filter(|limit| *limit > 0);
        Ok(files.list(thread_id, after.as_ref(), limit).await?)
    }

    async fn keep(&self, request: &wire::KeepAttachmentRequest) -> Result<Attachment, Error> {
        let (Some(user_id), Some(id)) = (parse(&request.user_id), parse(&request.id)) else {
            return Err(Error::NotFound);
        };
        if !request.reader_id.is_empty() {
            let reader_id = parse(&request.reader_id).ok_or(Error::NotFound)?;
            if !self.store.is_reader(reader_id, id).await? {
                return Err(Error::NotFound);
            }
        }
        let kept = self.store.of(user_id).keep(id).await?;
        kept.ok_or(Error::NotFound)
    }

    async fn link(&self, request: &wire::SignRequest) -> Result<wire::SignedQuery, Error> {
        let expires = expiry(self.clock.now().timestamp(), request.lifetime_seconds)?;
        let id = parse(&request.id).ok_or(Error::NotFound)?;
        let name = self.readable(&request.user_id, id).await?.name;
        let query = self.links.query(&name, expires);
        Ok(wire::SignedQuery { name, query })
    }

    async fn delete(&self, request: &wire::DeleteAttachmentRequest) -> Result<u32, Error> {
        let (Some(user_id), Some(id)) = (parse(&request.user_id), parse(&request.id)) else {
            return Err(Error::NotFound);
        };
        if !self.store.of(user_id).delete(id).await? {
            return Err(Error::NotFound);
        }
        self.blobs.remove(vec![id]).await;
        Ok(1)
    }

    async fn delete_thread(
        &self,
        request: &wire::DeleteThreadAttachmentsRequest,
    ) -> Result<u32, Error> {
        let thread_id = parse(&request.thread_id).filter(|id| !id.is_nil());
        let (Some(user_id), Some(thread_id)) = (parse(&request.user_id), thread_id) else {
            return Ok(0);
        };
        let mut deleted = 0;
        loop {
            let ids = self.store.of(user_id).delete_some(thread_id).await?;
            if ids.is_empty() {
                return Ok(deleted);
            }
            deleted += u32::try_from(ids.len()).unwrap_or(u32::MAX);
            self.blobs.remove(ids).await;
        }
    }
}

#[tonic::async_trait]
impl Attachments for Service {
    type DownloadStream = Download;

    async fn upload(
        &self,
        request: Request<Streaming<wire::UploadRequest>>,
    ) -> Result<Response<wire::Attachment>, Status> {
        let attachment = self.receive(request.into_inner()).await?;
        Ok(Response::new(to_wire(attachment)))
    }

    async fn get_attachment(
        &self,
        request: Request<wire::GetAttachmentRequest>,
    ) -> Result<Response<wire::Attachment>, Status> {
        let request = request.into_inner();
        let attachment = self.get(&request).await?;
        Ok(Response::new(to_wire(attachment)))
    }

    async fn keep_attachment(
        &self,
        request: Request<wire::KeepAttachmentRequest>,
    ) -> Result<Response<wire::Attachment>, Status> {
        let attachment = self.keep(&request.into_inner()).await?;
        Ok(Response::new(to_wire(attachment)))
    }

    async fn list_attachments(
        &self,
        request: Request<wire::ListAttachmentsRequest>,
    ) -> Result<Response<wire::ListAttachmentsResponse>, Status> {
        let request = request.into_inner();
        let attachments = self.list(&request).await?;
        Ok(Response::new(wire::ListAttachmentsResponse {
            attachments: attachments.into_iter().map(to_wire).collect(),
        }))
    }

    async fn download(
        &self,
        request: Request<wire::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        Ok(Response::new(self.read(&request.into_inner()).await?))
    }

    async fn sign(
        &self,
        request: Request<wire::SignRequest>,
    ) -> Result<Response<wire::SignedQuery>, Status> {
        Ok(Response::new(self.link(&request.into_inner()).await?))
    }

    async fn delete_attachment(
        &self,
        request: Request<wire::DeleteAttachmentRequest>,
    ) -> Result<Response<wire::DeleteAttachmentsResponse>, Status> {
        let deleted = self.delete(&request.into_inner()).await?;
        Ok(Response::new(wire::DeleteAttachmentsResponse { deleted }))
    }

    async fn delete_thread_attachments(
        &self,
        request: Request<wire::DeleteThreadAttachmentsRequest>,
    ) -> Result<Response<wire::DeleteAttachmentsResponse>, Status> {
        let deleted = self.delete_thread(&request.into_inner()).await?;
        Ok(Response::new(wire::DeleteAttachmentsResponse { deleted }))
    }
}

/// An id of a request; a malformed one names nothing.
pub(crate) fn parse(id: &str) -> Option<Uuid> {
    Uuid::try_parse(id).ok()
}

pub(crate) fn to_wire(attachment: Attachment) -> wire::Attachment {
    wire::Attachment {
        id: attachment.id.to_string(),
        owner_id: attachment.owner_id.to_string(),
        thread_id: match attachment.thread_id {
            id if id.is_nil() => String::new(),
            id => id.to_string(),
        },
        inline: is_inline(&attachment.content_type),
        name: attachment.name,
        original_name: attachment.original_name,
        content_type: attachment.content_type,
        size: attachment.size,
        sha256: attachment.sha256,
        created_at: Some(time::to_wire(attachment.created_at)),
    }
}
