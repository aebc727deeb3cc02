//! Who may connect and what they may do, as the broker's crate asks it.
//!
//! The crate's own password provider hashes each password by argon2 on the way in: 28 ms of CPU time for every CONNECT,
//! wrong ones too. Here the broker has one user, whose password it holds in memory for as long as it runs; comparing it
//! costs nothing worth an attacker's while.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::{DynamicStorage, StorageBackend};
use mqtt5_protocol::packet::connect::ConnectPacket;
use mqtt5_protocol::protocol::v5::reason_codes::ReasonCode;

use super::news::Refused;
use super::secret::Login;
use super::table::SharedTable;

/// After so many messages from publishers, the task that took the last of them lets the others run: else one
/// publisher's backlog is read at a stretch, and overflows the subscribers' queues before they have been served once.
const MESSAGES_A_TURN: u64 = 16;

/// The answers.
pub(super) struct Access {
    pub login: Option<Login>,
    pub table: Arc<SharedTable>,
    pub router: Arc<MessageRouter>,
    pub storage: Arc<DynamicStorage>,
    pub max_sessions: usize,
    refused: AtomicU64,
    messages: AtomicU64,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Access {
    pub(super) fn new(
        login: Option<Login>,
        max_sessions: usize,
        table: Arc<SharedTable>,
        router: Arc<MessageRouter>,
        storage: Arc<DynamicStorage>,
    ) -> Access {
        Access { login, table, router, storage, max_sessions, refused: AtomicU64::new(0), messages: AtomicU64::new(0) }
    }

    /// CONNECTs refused for a wrong user or password.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether a session for this client can be kept: sessions outlive connections, so they have a limit of their own.
    async fn has_room_for(&self, client_id: &str) -> bool {
        match self.storage.session_client_ids().await {
            Ok(ids) => ids.len() < self.max_sessions || ids.iter().any(|id| id == client_id),
            Err(_) => false,
        }
    }

    async fn answer(&self, connect: &ConnectPacket, peer: SocketAddr) -> AuthResult {
        if let Some(login) = &self.login
            && !login.admits(connect.username.as_deref(), connect.password.as_deref())
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.table.lock().turned_away(peer, &connect.client_id, Refused::Login);
            return AuthResult::fail(ReasonCode::BadUsernameOrPassword);
        }
        if !self.has_room_for(&connect.client_id).await {
            self.table.lock().turned_away(peer, &connect.client_id, Refused::Sessions);
            return AuthResult::fail(ReasonCode::QuotaExceeded);
        }
        let known = self.router.is_connected(&connect.client_id).await;
        if !self.table.lock().admit(peer, &connect.client_id, known) {
            return AuthResult::fail(ReasonCode::ServerBusy);
        }
        match &self.login {
            Some(login) => AuthResult::success_with_user(&login.user),
            None => AuthResult::success(),
        }
    }
}

impl AuthProvider for Access {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        client_addr: SocketAddr,
    ) -> Answer<'a, mqtt5::error::Result<AuthResult>> {
        Box::pin(async move { Ok(self.answer(connect, client_addr).await) })
    }

    /// Everything but the broker's own topics.
    fn authorize_publish<'a>(&'a self, _: &str, _: Option<&'a str>, topic: &'a str) -> Answer<'a, bool> {
        let turn_over = self.messages.fetch_add(1, Ordering::Relaxed) % MESSAGES_A_TURN == MESSAGES_A_TURN - 1;
        Box::pin(async move {
            if turn_over {
                tokio::task::yield_now().await;
            }
            !topic.starts_with('$')
        })
    }

    fn authorize_subscribe<'a>(&'a self, _: &str, _: Option<&'a str>, _: &'a str) -> Answer<'a, bool> {
        Box::pin(std::future::ready(true))
    }
}
