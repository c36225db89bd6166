//! Whoever listens to the speaker: collectors. What they are told comes last in a turn, and nothing waits for them.

use std::time::{SystemTime, UNIX_EPOCH};

use tapway_bmp::Time;

use crate::daemon::{Daemon, now};

/// The time, by both clocks.
pub(crate) fn time() -> Time {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    Time {
        now: now(),
        unix: unix.unwrap_or_default(),
    }
}

impl Daemon {
    /// Tells monitors what happened in this turn, and goes on with what they are still to be told.
    pub(crate) fn tell_monitors(&mut self) {
        if self.collectors.is_empty() {
            return;
        }
        let time = time();
        let speaker = self.node.speaker_mut();
        let mut events = self.collectors.listen(time, speaker, |speaker, more| {
            let wants = speaker.monitor().and(more);
            speaker.set_monitor(wants);
        });
        while let Some(report) = speaker.poll_report() {
            self.collectors.report(time, &report);
        }
        let (dropped, more) = self.collectors.work(time, speaker);
        self.more |= more;
        events.extend(dropped);
        self.settle_monitor();
        for event in events {
            self.tell(event);
        }
    }

    /// Has nothing reported that nobody wants any more.
    pub(crate) fn settle_monitor(&mut self) {
        let wants = self.collectors.wants();
        let speaker = self.node.speaker_mut();
        if speaker.monitor() != wants {
            speaker.set_monitor(wants);
        }
    }

    /// Brings other settings of monitors into effect.
    pub(crate) fn set_collectors(&mut self, configs: Vec<tapway_bmp::CollectorConfig>) {
        let speaker = self.node.speaker_mut();
        self.collectors.set(time(), configs, speaker);
        self.settle_monitor();
    }

    /// Tells monitors that the daemon ends.
    pub(crate) fn finish_monitors(&mut self) {
        self.tell_monitors();
        let speaker = self.node.speaker_mut();
        self.collectors
            .finish(time(), speaker, "tapwayd is stopping");
    }
}
