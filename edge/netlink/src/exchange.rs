//! Requests and their answers over one socket. The kernel works requests off while they are sent, so
//! the answers are there when the send is over and nothing here ever waits.

use std::io;

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP};
use tapway_sys::netlink::{Config, NetlinkSocket};

use crate::constants::errno;
use crate::message::{Answer, Content, Refusal, Requests, messages};

/// All that the kernel puts into one buffer, and some.
pub(crate) const RECEIVE: usize = 64 * 1024;
/// Bytes in one send; well below the send buffer.
const CHUNK_BYTES: usize = 64 * 1024;
/// Requests in one send. Each answer takes about 1 KiB of the receive buffer.
const CHUNK_REQUESTS: usize = 512;

/// A socket for requests.
#[derive(Debug)]
pub(crate) struct Exchange {
    socket: NetlinkSocket,
    requests: Requests,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Exchange {
    pub(crate) fn open() -> io::Result<Exchange> {
        let socket = NetlinkSocket::open(Config {
            receive_buffer: 2 << 20,
            send_buffer: 256 << 10,
        })?;
        Ok(Exchange {
            socket,
            requests: Requests::default(),
            sequence: 1,
            buffer: vec![0; RECEIVE],
        })
    }

    pub(crate) fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Starts a batch.
    pub(crate) fn begin(&mut self) {
        self.requests.clear(self.sequence);
    }

    /// Adds a request to the batch.
    pub(crate) fn push(&mut self, kind: u16, flags: u16, body: &impl Emitable) {
        self.requests.push(kind, flags, body);
    }

    /// Sends the batch. One answer for each request, in order.
    ///
    /// A refusal is always answered; of success only the last request of a send tells, which comes
    /// after all others. The kernel reports the loss of an answer (ENOBUFS).
    pub(crate) fn finish(&mut self) -> Vec<Answer> {
        let count = self.requests.len();
        self.sequence = self
            .sequence
            .wrapping_add(u32::try_from(count).unwrap_or(0));
        let mut answers = vec![Ok(()); count];
        let mut from = 0;
        while from < count {
            let to = self.requests.chunk(from, CHUNK_BYTES, CHUNK_REQUESTS).1;
            self.requests.acknowledge(to - 1);
            let (bytes, _) = self.requests.chunk(from, CHUNK_BYTES, CHUNK_REQUESTS);
            let sent = self
                .socket
                .send(bytes)
                .map_err(|e| refusal(&e, "the request could not be sent"));
            if let Err(unknown) = sent.and_then(|()| self.collect(to - 1, &mut answers)) {
                for answer in answers[from..to].iter_mut().filter(|answer| answer.is_ok()) {
                    *answer = Err(unknown.clone());
                }
            }
            from = to;
        }
        answers
    }

    /// Reads answers until that to the request `last`. Fails when one was lost.
    fn collect(&mut self, last: usize, answers: &mut [Answer]) -> Answer {
        let mut lost = Ok(());
        loop {
            let bytes = match self.socket.recv(&mut self.buffer) {
                Ok(bytes) => bytes,
                Err(e) if e.raw_os_error() == Some(errno::ENOBUFS) => {
                    lost = Err(refusal(
                        &e,
                        "the kernel's answer was lost; whether it was done is not known",
                    ));
                    continue;
                }
                Err(e) => {
                    return lost.and_then(|()| Err(refusal(&e, "the kernel gave no answer")));
                }
            };
            for message in messages(bytes) {
                if let Content::Ack(answer) = message.content()
                    && let Some(position) = self.requests.position(message.sequence)
                    && let Some(slot) = answers.get_mut(position)
                {
                    *slot = answer;
                    if position == last {
                        return lost;
                    }
                }
            }
        }
    }

    /// Lists objects, without waiting for an undisturbed list: for short ones.
    pub(crate) fn dump<T>(
        &mut self,
        kind: u16,
        body: &impl Emitable,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        self.ask(kind, NLM_F_DUMP, body, decode)
    }

    /// Asks for one object.
    pub(crate) fn get<T>(
        &mut self,
        kind: u16,
        body: &impl Emitable,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        // The acknowledgement ends the answer, as the end of a dump does.
        match self.ask(kind, NLM_F_ACK, body, decode) {
            Ok(found) => Ok(found.into_iter().next()),
            Err(Refusal {
                errno: errno::ENOENT | errno::ESRCH | errno::ENODEV,
                ..
            }) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn ask<T>(
        &mut self,
        kind: u16,
        flags: u16,
        body: &impl Emitable,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        self.requests.clear(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        self.requests.push(kind, flags, body);
        let (bytes, _) = self.requests.chunk(0, usize::MAX, 1);
        self.socket
            .send(bytes)
            .map_err(|e| refusal(&e, "the request could not be sent"))?;
        let mut found = Vec::new();
        loop {
            let bytes = self
                .socket
                .recv(&mut self.buffer)
                .map_err(|e| refusal(&e, "the kernel's answer could not be read"))?;
            for message in messages(bytes).filter(|m| self.requests.position(m.sequence).is_some())
            {
                match message.content() {
                    Content::Ack(answer) | Content::Done(answer) => return answer.map(|()| found),
                    Content::Object(payload) => found.extend(decode(payload)),
                    Content::Noop => {}
                }
            }
        }
    }
}

fn refusal(error: &io::Error, message: &str) -> Refusal {
    Refusal {
        errno: error.raw_os_error().unwrap_or(errno::EIO),
        message: Some(message.to_owned()),
    }
}
