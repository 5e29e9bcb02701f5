//! Calls of one user, with what a test does not care about filled in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use confab_rpc::threads::{
    CompareTailsRequest, CompareTailsResponse, Conversation, CreateGroupRequest, Entry,
    FindDirectRequest, GetConversationRequest, GetEntryRequest, JoinGroupRequest,
    JoinGroupResponse, ListConversationsRequest, ListHistoryRequest, MarkReadRequest,
    ReadLogRequest, ReadMark,
};

use super::town::Town;
use crate::world::{Outcome, outcome};

impl Town {
    pub(crate) async fn group(&self, owner: &str) -> Conversation {
        let request = CreateGroupRequest {
            user_id: owner.into(),
        };
        outcome(self.people().create_group(request).await).unwrap()
    }

    /// A new group that these users have joined; the first one owns it.
    pub(crate) async fn group_of(&self, users: &[&str]) -> i64 {
        let group = self.group(users[0]).await.number;
        for user in users {
            self.join(user, group, 0).await.unwrap();
        }
        group
    }

    pub(crate) async fn join(
        &self,
        user: &str,
        thread: i64,
        read: i64,
    ) -> Outcome<JoinGroupResponse> {
        let request = JoinGroupRequest {
            user_id: user.into(),
            thread,
            read_message_id: read,
        };
        outcome(self.people().join_group(request).await)
    }

    pub(crate) async fn get(&self, user: &str, thread: i64) -> Outcome<Conversation> {
        let request = GetConversationRequest {
            user_id: user.into(),
            thread,
        };
        outcome(self.people().get_conversation(request).await)
    }

    pub(crate) async fn direct(&self, user: &str, other: &str) -> Outcome<Conversation> {
        let request = FindDirectRequest {
            user_id: user.into(),
            other_id: other.into(),
        };
        outcome(self.people().find_direct(request).await)
    }

    pub(crate) async fn conversations(&self, user: &str) -> Vec<Conversation> {
        let request = ListConversationsRequest {
            user_id: user.into(),
            ..Default::default()
        };
        let reply = outcome(self.people().list_conversations(request).await);
        reply.unwrap().conversations
    }

    pub(crate) async fn history(&self, request: ListHistoryRequest) -> Outcome<(Vec<Entry>, bool)> {
        let reply = outcome(self.people().list_history(request).await)?;
        Ok((reply.entries, reply.more))
    }

    pub(crate) async fn entry(&self, user: &str, id: i64) -> Outcome<Entry> {
        let request = GetEntryRequest {
            user_id: user.into(),
            message_id: id,
        };
        outcome(self.people().get_entry(request).await)
    }

    pub(crate) async fn mark(&self, user: &str, thread: i64, message: i64) -> Outcome<ReadMark> {
        let request = MarkReadRequest {
            user_id: user.into(),
            thread,
            message_id: message,
        };
        outcome(self.people().mark_read(request).await)
    }

    /// A thread's whole log.
    pub(crate) async fn log(&self, thread: i64) -> Vec<Entry> {
        let mut log: Vec<Entry> = Vec::new();
        loop {
            let request = ReadLogRequest {
                thread,
                after_seq: log.last().map_or(0, |entry| entry.seq),
            };
            let reply = outcome(self.people().read_log(request).await).unwrap();
            log.extend(reply.entries);
            if !reply.more {
                return log;
            }
        }
    }

    pub(crate) async fn compare(&self, request: CompareTailsRequest) -> CompareTailsResponse {
        outcome(self.people().compare_tails(request).await).unwrap()
    }
}

/// All of a thread's history, the newest page of it.
pub(crate) fn all(user: &str, thread: i64) -> ListHistoryRequest {
    ListHistoryRequest {
        user_id: user.into(),
        thread,
        ..Default::default()
    }
}

pub(crate) fn seqs(entries: &[Entry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.seq).collect()
}
