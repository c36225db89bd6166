//! Scans of the kernel that do not come to an end.
//!
//! A scan whose list of links was torn does not count (`edge/netlink`), nor one in the midst of which notifications were
//! lost. Where links come and go without a pause none ever counts, and what notifications leave out is never mended.
//! Somebody should know.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use tapway_fib::KernelEvent;
use tapway_model::Instant;

use super::Node;
use crate::action::Level;

/// From the begin of the first scan that was not whole to the moment when it is told. One is tried every second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Scans since the last one that was whole.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    /// When the first of them began.
    since: Option<Instant>,
    /// How many began.
    tries: u32,
    told: bool,
}

impl Node {
    pub(super) fn note_scan(&mut self, now: Instant, event: &KernelEvent) {
        match event {
            KernelEvent::ScanBegin => {
                let since = *self.scans.since.get_or_insert(now);
                // One may take long where there is much to list: the one before was not whole.
                if !self.scans.told && self.scans.tries > 0 && now.since(since) >= PATIENCE {
                    self.scans.told = true;
                    let text = self.torn_scans(now).unwrap_or_default();
                    self.event(Level::Warning, "kernel.scan-torn", "kernel", text);
                }
                self.scans.tries = self.scans.tries.saturating_add(1);
            }
            KernelEvent::ScanEnd => {
                let scans = core::mem::take(&mut self.scans);
                if let (true, Some(since)) = (scans.told, scans.since) {
                    let text = format!(
                        "a scan of the kernel was whole again, after {} s",
                        now.since(since).as_secs()
                    );
                    self.event(Level::Info, "kernel.scan-whole", "kernel", text);
                }
            }
            _ => {}
        }
    }

    /// What is to be said of scans while none has been whole for half a minute.
    pub fn torn_scans(&self, now: Instant) -> Option<String> {
        let since = self.scans.since.filter(|_| self.scans.told)?;
        Some(format!(
            "no scan of the kernel was whole for {} s, in {} tries: interfaces or routes change while they are listed; \
             notifications are followed, but what they leave out is not mended until a scan is whole",
            now.since(since).as_secs(),
            self.scans.tries
        ))
    }
}
