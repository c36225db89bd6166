//! What a cache sends, and what it is answered (RFC 8210 §5, §7, §8 and §12).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use tapway_model::Instant;

use super::{ANSWER, Again, Cache, MAX_RECORDS, NEWS, PAUSE, Phase, Receiving, Said, TEXT, count};
use crate::caches::{Action, Shared};
use crate::config::Timing;
use crate::event::{EventKind, Failure};
use crate::pdu::{self, ErrorCode, Fault, Frame, Pdu, write_error};
use crate::serial::Serial;
use crate::set::{Changes, Clash, VrpSet};

impl Cache {
    /// Takes what came.
    pub(crate) fn data(&mut self, shared: &mut Shared, now: Instant, bytes: &[u8]) {
        let conn = self.conn();
        let mut buffer = core::mem::take(&mut self.partial);
        buffer.extend_from_slice(bytes);
        self.heard |= !bytes.is_empty();
        let mut rest = buffer.as_slice();
        while self.conn() == conn {
            match Frame::next(rest) {
                Ok(Some(frame)) => {
                    rest = rest.get(frame.bytes.len()..).unwrap_or_default();
                    self.frame(shared, now, &frame);
                }
                Ok(None) => {
                    self.partial = rest.to_vec();
                    return;
                }
                Err(fault) => return self.fault(shared, now, &fault, rest),
            }
        }
    }

    fn frame(&mut self, shared: &mut Shared, now: Instant, frame: &Frame<'_>) {
        let name = &self.config.name;
        let told = matches!(frame.pdu, Some(Pdu::ErrorReport { .. }));
        if !self.agreed {
            if frame.is_notify() {
                // It was sent before the cache knew our version (RFC 8210 §7).
                return;
            }
            let refused = match frame.pdu {
                Some(Pdu::ErrorReport { code, .. }) => {
                    code == ErrorCode::UNSUPPORTED_VERSION
                        || frame.version < self.version && code != ErrorCode::NO_DATA
                }
                _ => false,
            };
            if refused && self.version > 0 {
                shared.tell(name, EventKind::OlderVersion);
                self.hang_up(shared);
                self.version = 0;
                // At once (RFC 8210 §6).
                self.phase = Phase::Waiting { until: now };
                return;
            }
            if frame.version > self.version && !told {
                let reason = format!("its version is {}", frame.version);
                return self.broken(
                    shared,
                    now,
                    ErrorCode::UNSUPPORTED_VERSION,
                    reason,
                    frame.bytes,
                );
            }
            if frame.version < self.version {
                shared.tell(name, EventKind::OlderVersion);
                self.version = frame.version;
            }
            self.agreed = !told;
        } else if frame.version != self.version && !told {
            let reason = format!("its version is {} all at once", frame.version);
            return self.broken(
                shared,
                now,
                ErrorCode::UNEXPECTED_VERSION,
                reason,
                frame.bytes,
            );
        }
        let Some(said) = frame.pdu else { return };
        if let Err((code, reason)) = self.pdu(shared, now, said) {
            self.broken(shared, now, code, reason.to_owned(), frame.bytes);
        }
    }

    fn pdu(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        pdu: Pdu<'_>,
    ) -> Result<(), (ErrorCode, &'static str)> {
        let corrupt = |reason| Err((ErrorCode::CORRUPT_DATA, reason));
        match (pdu, &mut self.phase) {
            (Pdu::ErrorReport { code, text }, _) => {
                // What it does not like may be the serial.
                self.anew |= code != ErrorCode::NO_DATA;
                let text = text.get(..text.len().min(TEXT)).unwrap_or_default();
                let text = String::from_utf8_lossy(text).into_owned();
                self.failed(shared, now, Failure::Told { code, text }, Again::Retry);
                Ok(())
            }
            (Pdu::SerialNotify { session, serial }, Phase::Synced { refresh, .. }) => {
                if let Some(said) = &self.said {
                    let other = said.session != session;
                    if other && !self.anew {
                        self.anew = true;
                        shared.tell(&self.config.name, EventKind::BeganAnew);
                    }
                    if other || serial.is_after(said.serial) {
                        *refresh = (*refresh).min(now.max(said.updated + NEWS));
                    }
                }
                self.refresh_when_due(shared, now);
                Ok(())
            }
            (Pdu::SerialNotify { serial, .. }, Phase::Receiving(r)) => {
                r.news = Some(serial);
                Ok(())
            }
            (Pdu::SerialNotify { .. } | Pdu::Ignored, _) => {
                if let Phase::Receiving(r) = &mut self.phase {
                    r.pause = now + PAUSE;
                }
                Ok(())
            }
            (Pdu::CacheResponse { session }, Phase::Asked { conn, all, .. }) => {
                let same = self
                    .said
                    .as_ref()
                    .is_some_and(|said| said.session == session);
                if !*all && !same {
                    self.anew = true;
                    return corrupt("it has another session id than the question (RFC 8210 §5.1)");
                }
                self.phase = Phase::Receiving(Receiving {
                    conn: *conn,
                    pause: now + PAUSE,
                    until: now + ANSWER,
                    session,
                    all: *all,
                    changes: Changes::default(),
                    news: None,
                });
                Ok(())
            }
            (
                Pdu::CacheReset,
                Phase::Asked {
                    conn, all: false, ..
                },
            ) => {
                let conn = *conn;
                self.anew = true;
                shared.tell(&self.config.name, EventKind::BeganAnew);
                self.ask(shared, now, conn);
                Ok(())
            }
            (Pdu::Prefix { announce, vrp }, Phase::Receiving(r)) => {
                r.pause = now + PAUSE;
                if r.changes.len() == MAX_RECORDS {
                    self.too_much(shared, now);
                } else if let Some(vrp) = vrp {
                    r.changes.push(&vrp, announce);
                }
                Ok(())
            }
            (
                Pdu::EndOfData {
                    session,
                    serial,
                    timing,
                },
                Phase::Receiving(r),
            ) => {
                if session != r.session {
                    return corrupt("its session id is another than at its beginning");
                }
                self.end_of_data(shared, now, serial, timing);
                Ok(())
            }
            (Pdu::SerialQuery { .. } | Pdu::ResetQuery, _) => corrupt("only a router asks that"),
            _ => corrupt("nothing was asked that this is an answer to"),
        }
    }

    fn refresh_when_due(&mut self, shared: &mut Shared, now: Instant) {
        if let Phase::Synced { conn, refresh } = self.phase
            && refresh <= now
        {
            self.ask(shared, now, conn);
        }
    }

    fn end_of_data(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        serial: Serial,
        timing: Option<Timing>,
    ) {
        // The phase is set anew below, in whatever way it goes.
        let phase = core::mem::replace(&mut self.phase, Phase::Resting);
        let Phase::Receiving(answer) = phase else {
            self.phase = phase;
            return;
        };
        let conn = answer.conn;
        self.phase = Phase::Synced { conn, refresh: now };
        let nothing = VrpSet::default();
        let base = match &self.said {
            Some(said) if !answer.all => &said.set,
            _ => &nothing,
        };
        let changes = answer.changes.len();
        let announced = answer.changes.announced();
        let set = match base.changed(answer.changes) {
            Ok(set) if count(&set) > MAX_RECORDS => return self.too_much(shared, now),
            Ok(set) => set,
            Err(clash) => return self.clash(shared, now, &clash),
        };
        self.told = timing;
        self.timing = self.config.timing(timing);
        if answer.all || changes > 0 || self.failures > 0 {
            let event = EventKind::Synced {
                serial,
                whole: answer.all,
                announced,
                withdrawn: changes - announced,
                total: count(&set),
            };
            shared.tell(&self.config.name, event);
            shared.dirty = true;
        }
        let news = answer.news.is_some_and(|news| news.is_after(serial));
        let refresh = if news { NEWS } else { self.timing.refresh };
        self.said = Some(Said {
            session: answer.session,
            serial,
            set,
            updated: now,
            expires: now + self.timing.expire,
        });
        self.anew = false;
        self.failures = 0;
        self.failure = None;
        self.phase = Phase::Synced {
            conn,
            refresh: now + refresh,
        };
    }

    fn clash(&mut self, shared: &mut Shared, now: Instant, clash: &Clash) {
        let (code, what) = if clash.announced {
            (ErrorCode::DUPLICATE, "announced twice")
        } else {
            (
                ErrorCode::UNKNOWN_WITHDRAWAL,
                "withdrawn, and was not there",
            )
        };
        let mut quoted = Vec::new();
        let pdu = Pdu::Prefix {
            announce: clash.announced,
            vrp: Some(clash.vrp),
        };
        pdu.write(self.version, &mut quoted);
        self.anew = true;
        self.broken(
            shared,
            now,
            code,
            format!("{} is {what}", clash.vrp),
            &quoted,
        );
    }

    fn too_much(&mut self, shared: &mut Shared, now: Instant) {
        self.anew = true;
        self.report(shared, ErrorCode::INTERNAL, &[], "too many records");
        self.failed(shared, now, Failure::TooMuch, Again::Retry);
    }

    fn fault(&mut self, shared: &mut Shared, now: Instant, fault: &Fault, bytes: &[u8]) {
        let quoted = bytes
            .get(..bytes.len().min(pdu::HEADER))
            .unwrap_or_default();
        if fault.of_error {
            // An error is not answered with an error (RFC 8210 §5.11).
            let failure = Failure::Broken {
                code: fault.code,
                reason: fault.reason.to_owned(),
            };
            return self.failed(shared, now, failure, Again::Retry);
        }
        self.broken(shared, now, fault.code, fault.reason.to_owned(), quoted);
    }

    /// It sent what cannot be: it is told, and asked again later.
    fn broken(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        code: ErrorCode,
        reason: String,
        quoted: &[u8],
    ) {
        self.report(shared, code, quoted, &reason);
        self.failed(shared, now, Failure::Broken { code, reason }, Again::Retry);
    }

    fn report(&mut self, shared: &mut Shared, code: ErrorCode, quoted: &[u8], text: &str) {
        if let Some(conn) = self.conn() {
            let mut bytes = Vec::new();
            write_error(self.version, code, quoted, text.as_bytes(), &mut bytes);
            shared.act(Action::Send { conn, bytes });
        }
    }
}
