//! Any message; KEEPALIVE, which is only a header; and how a header is written.

use alloc::vec::Vec;

use crate::{
    DecodeContext, Frame, HEADER_LEN, MessageType, Notification, NotificationError, Open,
    RouteRefresh, Update,
};

/// A decoded message. Only UPDATE borrows from what was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "UPDATE is the common one and is handled where it is decoded, so boxing only costs"
)]
pub enum Message<'a> {
    /// OPEN.
    Open(Open),
    /// UPDATE.
    Update(Update<'a>),
    /// NOTIFICATION.
    Notification(Notification),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH.
    RouteRefresh(RouteRefresh),
}

impl<'a> Message<'a> {
    /// Decodes a frame.
    ///
    /// # Errors
    /// When the session must end.
    pub fn decode(frame: &Frame<'a>, cx: &DecodeContext) -> Result<Message<'a>, NotificationError> {
        let body = frame.body();
        Ok(match frame.kind() {
            MessageType::Open => Message::Open(Open::decode(body)?),
            MessageType::Update => Message::Update(Update::decode(body, cx)?),
            MessageType::Notification => Message::Notification(Notification::decode(body)?),
            MessageType::Keepalive => Message::Keepalive,
            MessageType::RouteRefresh => Message::RouteRefresh(RouteRefresh::decode(body)?),
        })
    }
}

/// Appends a KEEPALIVE.
pub fn encode_keepalive(out: &mut Vec<u8>) {
    let start = begin(out, MessageType::Keepalive);
    finish(out, start);
}

/// Writes a header whose length [`finish`] fills in; returns where it is.
pub(crate) fn begin(out: &mut Vec<u8>, kind: MessageType) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0xff; 16]);
    out.extend_from_slice(&[0, 0, kind.code()]);
    debug_assert_eq!(out.len(), start + HEADER_LEN);
    start
}

/// Fills in the length of the message that began at `start`.
pub(crate) fn finish(out: &mut [u8], start: usize) {
    let len = (out.len() - start) as u16;
    out[start + 16..start + 18].copy_from_slice(&len.to_be_bytes());
}
