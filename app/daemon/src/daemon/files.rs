//! The source `files` as the loop sees it, and what the loop does with what it says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use tapway_document::Problem;
use tapway_model::SourceName;
use tapway_node::Level;
use tapway_source_files::FileEvent;

use super::{Daemon, event, now};
use crate::sliced::Budget;

/// Events of a source taken in one turn.
const SOURCE_EVENTS: usize = 256;

/// The source `files` as the loop sees it.
pub struct Files {
    /// Its name.
    pub name: SourceName,
    /// The directory.
    pub path: PathBuf,
    /// Asks it to list again, or to stop.
    pub remote: tapway_source_files::Remote,
    /// What it says; bounded, the source waits when it is full.
    pub events: Receiver<FileEvent>,
    /// Broken files, by name.
    pub problems: BTreeMap<String, Problem>,
}

impl Daemon {
    pub(super) fn take_source_events(&mut self) {
        let budget = Budget::slice();
        for _ in 0..SOURCE_EVENTS {
            if budget.is_spent() {
                break;
            }
            let Some(files) = &mut self.files else { return };
            let Ok(said) = files.events.try_recv() else {
                return;
            };
            match said {
                FileEvent::Source(event) => {
                    let name = files.name.clone();
                    self.node.handle_source(now(), &name, event);
                    self.transmit();
                }
                FileEvent::Problem(problem) => {
                    let event = event(
                        "file.broken",
                        Level::Warning,
                        &problem.file,
                        problem.to_string(),
                    );
                    files.problems.insert(problem.file.clone(), problem);
                    self.tell(event);
                }
                FileEvent::Mended { file } => {
                    files.problems.remove(&file);
                    self.tell(event(
                        "file.mended",
                        Level::Info,
                        &file,
                        "the file is well again, or gone".to_owned(),
                    ));
                }
                FileEvent::Overrun => {
                    let told = event(
                        "source.overrun",
                        Level::Info,
                        files.name.as_str(),
                        "more files changed at once than the kernel queues; all are listed again"
                            .to_owned(),
                    );
                    self.tell(told);
                }
            }
        }
        self.more = true;
    }
}
