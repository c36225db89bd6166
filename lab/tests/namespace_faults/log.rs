//! Nobody takes the log.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use rustix::fs::OFlags;
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON};

#[test]
fn a_full_pipe_on_standard_error_stops_nothing() {
    let mut bed = Bed::new();
    bed.plug("tap0");
    bed.tapwayd.stop();
    // The daemon's standard error is a pipe that somebody holds and nobody reads.
    let path = bed.tapwayd.config_file().with_file_name("log");
    fs::remove_file(&path).expect("the log so far");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo runs").success());
    let mut pipe = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&path)
        .expect("a pipe");
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    while pipe.write(b"x").is_ok() {}
    bed.tapwayd.launch(&bed.host);
    fs::remove_file(&path).expect("the name of the pipe");

    wait_for(SOON, "it answers", || {
        let answer = bed.tapwayd.tapway(&["status"]);
        if answer.code == 3 {
            Err(answer.err)
        } else {
            Ok(())
        }
    });
    bed.tapwayd.wait_established(SOON);
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    bed.wired(&["203.0.113.1 dev tap0"]);
    bed.tapwayd.delete("tap0");
    bed.announces(&[]);
    bed.wired(&[]);

    // It waits for whoever comes to read.
    let mut text = Vec::new();
    wait_for(SOON, "the log says what was done", || {
        let mut some = [0; 65536];
        while let Ok(count) = pipe.read(&mut some) {
            text.extend_from_slice(&some[..count]);
        }
        let text = String::from_utf8_lossy(&text);
        let all = ["wired and announced", "no source claims it any more"];
        match all.iter().all(|words| text.contains(words)) {
            true => Ok(()),
            false => Err(text.trim_start_matches('x').to_owned()),
        }
    });
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    while pipe.write(b"x").is_ok() {}
    bed.tapwayd.stop();
}
