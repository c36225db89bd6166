//! What the command line says.

use anyhow::{Context, Result, bail};

use super::daemon::{self, Daemon};
use super::scenario::Scenario;

/// How often a scenario is run with each daemon.
const RUNS: usize = 5;
/// The same with `--quick`.
const QUICK_RUNS: usize = 3;

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    /// How often.
    pub(crate) runs: usize,
    /// A tenth of all sizes.
    pub(crate) quick: bool,
    /// JSON on standard output.
    pub(crate) json: bool,
    /// With which daemons.
    pub(crate) daemons: Vec<Daemon>,
    /// Which scenarios.
    pub(crate) scenarios: Vec<Scenario>,
}

impl Options {
    /// Reads the words after `relay`.
    ///
    /// # Errors
    /// The first word that is not understood.
    pub(crate) fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options {
            runs: 0,
            quick: false,
            json: false,
            daemons: daemon::ALL.to_vec(),
            scenarios: Scenario::ALL.to_vec(),
        };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "--quick" => options.quick = true,
                "--runs" => {
                    let runs = words.next().context("--runs needs a number")?;
                    options.runs = runs.parse().context("--runs needs a number")?;
                    if options.runs == 0 {
                        bail!("--runs needs a number above 0");
                    }
                }
                "--only" => {
                    let names = words.next().context("--only needs names")?;
                    options.daemons = names.split(',').map(by_name).collect::<Result<_>>()?;
                }
                "--scenario" => {
                    let letters = words.next().context("--scenario needs letters")?;
                    options.scenarios.clear();
                    for letter in letters.split(',') {
                        let before = options.scenarios.len();
                        let of_letter = Scenario::ALL.iter().filter(|s| s.letter() == letter);
                        options.scenarios.extend(of_letter);
                        if options.scenarios.len() == before {
                            bail!("there is no scenario {letter:?}; there are a to g");
                        }
                    }
                }
                "-o" | "--output" => match words.next() {
                    Some("json") => options.json = true,
                    Some("table") => options.json = false,
                    other => bail!("-o takes table or json, not {other:?}"),
                },
                other => bail!("{other:?} is not understood"),
            }
        }
        if options.runs == 0 {
            options.runs = if options.quick { QUICK_RUNS } else { RUNS };
        }
        Ok(options)
    }
}

fn by_name(name: &str) -> Result<Daemon> {
    let of_name = |daemon: &&Daemon| daemon.name.eq_ignore_ascii_case(name);
    match daemon::ALL.iter().find(of_name) {
        Some(daemon) => Ok(*daemon),
        None => bail!("there is no daemon {name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        Options::parse(&words)
    }

    fn names(options: &Options) -> Vec<&str> {
        options.daemons.iter().map(|d| d.name).collect()
    }

    #[test]
    fn without_a_word_everything_runs() {
        let options = parse("").unwrap();
        assert_eq!(
            (options.runs, options.quick, options.json),
            (5, false, false)
        );
        assert_eq!(
            names(&options),
            ["null", "tapwayd", "BIRD", "FRR", "GoBGP", "OpenBGPD"]
        );
        assert_eq!(options.scenarios, Scenario::ALL);
    }

    #[test]
    fn words_choose() {
        let options = parse("--quick --only bird,FRR --scenario a,g -o json").unwrap();
        assert_eq!((options.runs, options.quick, options.json), (3, true, true));
        assert_eq!(names(&options), ["BIRD", "FRR"]);
        let letters: Vec<&str> = options.scenarios.iter().map(|s| s.letter()).collect();
        assert_eq!(letters, ["a", "g", "g"]);
        assert_eq!(parse("--runs 2 --quick").unwrap().runs, 2);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in [
            "--runs",
            "--runs 0",
            "--runs x",
            "--only quagga",
            "--only",
            "--scenario h",
            "--scenario",
            "--scenario a,,b",
            "-o yaml",
            "fast",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
