//! Counting what test runners print.

/// What a runner said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Names of those.
    pub names: Vec<String>,
    /// Tests that passed only when they were run again.
    pub flaky: Vec<String>,
    /// What tests that could not run said about it.
    pub not_run: Vec<String>,
}

impl Tally {
    /// Takes in a line of cargo test's or cargo nextest's output.
    pub(crate) fn read(&mut self, whole: &str) {
        // nextest shows what a failed test printed indented; cargo test does not indent its own lines.
        let (line, indented) = (whole.trim(), whole.starts_with(' '));
        if let Some(what) = line.strip_prefix("NOT RUN: ") {
            self.not_run.push(what.to_owned());
        }
        // `FLAKY 2/2 [   3.1s] (3/9) tapway-lab::interop_peers a::b`, and again in the summary
        if line.starts_with("FLAKY ")
            && let Some((_, name)) = line.split_once(']')
        {
            add(&mut self.flaky, plain_name(name));
        }
        // `test result: ok. 6 passed; 0 failed; 0 ignored; ...` and
        // `Summary [  24.4s] 18 tests run: 16 passed (1 slow), 1 failed, 1 timed out, 0 skipped`
        if !indented && line.starts_with("test result: ") || line.starts_with("Summary [") {
            let words: Vec<&str> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                let Ok(count) = pair[0].parse::<u64>() else {
                    continue;
                };
                match pair[1].trim_end_matches([',', ';']) {
                    "passed" => self.passed += count,
                    "failed" | "timed" | "exec" => self.failed += count,
                    _ => {}
                }
            }
        } else if !indented
            && let Some(name) = line
                .strip_prefix("test ")
                .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            add(&mut self.names, name);
        } else if ["FAIL [", "TIMEOUT [", "SIGKILL [", "SIGABRT [", "SIGSEGV ["]
            .iter()
            .any(|mark| line.starts_with(mark))
            && let Some((_, name)) = line.split_once(']')
        {
            add(&mut self.names, plain_name(name));
        }
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.names.extend(other.names);
        self.flaky.extend(other.flaky);
        self.not_run.extend(other.not_run);
    }
}

/// `( 1/18) tapway-lab peers::frr::tests::answers_are_read` without its number.
fn plain_name(name: &str) -> &str {
    name.split_once(") ").map_or(name, |(_, rest)| rest).trim()
}

/// Runners say everything twice.
fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|n| n == name) {
        names.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_understood() {
        for (text, passed, failed, names) in [
            (
                "test a::b ... ok\ntest a::c ... FAILED\ntest result: FAILED. 6 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s",
                6,
                1,
                vec!["a::c"],
            ),
            (
                "test result: ok. 6 passed; 0 failed; 0 ignored\ntest result: ok. 3 passed; 0 failed; 0 ignored",
                9,
                0,
                vec![],
            ),
            (
                "        FAIL [   0.005s] ( 1/18) tapway-lab x::y\n    test x::y ... FAILED\n    test result: FAILED. 0 passed; 1 failed;\n   TIMEOUT [  60.0s] (2/18) tapway-lab::interop z\n     Summary [  24.412s] 18 tests run: 16 passed (1 slow), 1 failed, 1 timed out, 3 skipped\n        FAIL [   0.005s] ( 1/18) tapway-lab x::y",
                16,
                2,
                vec!["tapway-lab x::y", "tapway-lab::interop z"],
            ),
        ] {
            let mut tally = Tally::default();
            text.lines().for_each(|l| tally.read(l));
            assert_eq!((tally.passed, tally.failed), (passed, failed), "{text}");
            assert_eq!(tally.names, names, "{text}");
        }
    }

    #[test]
    fn what_passed_late_or_not_at_all_is_told() {
        let text = "   TRY 1 FAIL [   3.1s] (1/9) tapway-lab::interop a::b\n  FLAKY 2/2 [   2.9s] (1/9) tapway-lab::interop a::b\n    NOT RUN: this test needs root\n     Summary [  24.4s] 9 tests run: 9 passed (1 flaky), 0 skipped\n   FLAKY 2/2 [   2.9s] (1/9) tapway-lab::interop a::b";
        let mut tally = Tally::default();
        text.lines().for_each(|l| tally.read(l));
        assert_eq!((tally.passed, tally.failed), (9, 0));
        assert_eq!(tally.flaky, ["tapway-lab::interop a::b"]);
        assert_eq!(tally.not_run, ["this test needs root"]);
        assert!(tally.names.is_empty());
    }
}
