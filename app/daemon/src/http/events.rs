//! `GET /v1/events`: a bounded broadcast. Whoever is too slow loses events and is told how many.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use http_body_util::channel::{Channel, Sender};
use serde_json::json;
use tapway_api::event::{Event, LOST, Level};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::server::stopped;

/// Events that are kept for a slow watcher.
const KEPT: usize = 1024;
/// Bytes that are gathered into one write.
const GATHERED: usize = 16 * 1024;

/// Where events go. Cheap to clone; sending never waits.
#[derive(Clone, Debug)]
pub struct EventSink(broadcast::Sender<Arc<Event>>);

impl EventSink {
    /// A sink that nobody watches yet.
    #[expect(
        clippy::new_without_default,
        reason = "a second sink is never meant as a default"
    )]
    pub fn new() -> EventSink {
        EventSink(broadcast::channel(KEPT).0)
    }

    /// Whether anybody watches; if not, an event need not be made at all.
    pub fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Tells every watcher. The oldest event makes room when a watcher is too slow.
    pub fn send(&self, event: Event) {
        let _ = self.0.send(Arc::new(event));
    }

    pub(super) fn watchers(&self) -> usize {
        self.0.receiver_count()
    }

    /// A body that tells what happens from now on, until the client or the server ends it.
    pub(super) fn stream(&self, stop: watch::Receiver<bool>) -> Body {
        let (sender, body) = Channel::<Bytes, Infallible>::new(2);
        tokio::spawn(feed(self.0.subscribe(), sender, stop));
        Body::new(body)
    }
}

async fn feed(
    mut events: broadcast::Receiver<Arc<Event>>,
    mut body: Sender<Bytes>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let first = tokio::select! {
            event = events.recv() => event,
            () = stopped(&mut stop) => return,
        };
        let mut lines = Vec::new();
        match first {
            Ok(event) => push_line(&mut lines, &event),
            Err(RecvError::Lagged(lost)) => push_line(&mut lines, &lost_event(lost)),
            Err(RecvError::Closed) => return,
        }
        while lines.len() < GATHERED {
            match events.try_recv() {
                Ok(event) => push_line(&mut lines, &event),
                Err(TryRecvError::Lagged(lost)) => push_line(&mut lines, &lost_event(lost)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let sent = tokio::select! {
            sent = body.send_data(Bytes::from(lines)) => sent.is_ok(),
            () = stopped(&mut stop) => false,
        };
        if !sent {
            return;
        }
    }
}

fn push_line(lines: &mut Vec<u8>, event: &Event) {
    // A map of strings and values always serialises.
    if serde_json::to_writer(&mut *lines, event).is_ok() {
        lines.push(b'\n');
    }
}

fn lost_event(lost: u64) -> Event {
    Event {
        time_ms: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        level: Level::Warning,
        kind: LOST.to_owned(),
        subject: "watch".to_owned(),
        text: format!("this watcher was too slow and missed {lost} events"),
        fields: BTreeMap::from([("lost".to_owned(), json!(lost))]),
    }
}
