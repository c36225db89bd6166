//! HTTP over the daemon's Unix socket: one connection, one request after the other.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tapway_api::endpoint::Method;
use tapway_api::{ApiError, ErrorCode};
use tokio::net::UnixStream;

use crate::failure::Failure;

/// How long an answer may take: longer than the daemon's own deadline.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long something may take that waits for a disk.
const LONG: Duration = Duration::from_secs(700);

/// A connection to the daemon, made when it is first needed: wrong files are told first.
/// Must be used on a tokio runtime, which carries the connection.
pub(crate) struct Client {
    socket: PathBuf,
    sender: Option<SendRequest<Full<Bytes>>>,
    deadline: Duration,
}

impl Client {
    /// A client that is not connected yet.
    pub(crate) fn new(socket: PathBuf) -> Client {
        Client {
            socket,
            sender: None,
            deadline: DEADLINE,
        }
    }

    /// What is asked next may take long.
    pub(crate) const fn wait_long(&mut self) {
        self.deadline = LONG;
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let unreachable = |error| Failure::Unreachable {
            socket: self.socket.clone(),
            error,
        };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(unreachable)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(std::io::Error::other(error)))?;
        // Its errors come out of the requests as well.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, Failure> {
        let deadline = self.deadline;
        let exchange = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            let bytes = self.collect(response).await?;
            if status.is_success() {
                return Ok(bytes);
            }
            Err(refused(
                &format!("{method} {path}"),
                status.as_u16(),
                &bytes,
            ))
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Lost {
                socket: self.socket.clone(),
                what: format!("does not answer within {} s", deadline.as_secs()),
            }),
        }
    }

    /// Sends a request whose answer has no end.
    pub(crate) async fn stream(&mut self, path: &str) -> Result<Lines, Failure> {
        let response = self.send(Method::Get, path, Vec::new()).await?;
        let status = response.status();
        if !status.is_success() {
            let bytes = self.collect(response).await?;
            return Err(refused(path, status.as_u16(), &bytes));
        }
        Ok(Lines {
            socket: self.socket.clone(),
            body: response.into_body(),
            rest: Vec::new(),
        })
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Failure> {
        let request = Request::builder()
            .method(method.to_string().as_str())
            .uri(path)
            .header("host", "tapway")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::Answer {
                request: format!("{method} {path}"),
                error: error.to_string(),
            })?;
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let lost = |error: hyper::Error| Failure::Lost {
            socket: self.socket.clone(),
            what: format!("went away before it answered ({error})"),
        };
        sender.ready().await.map_err(lost)?;
        let response = sender.send_request(request).await.map_err(lost)?;
        self.sender = Some(sender);
        Ok(response)
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<Bytes, Failure> {
        match response.into_body().collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(Failure::Lost {
                socket: self.socket.clone(),
                what: format!("went away while it answered ({error})"),
            }),
        }
    }
}

/// A body without end, line by line.
pub(crate) struct Lines {
    socket: PathBuf,
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that have come, at least one, each with its newline.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            let frame = self.body.frame().await;
            let Some(Ok(frame)) = frame else {
                return Err(Failure::Lost {
                    socket: self.socket.clone(),
                    what: "has ended".to_owned(),
                });
            };
            if let Ok(data) = frame.into_data() {
                self.rest.extend_from_slice(&data);
            }
            if let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') {
                let rest = self.rest.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.rest, rest));
            }
        }
    }
}

fn refused(request: &str, status: u16, body: &[u8]) -> Failure {
    match serde_json::from_slice::<ApiError>(body) {
        Ok(error) if error.error.code == ErrorCode::NoSuchRoute => Failure::Answer {
            request: request.to_owned(),
            error: error.error.message,
        },
        Ok(error) => Failure::Refused(Box::new(error)),
        Err(_) => Failure::Answer {
            request: request.to_owned(),
            error: format!("status {status}: {}", String::from_utf8_lossy(body)),
        },
    }
}
