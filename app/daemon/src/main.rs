//! `tapwayd`: see the library's documentation.

use std::process::ExitCode;

use clap::Parser;
use tapway_daemon::args::Args;
use tapway_daemon::{logging, settings, start};

fn main() -> ExitCode {
    let args = Args::parse();
    if args.check {
        return settings::check_and_print(&args);
    }
    let log = logging::start(&args.log);
    logging::finish_before_panics(&log);
    let code = match start::run(&args, &log) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    };
    log.finish();
    code
}
