//! The bounded queue between the server's thread and the main loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use tapway_api::{ApiError, ErrorCode};
use tokio::sync::oneshot;

use super::request::{ApiReply, ApiRequest};

/// Makes a queue that holds at most `capacity` requests. `wake` is called on the server's thread
/// after each request that went in; it should make the main loop look into its [`Inbox`].
pub fn queue(capacity: usize, wake: impl Fn() + Send + Sync + 'static) -> (Gate, Inbox) {
    let (sender, receiver) = sync_channel(capacity);
    let gate = Gate {
        calls: sender,
        wake: Arc::new(wake),
        deadline: Gate::DEADLINE,
    };
    (gate, Inbox { calls: receiver })
}

/// A request and the way back.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: ApiRequest,
    /// Where the answer goes.
    pub responder: Responder,
}

/// The way back to whoever asked. It can be kept and used later, from any thread. Dropped
/// unanswered, the client is told of an internal error.
#[derive(Debug)]
pub struct Responder(oneshot::Sender<Result<ApiReply, ApiError>>);

impl Responder {
    /// Answers. Nobody hears it when the client is gone or its deadline has passed.
    pub fn send(self, answer: Result<ApiReply, ApiError>) {
        let _ = self.0.send(answer);
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

/// The main loop's end of the queue.
#[derive(Debug)]
pub struct Inbox {
    calls: Receiver<Call>,
}

impl Inbox {
    /// The next request that somebody still waits for.
    pub fn next_call(&self) -> Option<Call> {
        loop {
            match self.calls.try_recv() {
                Ok(call) if call.responder.is_abandoned() => {}
                Ok(call) => return Some(call),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
    }
}

/// The server's end of the queue.
#[derive(Clone)]
pub struct Gate {
    calls: SyncSender<Call>,
    wake: Arc<dyn Fn() + Send + Sync>,
    deadline: Duration,
}

impl Gate {
    /// How long the main loop may take to answer.
    pub const DEADLINE: Duration = Duration::from_secs(5);

    /// The same gate with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Gate {
        self.deadline = deadline;
        self
    }

    /// Hands a request to the main loop and waits for the answer.
    pub(super) async fn ask(&self, request: ApiRequest) -> Result<ApiReply, ApiError> {
        let (sender, receiver) = oneshot::channel();
        let call = Call {
            request,
            responder: Responder(sender),
        };
        match self.calls.try_send(call) {
            Ok(()) => (self.wake)(),
            Err(TrySendError::Full(_)) => {
                return Err(ApiError::new(
                    ErrorCode::Overloaded,
                    "too many requests wait for an answer already",
                )
                .with_remedy("try again in a second, with fewer requests at once"));
            }
            Err(TrySendError::Disconnected(_)) => return Err(stopping()),
        }
        match tokio::time::timeout(self.deadline, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ApiError::new(
                ErrorCode::Internal,
                "the daemon dropped the request without an answer",
            )),
            Err(_) => Err(ApiError::new(
                ErrorCode::Deadline,
                format!(
                    "no answer within {} s; a change may still take effect",
                    self.deadline.as_secs_f32()
                ),
            )
            .with_remedy("look at the result before you try again; is the disk slow?")),
        }
    }
}

pub(super) fn stopping() -> ApiError {
    ApiError::new(ErrorCode::Stopping, "the daemon is stopping")
}
