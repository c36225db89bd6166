//! What the directory holds: which file says what, and what follows for the instances. Pure.
//!
//! Files are applied in groups. What a group changes is compared before and after, so that a file
//! that is renamed, or an instance that moves from one file to another, causes no event in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tapway_document::Problem;
use tapway_intent::SourceEvent;
use tapway_model::{Instance, InstanceName};

use crate::event::FileEvent;

/// What came of looking at one file.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// It says this. The place is that of its `name`.
    Good(Arc<Instance>, Option<(u32, u32)>),
    /// It is broken, and probably means this instance.
    Bad(Problem, Option<InstanceName>),
    /// It is not there.
    Absent,
}

#[derive(Debug, Default)]
struct Entry {
    /// The last good version.
    instance: Option<Arc<Instance>>,
    place: Option<(u32, u32)>,
    /// Why the present version is not good.
    broken: Option<Problem>,
    /// What was last said to be wrong with it.
    reported: Option<Problem>,
}

/// All files by name.
#[derive(Debug)]
pub(crate) struct Shelf {
    directory: String,
    files: BTreeMap<String, Entry>,
    /// The files that use a name, in the order in which they came. The first holds it.
    users: BTreeMap<InstanceName, Vec<String>>,
    remembered: BTreeMap<InstanceName, Arc<Instance>>,
}

impl Shelf {
    pub(crate) fn new(
        directory: String,
        remembered: BTreeMap<InstanceName, Arc<Instance>>,
    ) -> Shelf {
        Shelf {
            directory,
            files: BTreeMap::new(),
            users: BTreeMap::new(),
            remembered,
        }
    }

    /// Takes the whole directory, files in order of their names, and says it as a full listing. Of files that are not there,
    /// those that may still come back stay.
    pub(crate) fn list(
        &mut self,
        present: Vec<(String, Reading)>,
        comes_back: impl Fn(&str) -> bool,
    ) -> Vec<FileEvent> {
        let there: BTreeSet<&String> = present.iter().map(|(file, _)| file).collect();
        let mut group: Vec<(String, Reading)> = self
            .files
            .keys()
            .filter(|file| !there.contains(file) && !comes_back(file))
            .map(|file| (file.clone(), Reading::Absent))
            .collect();
        group.extend(present);
        let guesses: Vec<(String, InstanceName)> = group
            .iter()
            .filter_map(|(file, reading)| match reading {
                Reading::Bad(_, Some(guess)) => Some((file.clone(), guess.clone())),
                _ => None,
            })
            .collect();
        let mut events = self.take(group).1;
        for (file, guess) in guesses {
            self.remember(&file, &guess);
        }
        self.remembered.clear();
        events.push(FileEvent::Source(SourceEvent::Begin));
        for name in self.users.keys() {
            if let Some(instance) = self.holder(name) {
                events.push(FileEvent::Source(SourceEvent::Put(instance.clone())));
            }
        }
        events.push(FileEvent::Source(SourceEvent::Complete));
        events
    }

    /// Takes a group of files that were looked at, and says what changed: removals first.
    pub(crate) fn apply(&mut self, group: Vec<(String, Reading)>) -> Vec<FileEvent> {
        let (before, mut events) = self.take(group);
        let mut puts = Vec::new();
        for (name, was) in before {
            match (was, self.holder(&name)) {
                (Some(_), None) => events.push(FileEvent::Source(SourceEvent::Gone(name))),
                (was, Some(is)) if was.as_ref() != Some(is) => {
                    puts.push(FileEvent::Source(SourceEvent::Put(is.clone())));
                }
                _ => {}
            }
        }
        events.extend(puts);
        events
    }

    /// Lets what was said in the last run stand in for a file that is broken since then, unless
    /// another file says it now.
    fn remember(&mut self, file: &str, guess: &InstanceName) {
        if self.users.contains_key(guess) {
            return;
        }
        if let Some(entry) = self.files.get_mut(file)
            && entry.instance.is_none()
            && let Some(instance) = self.remembered.remove(guess)
        {
            entry.instance = Some(instance);
            self.users.insert(guess.clone(), vec![file.to_string()]);
        }
    }

    fn holder(&self, name: &InstanceName) -> Option<&Arc<Instance>> {
        let file = self.users.get(name)?.first()?;
        self.files.get(file)?.instance.as_ref()
    }

    /// Stores the group. Returns what every touched name was before, and the news about files.
    fn take(
        &mut self,
        group: Vec<(String, Reading)>,
    ) -> (
        BTreeMap<InstanceName, Option<Arc<Instance>>>,
        Vec<FileEvent>,
    ) {
        let mut before = BTreeMap::new();
        let mut touched: BTreeSet<String> = BTreeSet::new();
        let mut gone: Vec<(String, Option<Problem>)> = Vec::new();
        for (file, reading) in group {
            let old = self.files.get(&file).and_then(|e| e.instance.clone());
            let new = match &reading {
                Reading::Good(instance, _) => Some(instance.clone()),
                Reading::Bad(..) => old.clone(),
                Reading::Absent => None,
            };
            for name in [&old, &new].into_iter().flatten().map(|i| &i.name) {
                if !before.contains_key(name) {
                    before.insert(name.clone(), self.holder(name).cloned());
                }
            }
            self.rename(&file, old.as_deref(), new.as_deref());
            match reading {
                Reading::Absent => {
                    if let Some(entry) = self.files.remove(&file) {
                        gone.push((file, entry.reported));
                    }
                    continue;
                }
                Reading::Good(_, place) => {
                    let entry = self.files.entry(file.clone()).or_default();
                    entry.instance = new;
                    entry.place = place;
                    entry.broken = None;
                }
                Reading::Bad(problem, _) => {
                    let entry = self.files.entry(file.clone()).or_default();
                    entry.instance = new;
                    entry.broken = Some(problem);
                }
            }
            touched.insert(file);
        }
        for name in before.keys() {
            touched.extend(self.users.get(name).into_iter().flatten().cloned());
        }
        let mut events = Vec::new();
        for (file, reported) in gone {
            if reported.is_some() && !self.files.contains_key(&file) {
                let file = self.path(&file);
                events.push(FileEvent::Mended { file });
            }
        }
        for file in touched {
            self.report(&file, &mut events);
        }
        (before, events)
    }

    fn rename(&mut self, file: &str, old: Option<&Instance>, new: Option<&Instance>) {
        let (old, new) = (old.map(|i| &i.name), new.map(|i| &i.name));
        if old == new {
            return;
        }
        if let Some(name) = old
            && let Some(users) = self.users.get_mut(name)
        {
            users.retain(|f| f != file);
            if users.is_empty() {
                self.users.remove(name);
            }
        }
        if let Some(name) = new {
            self.users
                .entry(name.clone())
                .or_default()
                .push(file.to_string());
        }
    }

    /// Says what is wrong with a file, if that is news.
    fn report(&mut self, file: &str, events: &mut Vec<FileEvent>) {
        let Some(entry) = self.files.get(file) else {
            return;
        };
        let now = entry.broken.clone().or_else(|| self.second(file, entry));
        if now == entry.reported {
            return;
        }
        events.push(match &now {
            Some(problem) => FileEvent::Problem(problem.clone()),
            None => FileEvent::Mended {
                file: self.path(file),
            },
        });
        if let Some(entry) = self.files.get_mut(file) {
            entry.reported = now;
        }
    }

    /// The problem of a file whose instance belongs to another file.
    fn second(&self, file: &str, entry: &Entry) -> Option<Problem> {
        let name = &entry.instance.as_ref()?.name;
        let first = self.users.get(name)?.first()?;
        if first == file {
            return None;
        }
        let problem = Problem::new(
            self.path(file),
            format!(
                "{} is the name of the instance in {} already",
                name,
                self.path(first)
            ),
        )
        .with_remedy("give it another name or delete one of the files")
        .key("name");
        Some(match entry.place {
            Some(place) => problem.at(place),
            None => problem,
        })
    }

    /// Whether the file's present version could not be used.
    pub(crate) fn is_broken(&self, file: &str) -> bool {
        self.files
            .get(file)
            .is_some_and(|entry| entry.broken.is_some())
    }

    /// The file's name in problems.
    pub(crate) fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.directory)
    }
}

#[cfg(test)]
mod tests;
