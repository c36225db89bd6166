//! What the service manager hears of the daemon, and what it tells it.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use rustix::process::Signal;

use crate::bed::{Bed, SOON};

/// A service manager: the end of `$NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Manager {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        Manager { socket, folder }
    }

    /// Waits until the daemon has said these, in this order; other words may be between them.
    #[track_caller]
    fn hears(&self, words: &[&str]) {
        let end = Instant::now() + SOON;
        let mut buffer = [0; 1024];
        let mut all = Vec::new();
        for word in words {
            loop {
                let left = end.saturating_duration_since(Instant::now());
                assert!(!left.is_zero(), "no {word} in {all:?}");
                let timeout = self.socket.set_read_timeout(Some(left));
                timeout.expect("a time that is not zero");
                // Until the time is over.
                let Ok(length) = self.socket.recv(&mut buffer) else {
                    continue;
                };
                let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let found = said.lines().any(|line| line == *word);
                all.push(said);
                if found {
                    break;
                }
            }
        }
    }
}

#[test]
fn it_hears_that_the_daemon_is_ready_alive_reloading_and_stopping() {
    let manager = Manager::new();
    let mut bed = Bed::new();
    bed.plug("tap0");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    bed.tapwayd.stop();
    let path = manager.folder.path().join("notify");
    bed.tapwayd.set_environment("NOTIFY_SOCKET", path);
    bed.tapwayd.set_environment("WATCHDOG_USEC", "200000");
    bed.tapwayd.launch(&bed.host);
    manager.hears(&["READY=1"]);
    // Whoever starts behind it can rely on it.
    assert_eq!(bed.tapwayd.tapway(&["instance", "list"]).code, 0);
    manager.hears(&["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    let signal = |bed: &mut Bed, signal| bed.tapwayd.process().expect("it runs").signal(signal);
    signal(&mut bed, Signal::HUP);
    manager.hears(&["RELOADING=1", "READY=1", "WATCHDOG=1"]);
    bed.announces(&["203.0.113.1/32"]);

    // The host goes down: nothing is kept for a restart.
    signal(&mut bed, Signal::POWER);
    manager.hears(&["STOPPING=1"]);
    bed.announces(&[]);
    let ended = bed.tapwayd.process().expect("started").wait(SOON);
    assert!(ended.success(), "{ended}");
    bed.wired(&[]);
}
