//! `tapway`: asks and tells the daemon over its Unix socket.
//!
//! [`args`] says what can be typed, [`run`] turns it into requests, [`client`] sends them,
//! [`render`] makes text of the answers. JSON output is the daemon's answer, unchanged.
//! May touch: the socket, the files it is given, standard input and output.

mod args;
mod client;
mod failure;
mod human;
mod input;
mod output;
#[cfg(test)]
mod reference;
mod render;
mod run;
mod session;
mod style;
mod table;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            // clap says 2 for wrong usage and 0 for --help and --version, as we do.
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = args.output == args::Output::Json;
    match run::run(args, &mut std::io::stdout()) {
        Ok(answer) => answer.exit_code(),
        Err(failure) => failure.report(json),
    }
}
