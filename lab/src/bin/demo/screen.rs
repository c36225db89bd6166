//! What people see: lines as things happen, and the table at the end.

use std::time::{Duration, Instant};

use tapway_lab::PingReport;

/// The output.
pub(crate) struct Screen {
    start: Instant,
    rows: Vec<Row>,
}

struct Row {
    what: String,
    well: bool,
    time: String,
    packets: String,
}

impl Screen {
    /// Starts the clock.
    pub(crate) fn new() -> Screen {
        Screen {
            start: Instant::now(),
            rows: Vec::new(),
        }
    }

    /// Begins a chapter.
    pub(crate) fn chapter(&self, text: &str) {
        println!("\n{:8.3} s  == {text}", self.start.elapsed().as_secs_f64());
    }

    /// Tells what happens now.
    pub(crate) fn say(&self, text: &str) {
        println!("{:8.3} s     {text}", self.start.elapsed().as_secs_f64());
    }

    /// Adds a line to the table: a thing that took a while.
    pub(crate) fn took(&mut self, what: &str, time: Duration) {
        self.row(what, true, millis(time), String::new());
    }

    /// Adds a line to the table: a thing that happened under a running ping.
    pub(crate) fn under_ping(&mut self, what: &str, well: bool, time: Duration, ping: &str) {
        self.row(what, well, millis(time), ping.to_string());
    }

    /// Adds a line to the table: a thing that is so, or is not.
    pub(crate) fn check(&mut self, what: &str, well: bool, detail: &str) {
        self.row(what, well, String::new(), detail.to_string());
    }

    /// Adds a line to the table: a thing that went wrong.
    pub(crate) fn fault(&mut self, what: &str) {
        self.row(what, false, String::new(), String::new());
    }

    fn row(&mut self, what: &str, well: bool, time: String, packets: String) {
        let mark = if well { "" } else { "WRONG: " };
        let details: Vec<&str> = [time.as_str(), packets.as_str()]
            .into_iter()
            .filter(|d| !d.is_empty())
            .collect();
        self.say(&format!("{mark}{what}: {}", details.join(", ")));
        self.rows.push(Row {
            what: what.to_string(),
            well,
            time,
            packets,
        });
    }

    /// Whether everything worked.
    pub(crate) fn all_well(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|r| r.well)
    }

    /// Prints the table.
    pub(crate) fn table(&self) {
        let width = |of: fn(&Row) -> &str| {
            let widths = self.rows.iter().map(|r| of(r).chars().count());
            widths.max().unwrap_or(0)
        };
        let (what, time) = (width(|r| &r.what), width(|r| &r.time));
        println!();
        for row in &self.rows {
            let mark = if row.well { "ok   " } else { "WRONG" };
            println!(
                "{mark}  {:<what$}  {:>time$}  {}",
                row.what, row.time, row.packets
            );
        }
        let wrong = self.rows.iter().filter(|r| !r.well).count();
        let seconds = self.start.elapsed().as_secs_f64();
        match wrong {
            0 => println!("\nAll of it worked, in {seconds:.1} s."),
            n => println!("\n{n} of {} did not work.", self.rows.len()),
        }
    }
}

/// Pings in one word: how many were lost of how many.
pub(crate) fn lost(reports: &[PingReport]) -> String {
    let sent: u64 = reports.iter().map(|r| r.sent).sum();
    let lost: usize = reports.iter().map(|r| r.lost.len()).sum();
    let gap = reports.iter().map(|r| r.longest_gap).max();
    match (lost, gap) {
        (0, _) | (_, None) => format!("no packet of {sent} lost"),
        (lost, Some(gap)) => format!("{lost} packets of {sent} lost, longest gap {}", millis(gap)),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
