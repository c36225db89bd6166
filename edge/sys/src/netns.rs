//! Running code in another network namespace.
//!
//! A namespace belongs to a thread, so each function here starts one, and what it does ends with it.
//! Descriptors opened inside keep belonging to that namespace when they are used elsewhere.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::{self, Scope, ScopedJoinHandle};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// Runs `work` in a new, empty network namespace and waits for it. The namespace is gone when the
/// last socket in it is closed. A panic of `work` goes on here.
///
/// # Errors
/// When this process may not make namespaces.
pub fn in_new<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_own_thread(
        || {
            // SAFETY: only the network namespace changes; the file descriptor table stays shared, so no
            // descriptor becomes invalid.
            Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?)
        },
        work,
    )
}

/// Runs a test in a new, empty network namespace. Where there is no root it fails, or says that it was not run
/// when `TAPWAY_TEST_UNPRIVILEGED=1` is set.
///
/// # Panics
/// When `test` does, or when there can be no namespace.
pub fn for_test(test: impl FnOnce() + Send) {
    if crate::testing::needs(crate::process::is_root(), "root, for a network namespace") {
        in_new(test).expect("a network namespace");
    }
}

/// Runs `work` in the network namespace at `path` (`/run/netns/NAME`, `/proc/PID/ns/net`) and waits
/// for it. A panic of `work` goes on here.
///
/// # Errors
/// When there is no namespace at `path`, or this process may not enter it.
pub fn in_path<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let namespace = File::open(path)?;
    on_own_thread(
        || {
            Ok(move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&namespace),
                Some(LinkNameSpaceType::Network),
            )?)
        },
        work,
    )
}

fn on_own_thread<T: Send>(
    enter: impl FnOnce() -> io::Result<()> + Send,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    fn start<'scope, T: Send + 'scope>(
        scope: &'scope Scope<'scope, '_>,
        body: impl FnOnce() -> io::Result<T> + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, io::Result<T>> {
        scope.spawn(body)
    }
    thread::scope(|scope| {
        let handle = start(scope, || {
            enter()?;
            Ok(work())
        });
        match handle.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
