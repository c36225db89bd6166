//! Takes the place of the Unix socket: never another living daemon's, never a file that is none.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Who may connect: the owner and its group.
const MODE: u32 = 0o660;

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens on it.
    #[error(
        "{path}: {} listens on this socket already; stop it, or give this daemon its own with --socket",
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The socket.
        path: PathBuf,
        /// The other process.
        pid: Option<i32>,
    },
    /// Something else is there.
    #[error("{path}: this is not a socket; move it away, or choose another path with --socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("{path}: cannot {what}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What failed.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// A bound Unix socket; its file is removed on drop, if it is still this socket's.
#[derive(Debug)]
pub(super) struct BoundSocket {
    path: PathBuf,
    identity: (u64, u64),
}

impl BoundSocket {
    /// Binds `path`. The file appears with its final mode, and in the place of a stale one in one step.
    pub(super) fn bind(path: &Path) -> Result<(BoundSocket, UnixListener), SocketError> {
        let failed = |what: &'static str| {
            move |error: io::Error| SocketError::Io {
                path: path.to_owned(),
                what,
                error,
            }
        };
        refuse_if_taken(path)?;
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed("create its directory"))?;
        }
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove the leftover .new beside it")(error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&fresh).map_err(failed("bind"))?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(MODE))
            .map_err(failed("set its mode"))?;
        listener
            .set_nonblocking(true)
            .map_err(failed("make it non-blocking"))?;
        fs::rename(&fresh, path).map_err(failed("put it in place"))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("look at it"))?;
        let socket = BoundSocket {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        };
        Ok((socket, listener))
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.identity);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn refuse_if_taken(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(stream) => Err(SocketError::InUse {
            path: path.to_owned(),
            pid: rustix::net::sockopt::socket_peercred(&stream)
                .ok()
                .map(|peer| peer.pid.as_raw_nonzero().get()),
        }),
        // Nobody listens: a daemon that was killed left it behind.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(SocketError::Io {
            path: path.to_owned(),
            what: "find out whether somebody listens on it",
            error,
        }),
    }
}
