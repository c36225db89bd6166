//! One keep-alive HTTP connection to tapwayd's Unix socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

/// The connection.
pub(crate) struct Http {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Http {
    /// Connects.
    pub(crate) fn connect(socket: &Path) -> io::Result<Http> {
        Ok(Http {
            stream: UnixStream::connect(socket)?,
            received: Vec::new(),
        })
    }

    /// Sends a request; says when it was handed to the kernel. [`Http::answer`] takes the answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Instant> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: tapway\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let at = Instant::now();
        self.stream.write_all(request.as_bytes())?;
        Ok(at)
    }

    /// Waits for the answer to the last request; any status but 2xx is an error.
    pub(crate) fn answer(&mut self) -> io::Result<()> {
        loop {
            if let Some((status, body, len)) = parse(&self.received) {
                let text = String::from_utf8_lossy(body).into_owned();
                self.received.drain(..len);
                return match status {
                    200..=299 => Ok(()),
                    _ => Err(io::Error::other(format!("HTTP {status}: {text}"))),
                };
            }
            let mut buffer = [0; 16384];
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received.extend(&buffer[..count]);
        }
    }
}

/// Status, body and length of an answer, when it is there whole.
fn parse(bytes: &[u8]) -> Option<(u16, &[u8], usize)> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length: usize = text
        .lines()
        .filter_map(|l| l.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    let body = bytes.get(head + 4..head + 4 + length)?;
    Some((status, body, head + 4 + length))
}
