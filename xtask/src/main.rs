//! Every job of the project: `cargo xtask check`, `test`, `soak`, `bench`, `demo`.
//!
//! It may run any program; it is linked into none.

mod arch;
mod check;
mod debian;
mod jobs;
mod run;
mod tally;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask JOB

  check                 what a change must pass besides its tests: format, lints, documentation,
                        licences, the table of allowed dependencies, a core without std
  test                  all tests; installs what they need (Debian, as root)
       --unprivileged   only those that need neither root nor other programs
  demo [--keep]         a network of namespaces with routers, hypervisors and guests; needs root
       --clean          remove one that was kept
  soak [...]            the random walks, for long
  bench [...]           measure, side by side with BIRD, FRR and GoBGP; needs root
        relay [...]     how fast routes are passed on, beside OpenBGPD, too
";

fn main() -> ExitCode {
    match job(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn job(arguments: Vec<String>) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check"] => check::check(),
        ["test"] => test::test(test::Which::All),
        ["test", "--unprivileged"] => test::test(test::Which::Unprivileged),
        ["demo", rest @ ..] => jobs::demo(rest),
        ["soak", rest @ ..] => jobs::soak(rest),
        ["bench", rest @ ..] => jobs::bench(rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no job {:?}\n{USAGE}", other.join(" ")),
    }
}
