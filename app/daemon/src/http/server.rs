//! The server's thread: listeners, connections, the end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::events::EventSink;
use super::queue::Gate;
use super::routes::{Access, Shared, router};
use super::socket::{BoundSocket, SocketError};

/// The most connections on each listener; more wait in the kernel's backlog.
const MAX_CONNECTIONS: u32 = 128;
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(60);
/// How long answers that are under way may take when the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Where to listen.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The Unix socket, for reading and writing.
    pub socket: PathBuf,
    /// A TCP address, for reading only.
    pub http: Option<SocketAddr>,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The Unix socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The TCP listener.
    #[error(
        "[api] http = \"{addr}\": cannot listen: {error}; choose another address, or remove the key"
    )]
    Tcp {
        /// The address.
        addr: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The thread or its runtime.
    #[error("cannot start the API's thread: {0}")]
    Thread(io::Error),
}

/// The running server. Dropped, it ends as by [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    /// The address of the TCP listener, with the port that the kernel chose for port 0.
    pub http: Option<SocketAddr>,
}

impl Server {
    /// Opens the listeners, then starts the thread: after this returns, clients can connect.
    ///
    /// # Errors
    /// When a listener cannot be opened, above all because another daemon has it.
    pub fn start(config: &HttpConfig, gate: Gate, events: EventSink) -> Result<Server, StartError> {
        let (socket, unix) = BoundSocket::bind(&config.socket)?;
        let tcp = config.http.map(listen).transpose()?;
        let http = tcp.as_ref().and_then(|l| l.local_addr().ok());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            gate,
            events,
            stop: stopped,
        });
        let thread = std::thread::Builder::new()
            .name("api".to_owned())
            .spawn(move || {
                let result = runtime.block_on(serve(unix, tcp, shared));
                drop(socket);
                if let Err(error) = result {
                    tracing::error!(%error, "the API has ended");
                }
            })
            .map_err(StartError::Thread)?;
        Ok(Server {
            stop,
            thread: Some(thread),
            http,
        })
    }

    /// Takes no more requests, lets answers that are under way be sent (1 s), ends the watchers,
    /// removes the socket.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |error| StartError::Tcp { addr, error };
    let listener = TcpListener::bind(addr).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

async fn serve(
    unix: UnixListener,
    tcp: Option<TcpListener>,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let unix = tokio::net::UnixListener::from_std(unix)?;
    let tcp = tcp.map(tokio::net::TcpListener::from_std).transpose()?;
    let full = Listener::new(shared.clone(), Access::Full);
    let anybody = Listener::new(shared, Access::ReadOnly);
    tokio::join!(
        full.run(async || unix.accept().await.map(|(stream, _)| stream)),
        async {
            if let Some(tcp) = &tcp {
                anybody
                    .run(async || tcp.accept().await.map(|(stream, _)| stream))
                    .await;
            }
        }
    );
    drop((unix, tcp));
    let all_done = async { tokio::join!(full.all_done(), anybody.all_done()) };
    let _ = tokio::time::timeout(LAST_ANSWERS, all_done).await;
    Ok(())
}

/// Returns when the server is told to end.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the `Server` is gone, which is the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// One listener's connections.
struct Listener {
    router: Router,
    permits: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Listener {
    fn new(shared: Arc<Shared>, access: Access) -> Listener {
        Listener {
            stop: shared.stop.clone(),
            router: router(shared, access),
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS as usize)),
        }
    }

    /// Serves every connection that `accept` gives, until the server is told to end.
    async fn run<S>(&self, accept: impl AsyncFn() -> io::Result<S>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut stop = self.stop.clone();
        let next = async || {
            let permit = self.permits.clone().acquire_owned().await;
            (accept().await, permit.ok())
        };
        loop {
            tokio::select! {
                (accepted, permit) = next() => match accepted {
                    Ok(stream) => self.serve(stream, permit),
                    Err(error) => {
                        // Out of file descriptors, most likely: wait a little instead of spinning.
                        tracing::warn!(%error, "cannot accept an API connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Returns when no connection is left: every one holds a permit.
    async fn all_done(&self) {
        let _ = self.permits.acquire_many(MAX_CONNECTIONS).await;
    }

    fn serve<S>(&self, stream: S, permit: Option<OwnedSemaphorePermit>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut stop = self.stop.clone();
        let service = TowerToHyperService::new(self.router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "an API connection broke off");
            }
            drop(permit);
        });
    }
}
