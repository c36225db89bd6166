//! Just enough HTTP/2 (RFC 9113) and protobuf to call GoBGP's API on one open connection: its command
//! line starts a process for every call, which takes longer than the call.

use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// The largest frame, and the first window, that a server must take.
const FRAME: usize = 16_384;
const WINDOW: usize = 65_535;

/// A connection to `gobgpd`.
pub(crate) struct Grpc {
    stream: UnixStream,
    next_stream: u32,
    window: usize,
    stream_window: usize,
    first_stream_window: usize,
    /// Bytes received for which the server has no credit back yet.
    taken: usize,
}

struct FrameIn {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Grpc {
    /// Connects.
    pub(crate) fn connect(socket: &Path) -> io::Result<Grpc> {
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        write_frame(&mut stream, SETTINGS, 0, 0, &[])?;
        let mut grpc = Grpc {
            stream,
            next_stream: 1,
            window: WINDOW,
            stream_window: WINDOW,
            first_stream_window: WINDOW,
            taken: 0,
        };
        // The server's settings, before anything is sent.
        while grpc.turn()?.kind != SETTINGS {}
        Ok(grpc)
    }

    /// `AddPath` or `DeletePath` of one route; says when it was handed to the kernel.
    pub(crate) fn path(
        &mut self,
        add: bool,
        address: Ipv4Addr,
        hop: Ipv4Addr,
    ) -> io::Result<Instant> {
        let path = path(address, hop);
        let (method, message) = if add {
            ("AddPath", field(3, &path))
        } else {
            ("DeletePath", [field(3, &FAMILY), field(4, &path)].concat())
        };
        let at = Instant::now();
        let stream = self.open(method)?;
        self.message(stream, &message)?;
        self.finish(stream, true)?;
        Ok(at)
    }

    /// `AddPathStream`: many routes in one call.
    pub(crate) fn add_many(
        &mut self,
        addresses: impl Iterator<Item = Ipv4Addr>,
        hop: Ipv4Addr,
    ) -> io::Result<()> {
        let message: Vec<u8> = addresses.flat_map(|a| field(3, &path(a, hop))).collect();
        let stream = self.open("AddPathStream")?;
        self.message(stream, &message)?;
        self.finish(stream, false)
    }

    fn open(&mut self, method: &str) -> io::Result<u32> {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.stream_window = self.first_stream_window;
        let mut block = Vec::new();
        let path = format!("/apipb.GobgpApi/{method}");
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path.as_str()),
            (":authority", "gobgp"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ] {
            // RFC 7541 §6.2.2: a literal, not indexed, with a new name, without Huffman code.
            block.push(0);
            for text in [name, value] {
                block.push(text.len() as u8);
                block.extend(text.as_bytes());
            }
        }
        write_frame(&mut self.stream, HEADERS, END_HEADERS, stream, &block)?;
        Ok(stream)
    }

    /// One length-prefixed message and the end of the stream.
    fn message(&mut self, stream: u32, message: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0];
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let room = self.window.min(self.stream_window).min(FRAME);
            if room == 0 {
                self.turn()?;
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            let flags = if later.is_empty() { END_STREAM } else { 0 };
            write_frame(&mut self.stream, DATA, flags, stream, now)?;
            self.window -= now.len();
            self.stream_window -= now.len();
            rest = later;
        }
        Ok(())
    }

    /// Reads until the server has ended the stream. One that failed has no message.
    fn finish(&mut self, stream: u32, must_have_message: bool) -> io::Result<()> {
        let mut message = !must_have_message;
        loop {
            let frame = self.turn()?;
            if frame.stream != stream {
                continue;
            }
            message |= frame.kind == DATA;
            if frame.kind == RST_STREAM {
                return Err(io::Error::other("GoBGP reset the call"));
            }
            if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                if message {
                    return Ok(());
                }
                let text = String::from_utf8_lossy(&frame.payload).into_owned();
                return Err(io::Error::other(format!("GoBGP refused the call: {text}")));
            }
        }
    }

    /// Reads one frame and does what the connection needs.
    fn turn(&mut self) -> io::Result<FrameIn> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload)?;
        let frame = FrameIn {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        };
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => {
                for entry in frame.payload.chunks_exact(6) {
                    // SETTINGS_INITIAL_WINDOW_SIZE
                    if entry[..2] == [0, 4] {
                        self.first_stream_window = number(&entry[2..]);
                    }
                }
                write_frame(&mut self.stream, SETTINGS, ACK, 0, &[])?;
            }
            PING if frame.flags & ACK == 0 => {
                write_frame(&mut self.stream, PING, ACK, 0, &frame.payload)?;
            }
            WINDOW_UPDATE if frame.stream == 0 => self.window += number(&frame.payload),
            WINDOW_UPDATE => self.stream_window += number(&frame.payload),
            DATA => {
                self.taken += len;
                if self.taken > FRAME {
                    let credit = (self.taken as u32).to_be_bytes();
                    self.taken = 0;
                    write_frame(&mut self.stream, WINDOW_UPDATE, 0, 0, &credit)?;
                }
            }
            GOAWAY => {
                let text = String::from_utf8_lossy(&frame.payload).into_owned();
                return Err(io::Error::other(format!(
                    "GoBGP ended the connection: {text}"
                )));
            }
            _ => {}
        }
        Ok(frame)
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(4)
        .fold(0, |n, b| n << 8 | usize::from(*b))
}

fn write_frame(
    stream: &mut UnixStream,
    kind: u8,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> io::Result<()> {
    let len = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    stream.write_all(&bytes)
}

/// `Family { afi: AFI_IP, safi: SAFI_UNICAST }`.
const FAMILY: [u8; 4] = [1 << 3, 1, 2 << 3, 1];

/// `Path` with its NLRI, ORIGIN, NEXT_HOP and family.
fn path(address: Ipv4Addr, hop: Ipv4Addr) -> Vec<u8> {
    let mut nlri = vec![1 << 3, 32];
    nlri.extend(field(2, address.to_string().as_bytes()));
    [
        field(1, &any("IPAddressPrefix", &nlri)),
        field(2, &any("OriginAttribute", &[1 << 3, 0])),
        field(
            2,
            &any("NextHopAttribute", &field(1, hop.to_string().as_bytes())),
        ),
        field(9, &FAMILY),
    ]
    .concat()
}

/// `google.protobuf.Any`.
fn any(kind: &str, value: &[u8]) -> Vec<u8> {
    let url = format!("type.googleapis.com/apipb.{kind}");
    [field(1, url.as_bytes()), field(2, value)].concat()
}

/// A field with a length.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut len = value.len();
    while len >= 0x80 {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend(value);
    bytes
}
