//! Netlink framing (`linux/netlink.h`): several messages in one buffer, and acknowledgements.

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NLMSG_NOOP, NlasIterator,
};

/// `sizeof(struct nlmsghdr)`
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`
const ATTR_MSG: u16 = 1;

/// Requests one after the other, as they are sent.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    first: u32,
}

impl Requests {
    /// Forgets all; the next request has this sequence number.
    pub(crate) fn clear(&mut self, first: u32) {
        self.bytes.clear();
        self.ends.clear();
        self.first = first;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Appends one.
    pub(crate) fn push(&mut self, kind: u16, flags: u16, body: &impl Emitable) {
        let start = self.bytes.len();
        let len = HEADER + body.buffer_len();
        // Sequence numbers go round.
        let sequence = self
            .first
            .wrapping_add(u32::try_from(self.ends.len()).unwrap_or(0));
        self.bytes.resize(start + len.next_multiple_of(4), 0);
        let message = &mut self.bytes[start..start + len];
        message[0..4].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        message[8..12].copy_from_slice(&sequence.to_ne_bytes());
        body.emit(&mut message[HEADER..]);
        self.ends.push(self.bytes.len());
    }

    /// The bytes of requests from number `from` on, as many as fit into `max` bytes and `count`
    /// requests but at least one, and the number after the last of them.
    pub(crate) fn chunk(&self, from: usize, max: usize, count: usize) -> (&[u8], usize) {
        let start = from.checked_sub(1).map_or(0, |i| self.ends[i]);
        let mut to = from;
        while to < self.ends.len()
            && to - from < count
            && (to == from || self.ends[to] - start <= max)
        {
            to += 1;
        }
        let end = to.checked_sub(1).map_or(0, |i| self.ends[i]);
        (&self.bytes[start..end.max(start)], to)
    }

    /// Asks for an answer to this request even when it is done; a refusal is answered always.
    pub(crate) fn acknowledge(&mut self, position: usize) {
        let start = position.checked_sub(1).map_or(0, |i| self.ends[i]);
        let flags = u16_at(&self.bytes, start + 6).unwrap_or(0) | NLM_F_ACK;
        self.bytes[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// Which request a sequence number belongs to.
    pub(crate) fn position(&self, sequence: u32) -> Option<usize> {
        let position = usize::try_from(sequence.wrapping_sub(self.first)).ok()?;
        (position < self.ends.len()).then_some(position)
    }
}

/// One message from the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) port: u32,
    pub(crate) payload: &'a [u8],
}

/// What a message is about.
pub(crate) enum Content<'a> {
    /// An acknowledgement, of success or failure, or the end of a dump that failed.
    Ack(Answer),
    /// The end of a dump.
    Done(Answer),
    /// Nothing.
    Noop,
    /// An object.
    Object(&'a [u8]),
}

/// The kernel's answer to one request.
pub(crate) type Answer = Result<(), Refusal>;

/// Why the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A positive `errno`.
    pub(crate) errno: i32,
    /// The extended acknowledgement's text.
    pub(crate) message: Option<String>,
}

/// The messages in a buffer. Ends early at one that claims to be longer than the buffer.
pub(crate) fn messages(mut buffer: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(buffer, 0)?).ok()?;
        let payload = buffer.get(HEADER..length)?;
        let message = Message {
            kind: u16_at(buffer, 4)?,
            flags: u16_at(buffer, 6)?,
            sequence: u32_at(buffer, 8)?,
            port: u32_at(buffer, 12)?,
            payload,
        };
        buffer = buffer.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

impl<'a> Message<'a> {
    /// What it is about.
    pub(crate) fn content(&self) -> Content<'a> {
        match self.kind {
            NLMSG_ERROR => Content::Ack(self.answer(true)),
            NLMSG_DONE => Content::Done(self.answer(false)),
            NLMSG_NOOP => Content::Noop,
            _ => Content::Object(self.payload),
        }
    }

    /// The error number at the start of the payload, and the text among the attributes after it.
    fn answer(&self, request_follows: bool) -> Answer {
        let errno = u32_at(self.payload, 0).map_or(0, |n| n.cast_signed().saturating_neg());
        if errno == 0 {
            return Ok(());
        }
        let mut attributes = 4;
        if request_follows {
            // struct nlmsgerr holds the header of the request, and its payload unless capped.
            let request = u32_at(self.payload, 4)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(HEADER);
            attributes += if self.flags & NLM_F_CAPPED == 0 {
                request.next_multiple_of(4)
            } else {
                HEADER
            };
        }
        let message = (self.flags & NLM_F_ACK_TLVS != 0)
            .then(|| self.payload.get(attributes..))
            .flatten()
            .and_then(|rest| attribute(rest, ATTR_MSG))
            .map(text);
        Err(Refusal { errno, message })
    }
}

/// The value of the first attribute of this kind.
pub(crate) fn attribute(buffer: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(buffer)
        .find(|(k, _)| *k == kind)
        .map(|(_, value)| value)
}

/// All attributes; ends early at a broken one.
pub(crate) fn attributes(buffer: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(buffer)
        .map_while(Result::ok)
        .map(|nla| (nla.kind(), nla.into_inner()))
        .filter_map(|(kind, whole)| {
            let len = usize::from(u16_at(whole, 0)?);
            Some((kind, whole.get(4..len)?))
        })
}

/// A C string.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Two bytes in the host's order.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at + 2)?
        .try_into()
        .ok()
        .map(u16::from_ne_bytes)
}

/// Four bytes in the host's order.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::DefaultNla;

    fn three() -> Requests {
        let mut requests = Requests::default();
        requests.clear(u32::MAX);
        for size in [1usize, 4, 6] {
            requests.push(20, 4, &DefaultNla::new(7, vec![0xab; size]));
        }
        requests
    }

    #[test]
    fn what_is_pushed_is_read_and_numbers_go_round() {
        let requests = three();
        let (bytes, to) = requests.chunk(0, usize::MAX, usize::MAX);
        assert_eq!(to, 3);
        let read: Vec<_> = messages(bytes)
            .map(|m| (m.kind, m.flags, m.sequence, m.payload.len()))
            .collect();
        assert_eq!(read, [(20, 5, u32::MAX, 8), (20, 5, 0, 8), (20, 5, 1, 12)]);
        assert_eq!(requests.position(1), Some(2));
        assert_eq!(requests.position(2), None);
    }

    #[test]
    fn chunks_have_at_least_one_request() {
        let requests = three();
        assert_eq!(requests.chunk(0, 1, 9).1, 1);
        assert_eq!(requests.chunk(1, 52, 9).1, 3);
        assert_eq!(requests.chunk(1, 51, 9).1, 2);
        assert_eq!(requests.chunk(0, 999, 2).1, 2);
        assert_eq!(requests.chunk(3, 999, 2), (&[][..], 3));
    }

    #[test]
    fn a_refusal_has_its_text() {
        let mut payload = (-17i32).to_ne_bytes().to_vec();
        payload.extend([0; 16]);
        payload.extend([9, 0, 1, 0]);
        payload.extend(b"full\0\0\0\0");
        let message = Message {
            kind: NLMSG_ERROR,
            flags: NLM_F_CAPPED | NLM_F_ACK_TLVS,
            sequence: 0,
            port: 0,
            payload: &payload,
        };
        let Content::Ack(answer) = message.content() else {
            panic!("no acknowledgement")
        };
        assert_eq!(
            answer,
            Err(Refusal {
                errno: 17,
                message: Some("full".to_owned())
            })
        );
    }

    #[test]
    fn broken_bytes_end_the_list() {
        for bytes in [&[1, 0, 0, 0][..], &[255; 40], &[0; 40], &[]] {
            assert_eq!(messages(bytes).count(), 0);
            let _ = attributes(bytes).count();
        }
    }
}
