//! Telling the service manager how things stand (`sd_notify(3)`).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager; does nothing when there is none.
#[derive(Debug)]
pub struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    /// The manager that `$NOTIFY_SOCKET` names; none when it is unset.
    ///
    /// # Errors
    /// When the variable is set and is no usable address.
    pub fn from_env() -> io::Result<Notifier> {
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(name) => Notifier::to(&name),
            None => Ok(Notifier(None)),
        }
    }

    /// The manager that listens at `name`: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// When `name` is neither.
    pub fn to(name: &OsStr) -> io::Result<Notifier> {
        let address = match name.as_bytes() {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "NOTIFY_SOCKET is neither a path nor an abstract name",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Notifier(Some((socket, address))))
    }

    /// `READY=1`
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// `STOPPING=1`
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// `RELOADING=1` with the moment; say [`Notifier::ready`] when done.
    pub fn reloading(&self) {
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={}",
            crate::clock::now() / 1000
        ));
    }

    /// `WATCHDOG=1`
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    /// `STATUS=…`: one line for people.
    pub fn status(&self, line: &str) {
        self.send(&format!("STATUS={}", line.replace('\n', " ")));
    }

    /// How often the manager wants to hear [`Notifier::watchdog`]: half of `$WATCHDOG_USEC`.
    pub fn watchdog_interval() -> Option<Duration> {
        let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
        match std::env::var("WATCHDOG_PID") {
            Ok(pid) if pid != std::process::id().to_string() => None,
            _ if micros == 0 => None,
            _ => Some(Duration::from_micros(micros / 2)),
        }
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.0 {
            // A manager that does not listen is no reason to stop.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_each_state() {
        let name = format!("tapway-notify-{}", std::process::id());
        let manager =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::to(OsStr::new(&format!("@{name}"))).unwrap();
        notifier.ready();
        notifier.status("two\nlines");
        let mut buffer = [0; 100];
        for want in ["READY=1", "STATUS=two lines"] {
            let len = manager.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..len]).unwrap(), want);
        }
        assert!(Notifier::to(OsStr::new("relative")).is_err());
    }
}
