//! Whoever listens to the speaker: collectors, and files. What they are told comes last in a turn, and nothing waits for them.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tapway_api::mrt::MrtDump;
use tapway_api::{ApiError, ErrorCode};
use tapway_bgp::Wants;
use tapway_bmp::{CollectorConfig, Time};
use tapway_sys::wake::Waker;

use crate::bmp::Collectors;
use crate::daemon::{Daemon, now};
use crate::http::Responder;
use crate::mrt::MrtConfig;
use crate::mrt::dump::{Dumping, Slice};
use crate::mrt::recorder::Recorder;

/// How long the last records may take when the daemon ends.
const LAST_RECORDS: Duration = Duration::from_secs(1);

/// All that listens.
pub(crate) struct Monitors {
    pub(crate) collectors: Collectors,
    pub(crate) recorder: Option<Recorder>,
    /// Of the recorder before: it may still write.
    retired: Option<JoinHandle<()>>,
    dumping: Option<Dumping>,
    loop_waker: Arc<Waker>,
}

/// The time, by both clocks.
pub(crate) fn time() -> Time {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    Time {
        now: now(),
        unix: unix.unwrap_or_default(),
    }
}

impl Monitors {
    /// Nobody listens yet.
    pub(crate) fn new(collectors: Collectors, loop_waker: Arc<Waker>) -> Monitors {
        Monitors {
            collectors,
            recorder: None,
            retired: None,
            dumping: None,
            loop_waker,
        }
    }

    fn wants(&self) -> Wants {
        let recorder = self.recorder.as_ref();
        let recorder = recorder.map_or_else(Wants::default, Recorder::wants);
        self.collectors.wants().and(recorder)
    }
}

impl Daemon {
    /// Tells monitors what happened in this turn, and goes on with what they are still to be told.
    pub(crate) fn tell_monitors(&mut self) {
        self.go_on_dumping();
        let Monitors {
            collectors,
            recorder,
            ..
        } = &mut self.monitors;
        if collectors.is_empty() && recorder.is_none() {
            return;
        }
        let time = time();
        let speaker = self.node.speaker_mut();
        let mut events = collectors.listen(time, speaker, |speaker, more| {
            let wants = speaker.monitor().and(more);
            speaker.set_monitor(wants);
        });
        while let Some(report) = speaker.poll_report() {
            collectors.report(time, &report);
            if let Some(recorder) = recorder {
                recorder.report(time, &report);
            }
        }
        if let Some(recorder) = recorder {
            events.extend(recorder.flush(time));
        }
        let (dropped, more) = collectors.work(time, speaker);
        self.more |= more;
        events.extend(dropped);
        self.settle_monitor();
        for event in events {
            self.tell(event);
        }
    }

    /// Has nothing reported that nobody wants any more.
    fn settle_monitor(&mut self) {
        let wants = self.monitors.wants();
        let speaker = self.node.speaker_mut();
        if speaker.monitor() != wants {
            speaker.set_monitor(wants);
        }
    }

    /// Brings other settings of monitors into effect.
    pub(crate) fn set_monitors(&mut self, configs: Vec<CollectorConfig>, mrt: Option<MrtConfig>) {
        let speaker = self.node.speaker_mut();
        self.monitors.collectors.set(time(), configs, speaker);
        let Monitors {
            recorder,
            retired,
            loop_waker,
            ..
        } = &mut self.monitors;
        if recorder.as_ref().map(Recorder::config) != mrt.as_ref() {
            // What the old one was given is still written.
            if let Some(old) = recorder.take() {
                *retired = Some(old.retire());
            }
            if let Some(config) = mrt {
                match Recorder::start(config, retired.take(), loop_waker.clone()) {
                    Ok(started) => *recorder = Some(started),
                    Err(error) => {
                        tracing::error!(%error, "no thread to record messages; read the configuration again to try again");
                    }
                }
            }
        }
        self.settle_monitor();
    }

    /// Writes the RIB to a file; one at a time.
    pub(crate) fn begin_dump(&mut self, asked: &MrtDump, responder: Responder) {
        if !asked.file.starts_with('/') {
            let error = ApiError::invalid("file", "the path does not begin with /");
            return responder.send(Err(error));
        }
        if self.monitors.dumping.is_some() {
            let error = ApiError::new(ErrorCode::Overloaded, "a dump is under way already")
                .with_remedy("try again when it is done");
            return responder.send(Err(error));
        }
        let waker = self.monitors.loop_waker.clone();
        let speaker = self.node.speaker();
        self.monitors.dumping = Dumping::begin(time(), speaker, asked, waker, responder);
        self.more |= self.monitors.dumping.is_some();
    }

    fn go_on_dumping(&mut self) {
        let dumping = &mut self.monitors.dumping;
        match dumping.as_mut().map(|d| d.go_on(self.node.speaker())) {
            None | Some(Slice::Blocked) => {}
            Some(Slice::More) => self.more = true,
            Some(Slice::Done) => *dumping = None,
        }
    }

    /// Tells monitors that the daemon ends.
    pub(crate) fn finish_monitors(&mut self) {
        self.tell_monitors();
        let speaker = self.node.speaker_mut();
        self.monitors
            .collectors
            .finish(time(), speaker, "tapwayd is stopping");
        if let Some(recorder) = self.monitors.recorder.take() {
            recorder.finish(std::time::Instant::now() + LAST_RECORDS);
        }
    }
}
