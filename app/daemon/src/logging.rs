//! Log lines on standard error; without time stamps under systemd, which adds its own.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging at `level`: a level, or directives like `tapway=debug`.
pub fn start(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|error| {
        eprintln!("--log {level:?} is not understood ({error}); logging at info");
        EnvFilter::new("info")
    });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().init();
    } else {
        lines.init();
    }
}
