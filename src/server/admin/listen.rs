//! Connections to the admin port: few at once, each for one request and a limited time.
//!
//! A client that sends its request a byte a minute would otherwise hold memory for as long as it
//! likes. Knows connections and deadlines. What is asked and answered is told in `routes`.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};

use super::LAST_ANSWERS;
use super::routes::{self, Shared};

/// Connections at once; the next ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;

/// From the connection to the last byte of the answer: a scrape takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// After an error of the listener itself (no more file descriptors) it is left alone for so long.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// Answers until `stop` says so.
pub(super) async fn serve(
    listener: StdListener,
    shared: Shared,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let doors = Doors {
        listener: TcpListener::from_std(listener)?,
        places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    };
    let service = routes::router(shared).into_make_service_with_connect_info::<Peer>();
    let mut ending = stop.clone();
    let serving = axum::serve(doors, service)
        .with_graceful_shutdown(async move {
            // An error means that the handle is gone, which ends us just as well.
            let _ = ending.wait_for(|stop| *stop).await;
        })
        .into_future();
    tokio::select! {
        ended = serving => ended,
        () = async {
            let _ = stop.wait_for(|stop| *stop).await;
            sleep(LAST_ANSWERS).await;
        } => Ok(()),
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A listener that takes no more connections than there are places.
struct Doors {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener for Doors {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, from)) => return (Visit::new(stream, place), from),
                Err(_) => sleep(AFTER_AN_ERROR).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection, its place, and when it has to be over.
struct Visit {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Visit {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            deadline: Box::pin(sleep(PATIENCE)),
            _place: place,
        }
    }

    /// The outcome of waiting for the stream, or the end of our patience.
    fn or_late<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_pending() {
            ready!(self.deadline.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        outcome
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.or_late(context, outcome)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.or_late(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.or_late(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.or_late(context, outcome)
    }
}
