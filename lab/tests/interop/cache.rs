//! An RPKI cache of ours, whose content a test changes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use tapway_lab::Netns;
use tapway_rpki::pdu::{ErrorCode, Frame, Pdu};
use tapway_rpki::{Serial, Vrp};

/// A running cache. Dropping it ends it with all connections.
pub(super) struct Cache {
    at: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// VRPs as they are written: prefix, and who may announce it.
pub(super) type Content<'a> = &'a [(&'a str, u32)];

struct Shared {
    session: u16,
    /// What it said, by serial number, from 1 on.
    history: Vec<Vec<Vrp>>,
    routers: Vec<TcpStream>,
    ends: bool,
}

impl Cache {
    /// Starts a cache in a namespace.
    ///
    /// # Panics
    /// When it cannot listen.
    #[track_caller]
    pub(super) fn start(ns: &Netns, at: SocketAddr, session: u16, content: Content<'_>) -> Cache {
        let listener = ns.run_in(|| TcpListener::bind(at));
        let listener = listener.unwrap_or_else(|e| panic!("cannot listen on {at}: {e}"));
        let shared = Arc::new(Mutex::new(Shared {
            session,
            history: vec![vrps(content)],
            routers: Vec::new(),
            ends: false,
        }));
        let theirs = shared.clone();
        std::thread::spawn(move || {
            for router in listener.incoming().flatten() {
                let mut shared = lock(&theirs);
                if shared.ends {
                    return;
                }
                let copy = router.try_clone().expect("a descriptor");
                shared.routers.push(copy);
                let theirs = theirs.clone();
                std::thread::spawn(move || serve(router, &theirs));
            }
        });
        Cache { at, shared }
    }

    /// Says something else from now on, and tells routers that there is news.
    pub(super) fn say(&self, content: Content<'_>) {
        let mut shared = lock(&self.shared);
        shared.history.push(vrps(content));
        let notify = Pdu::SerialNotify {
            session: shared.session,
            serial: shared.serial(),
        };
        let mut bytes = Vec::new();
        notify.write(1, &mut bytes);
        // One that is gone is nobody's loss.
        shared
            .routers
            .retain_mut(|router| router.write_all(&bytes).is_ok());
    }

    /// Ends it.
    pub(super) fn end(self, ns: &Netns) {
        let mut shared = lock(&self.shared);
        shared.ends = true;
        for router in shared.routers.drain(..) {
            let _ = router.shutdown(Shutdown::Both);
        }
        drop(shared);
        // Its listener takes one more, and is gone.
        let _ = ns.run_in(|| TcpStream::connect(self.at));
    }
}

impl Shared {
    fn serial(&self) -> Serial {
        Serial(u32::try_from(self.history.len()).expect("a small number"))
    }

    /// The answer to a question.
    fn answer(&self, question: &Pdu<'_>) -> Vec<Pdu<'static>> {
        let now = self.history.last().cloned().unwrap_or_default();
        let then = match question {
            Pdu::ResetQuery => Vec::new(),
            Pdu::SerialQuery { session, serial } => {
                let known = serial
                    .0
                    .checked_sub(1)
                    .and_then(|at| self.history.get(at as usize));
                match known {
                    Some(then) if *session == self.session => then.clone(),
                    _ => return vec![Pdu::CacheReset],
                }
            }
            _ => {
                return vec![Pdu::ErrorReport {
                    code: ErrorCode::INVALID_REQUEST,
                    text: b"only questions are answered",
                }];
            }
        };
        let change = |announce| {
            move |vrp: &Vrp| Pdu::Prefix {
                announce,
                vrp: Some(*vrp),
            }
        };
        let gone = then.iter().filter(|vrp| !now.contains(vrp));
        let come = now.iter().filter(|vrp| !then.contains(vrp));
        let mut answer = vec![Pdu::CacheResponse {
            session: self.session,
        }];
        answer.extend(gone.map(change(false)).chain(come.map(change(true))));
        answer.push(Pdu::EndOfData {
            session: self.session,
            serial: self.serial(),
            timing: None,
        });
        answer
    }
}

fn serve(mut router: TcpStream, shared: &Mutex<Shared>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Ok(Some(frame)) = Frame::next(&bytes) {
            let (len, version) = (frame.bytes.len(), frame.version);
            let Some(question) = frame.pdu else { return };
            let mut answer = Vec::new();
            for pdu in lock(shared).answer(&question) {
                pdu.write(version, &mut answer);
            }
            bytes.drain(..len);
            if router.write_all(&answer).is_err() {
                return;
            }
        }
        match router.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nobody panics with it")
}

fn vrps(content: Content<'_>) -> Vec<Vrp> {
    let vrp = |(text, asn): &(&str, u32)| {
        let prefix: tapway_model::Prefix = text.parse().expect("a prefix");
        Vrp::new(prefix, prefix.len(), *asn).expect("a VRP")
    };
    content.iter().map(vrp).collect()
}
