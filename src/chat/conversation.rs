//! What a client asks for, and what is done about it.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::connection::Connection;
use super::news::{Gone, News};
use super::pace::Pace;
use super::server::Serving;
use crate::wire::chat::lines::{LineBuffer, TooLong};
use crate::wire::chat::{Answer, Refusal, Request};

/// What has been said between the server and one client so far.
pub(super) struct Conversation<'a> {
    server: &'a Serving,
    client: &'a Arc<Connection>,
    /// Once it has joined.
    name: Option<String>,
    join_by: Instant,
    pace: Option<Pace>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(server: &'a Serving, client: &'a Arc<Connection>) -> Conversation<'a> {
        let now = Instant::now();
        let pace = server.options.messages_per_second.map(|rate| Pace::new(rate, now));
        Conversation { server, client, name: None, join_by: now + server.options.join_within, pace }
    }

    /// Until when the client has to join; `None` once it has.
    pub(super) fn join_by(&self) -> Option<Instant> {
        self.name.is_none().then_some(self.join_by)
    }

    /// Does what a line says; `Break` when it was the last.
    pub(super) fn take(&mut self, line: Result<&[u8], TooLong>) -> ControlFlow<Gone> {
        self.server.counters.lines_read.add(1);
        let request = line.map_err(|TooLong| Refusal::LineTooLong).and_then(Request::decode);
        match request.and_then(|request| self.carry_out(request)) {
            Ok(flow) => flow,
            Err(refusal) => {
                self.server.counters.lines_refused.add(1);
                self.client.send(refusal.answer());
                ControlFlow::Continue(())
            }
        }
    }

    /// Why the stream ends, when that is `why`. Where its client has closed it, whole, a last line may lack its end.
    pub(super) fn take_last(&mut self, why: Gone, line: Option<Result<&[u8], TooLong>>) -> Gone {
        match line {
            Some(line) if why == Gone::Closed && !self.server.is_stopping() && self.client.outbox.is_open() => {
                self.take(line).break_value().unwrap_or(why)
            }
            _ => why,
        }
    }

    fn carry_out(&mut self, request: Request) -> Result<ControlFlow<Gone>, Refusal> {
        let (room, client) = (&self.server.room, self.client);
        match (request, &mut self.name) {
            (Request::Leave, _) => return Ok(ControlFlow::Break(Gone::Leave)),
            (Request::Ping { token }, _) => client.send(Answer::Pong { token }),
            (Request::Join { name }, own @ None) => {
                room.join(name, client)?;
                *own = Some(name.to_owned());
                // From now on it may be silent for as long as it likes: probes tell whether it is still there.
                let _ = client.stream.set_read_timeout(None);
            }
            (Request::Join { .. }, Some(_)) => return Err(Refusal::AlreadyJoined),
            (_, None) => return Err(Refusal::JoinFirst),
            (Request::List, Some(_)) => client.outbox.send(&room.list()),
            (Request::Say { text }, Some(own)) => {
                room.say(own, client, text);
                self.keep_pace(text);
            }
            (Request::Tell { name, text }, Some(own)) => {
                room.tell(own, client, name, text)?;
                self.keep_pace(text);
            }
            (Request::Rename { name }, Some(own)) => {
                room.rename(own, name, client)?;
                name.clone_into(own);
                self.keep_pace(name);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads no further while the client has said more than it may: its own sending waits in the end, and nothing is lost.
    fn keep_pace(&mut self, said: &str) {
        if let Some(pace) = &mut self.pace {
            self.server.pause(pace.take(said.len(), Instant::now()));
        }
    }

    /// Tells the others, and the client where it still listens.
    pub(super) fn end(self, why: Gone) {
        let (server, stopping) = (self.server, self.server.is_stopping());
        let slow = self.client.outbox.is_too_slow();
        let gone = if slow && why != Gone::Leave { Gone::Slow } else { why };
        match &self.name {
            Some(name) => server.room.leave(name, self.client, (!stopping).then_some(gone)),
            None if stopping => {}
            None => server.room.report(|| News::NeverJoined { peer: self.client.peer, why: gone }),
        }
        let last = match why {
            Gone::Leave => Some(Answer::Ok { request: "LEAVE", name: "" }),
            _ if slow => Some(Answer::Dropped { reason: "slow", text: "you read too slowly: your queue was full" }),
            Gone::TooLate => Some(Refusal::TooLate.answer()),
            _ if stopping => Some(Answer::Dropped { reason: "shutdown", text: "the server is closing" }),
            Gone::Closed | Gone::Lost | Gone::Slow => None,
        };
        match why {
            Gone::TooLate => server.counters.clients_too_late.add(1),
            Gone::Lost if self.name.is_some() && !slow && !stopping => server.counters.clients_lost.add(1),
            _ => {}
        }
        self.client.finish(last, server.options.grace);
    }
}

/// Waits for more bytes; why there are none when there will be none.
pub(super) fn read_more(mut stream: &TcpStream, lines: &mut LineBuffer, join_by: Option<Instant>) -> Result<(), Gone> {
    if let Some(join_by) = join_by {
        let left = join_by.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Gone::TooLate);
        }
        stream.set_read_timeout(Some(left)).map_err(|_| Gone::Lost)?;
    }
    loop {
        match stream.read(lines.space()) {
            Ok(0) => return Err(Gone::Closed),
            Ok(count) => {
                lines.filled(count);
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Gone::TooLate),
            Err(_) => return Err(Gone::Lost),
        }
    }
}
