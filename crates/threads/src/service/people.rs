//! The contract of threads between people, one short function per call.

use chrono::TimeDelta;
use confab_rpc::threads::people_server;
use confab_rpc::threads::{
    CompareTailsRequest, CompareTailsResponse, Conversation, CreateGroupRequest, Entry,
    FindDirectRequest, GetConversationRequest, GetEntryRequest, JoinGroupRequest,
    JoinGroupResponse, ListConversationsRequest, ListConversationsResponse, ListHistoryRequest,
    ListHistoryResponse, ListMembersRequest, ListMembersResponse, ListPositionsRequest,
    ListPositionsResponse, MarkReadRequest, Positions, ReadLogRequest, ReadLogResponse, ReadMark,
    ReadRecentRequest, ReadRecentResponse, SendBatch,
};
use confab_rpc::time;
use tonic::{Request, Response, Status, Streaming};

use super::Service;
use super::sends::{self, SentBatches};
use crate::error::Error;
use crate::store::people::{Conversations, log, tails};
use crate::{decode, encode};

/// Who joins is stamped before the commit, by the clock of any replica: each comparison looks back so far again.
const OVERLAP: TimeDelta = TimeDelta::seconds(30);

#[tonic::async_trait]
impl people_server::People for Service {
    type SendStream = SentBatches;

    async fn send(
        &self,
        request: Request<Streaming<SendBatch>>,
    ) -> Result<Response<SentBatches>, Status> {
        Ok(Response::new(sends::answer(self, request.into_inner())))
    }

    async fn create_group(
        &self,
        request: Request<CreateGroupRequest>,
    ) -> Result<Response<Conversation>, Status> {
        let user = decode::user(&request.into_inner().user_id)?;
        let group = Conversations::of(&self.database, user)
            .create_group(self.clock.now())
            .await?;
        Ok(Response::new(group.into()))
    }

    async fn join_group(
        &self,
        request: Request<JoinGroupRequest>,
    ) -> Result<Response<JoinGroupResponse>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let read = decode::people::optional(request.read_message_id);
        let conversations = Conversations::of(&self.database, user);
        let join = conversations
            .join(request.thread, read, self.clock.now())
            .await?;
        let joined = Entry::from(join.joined);
        if !join.already {
            self.outlet.committed(std::slice::from_ref(&joined));
        } else if let Some(message) = read {
            self.mark(conversations, request.thread, message).await?;
        }
        Ok(Response::new(JoinGroupResponse {
            joined: Some(joined),
            already: join.already,
            newest_message_id: join.newest_message_id,
        }))
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<Conversation>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let conversation = Conversations::of(&self.database, user)
            .get(request.thread)
            .await?;
        Ok(Response::new(conversation.into()))
    }

    async fn find_direct(
        &self,
        request: Request<FindDirectRequest>,
    ) -> Result<Response<Conversation>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let pair = decode::people::sought(user, &request.other_id)?;
        let conversation = Conversations::of(&self.database, user).direct(pair).await?;
        Ok(Response::new(conversation.into()))
    }

    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        let request = request.into_inner();
        let user = decode::user(&request.user_id)?;
        let (kinds, limit) = decode::people::listed(&request.kinds, request.limit)?;
        let conversations = Conversations::of(&self.database, user)
            .list(&kinds, limit)
            .await?;
        Ok(Response::new(ListConversationsResponse {
            conversations: encode::people::fitting(conversations),
        }))
    }

    async fn list_history(
        &self,
        request: Request<ListHistoryRequest>,
    ) -> Result<Response<ListHistoryResponse>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let window = decode::people::window(&request)?;
        let (entries, more) = Conversations::of(&self.database, user)
            .history(decode::people::whose(user, &request)?, &window)
            .await?;
        Ok(Response::new(ListHistoryResponse {
            entries: entries.into_iter().map(Into::into).collect(),
            more,
        }))
    }

    async fn get_entry(
        &self,
        request: Request<GetEntryRequest>,
    ) -> Result<Response<Entry>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id).map_err(|_| Error::MessageNotFound)?;
        let entry = Conversations::of(&self.database, user)
            .entry(request.message_id)
            .await?;
        Ok(Response::new(entry.into()))
    }

    async fn mark_read(
        &self,
        request: Request<MarkReadRequest>,
    ) -> Result<Response<ReadMark>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let conversations = Conversations::of(&self.database, user);
        self.mark(conversations, request.thread, request.message_id)
            .await?;
        let conversation = conversations.get(request.thread).await?;
        Ok(Response::new(ReadMark {
            read_seq: conversation.read_seq,
            unread: conversation.unread,
        }))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let thread = request.into_inner().thread;
        let (members, membership_version) = tails::members(&self.database, thread)
            .await
            .map_err(Error::from)?
            .ok_or(Error::ThreadNotFound)?;
        Ok(Response::new(ListMembersResponse {
            members: members.into_iter().map(encode::people::text).collect(),
            membership_version,
        }))
    }

    async fn list_positions(
        &self,
        request: Request<ListPositionsRequest>,
    ) -> Result<Response<ListPositionsResponse>, Status> {
        let users = decode::people::users(&request.into_inner().user_ids)?;
        let found = tails::positions(&self.database, &users)
            .await
            .map_err(Error::from)?;
        let of_each = users.iter().map(|user| Positions {
            positions: found
                .get(user)
                .into_iter()
                .flatten()
                .copied()
                .map(encode::people::position)
                .collect(),
        });
        Ok(Response::new(ListPositionsResponse {
            users: of_each.collect(),
        }))
    }

    async fn compare_tails(
        &self,
        request: Request<CompareTailsRequest>,
    ) -> Result<Response<CompareTailsResponse>, Status> {
        let request = request.into_inner();
        let (known, users) = decode::people::comparison(&request)?;
        let since = decode::people::point(request.since)?;
        let now = self.clock.now() - OVERLAP;
        let moved = tails::moved(&self.database, &known)
            .await
            .map_err(Error::from)?;
        let arrivals = match since {
            Some(since) => tails::arrivals(&self.database, &users, since)
                .await
                .map_err(Error::from)?,
            None => Vec::new(),
        };
        Ok(Response::new(CompareTailsResponse {
            moved: moved.into_iter().map(encode::people::position).collect(),
            arrivals: arrivals.into_iter().map(encode::people::arrival).collect(),
            now: Some(time::to_wire(now)),
        }))
    }

    async fn read_log(
        &self,
        request: Request<ReadLogRequest>,
    ) -> Result<Response<ReadLogResponse>, Status> {
        let request = request.into_inner();
        let (entries, more) = log::after(&self.database, request.thread, request.after_seq)
            .await
            .map_err(Error::from)?;
        Ok(Response::new(ReadLogResponse {
            entries: entries.into_iter().map(Into::into).collect(),
            more,
        }))
    }

    async fn read_recent(
        &self,
        request: Request<ReadRecentRequest>,
    ) -> Result<Response<ReadRecentResponse>, Status> {
        let (entries, last_id) = log::recent(&self.database, request.into_inner().after_id)
            .await
            .map_err(Error::from)?;
        Ok(Response::new(ReadRecentResponse {
            entries: entries.into_iter().map(Into::into).collect(),
            last_id,
        }))
    }
}

impl Service {
    async fn mark(
        &self,
        conversations: Conversations<'_>,
        thread: i64,
        message: i64,
    ) -> Result<(), Error> {
        let moved = conversations
            .mark_read(thread, message, self.clock.now())
            .await?;
        if let Some(entry) = moved {
            self.outlet.committed(&[entry.into()]);
        }
        Ok(())
    }
}
