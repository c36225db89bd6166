//! Time from the start of the source to its last word about 10,000 files.
//! Run with `cargo bench -p tapway-source-files`.

use std::fmt::Write;
use std::time::Instant;

use tapway_source_files::{Config, FileEvent, control, run};

const FILES: usize = 10_000;

fn main() -> std::io::Result<()> {
    let dir = tempfile::tempdir()?;
    for i in 0..FILES {
        let mut text = String::new();
        let _ = write!(
            text,
            "name = \"vm{i}\"\n[[nic]]\ninterface = \"tap{i}\"\nmac = \"52:54:00:00:{:02x}:{:02x}\"\naddresses = [\"10.{}.{}.1\", \"2001:db8:{i:x}::/64\"]\n",
            i >> 8,
            i & 255,
            i >> 8,
            i & 255
        );
        std::fs::write(dir.path().join(format!("vm{i}.toml")), text)?;
    }
    for round in 0..5 {
        let (remote, control) = control()?;
        let start = Instant::now();
        let mut events = 0;
        let _ = run(Config::new(dir.path()), &control, |event| {
            events += 1;
            if event == FileEvent::Source(tapway_intent::SourceEvent::Complete) {
                println!("round {round}: {events} events in {:?}", start.elapsed());
                remote.stop();
            }
            Ok(())
        });
    }
    Ok(())
}
