//! A look at a directory without following it, for `tapwayd --check`.

use std::io;
use std::path::Path;

use tapway_document::Problem;

use crate::config::Config;
use crate::directory::list;
use crate::event::FileEvent;
use crate::shelf::Shelf;

/// What is wrong in a directory of instance files, and how many instances are well.
///
/// # Errors
/// When the directory cannot be listed.
pub fn check(directory: &Path) -> io::Result<(usize, Vec<Problem>)> {
    let config = Config::new(directory);
    let files = list(directory)?;
    let mut shelf = Shelf::new(config.path.display().to_string(), config.remembered);
    let mut good = 0;
    let mut problems = Vec::new();
    for event in shelf.list(files, |_| false) {
        match event {
            FileEvent::Source(tapway_intent::SourceEvent::Put(_)) => good += 1,
            FileEvent::Problem(problem) => problems.push(problem),
            FileEvent::Source(_) | FileEvent::Mended { .. } | FileEvent::Overrun => {}
        }
    }
    Ok((good, problems))
}
