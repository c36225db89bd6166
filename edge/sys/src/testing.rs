//! For tests that need what a machine may not have.

/// Says whether a test can run. When something is not `there` that it needs, it fails, or says that it was not
/// run if `TAPWAY_TEST_UNPRIVILEGED=1` is set: a test that did nothing must not look like one that passed.
///
/// # Panics
/// When it is not there, and that variable is not set.
pub fn needs(there: bool, what: &str) -> bool {
    if !there {
        let without = std::env::var("TAPWAY_TEST_UNPRIVILEGED");
        assert_eq!(
            without.as_deref(),
            Ok("1"),
            "this test needs {what}; set TAPWAY_TEST_UNPRIVILEGED=1 to go without it"
        );
        eprintln!("NOT RUN: this test needs {what}");
    }
    there
}
