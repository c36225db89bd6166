//! The attributes that are kept: borrowed while they lie side by side, else copied.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

#[derive(Debug)]
pub(super) struct Block<'a> {
    all: &'a [u8],
    kept: Range<usize>,
    copied: Option<Vec<u8>>,
}

impl<'a> Block<'a> {
    pub(super) const fn new(all: &'a [u8]) -> Block<'a> {
        Block {
            all,
            kept: 0..0,
            copied: None,
        }
    }

    /// Keeps one more attribute: that at `at`, which follows all kept before.
    pub(super) fn keep(&mut self, at: Range<usize>) {
        if let Some(copied) = &mut self.copied {
            copied.extend_from_slice(slice(self.all, at));
        } else if self.kept.is_empty() {
            self.kept = at;
        } else if self.kept.end == at.start {
            self.kept.end = at.end;
        } else {
            let kept = slice(self.all, self.kept.clone());
            let mut copied = Vec::with_capacity(kept.len() + self.all.len() - at.start);
            copied.extend_from_slice(kept);
            copied.extend_from_slice(slice(self.all, at));
            self.copied = Some(copied);
        }
    }

    /// Adds bytes of the caller behind all that was kept.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let kept = slice(self.all, self.kept.clone());
        write(self.copied.get_or_insert_with(|| kept.to_vec()));
    }

    /// Puts other bytes in the place of all that was kept.
    pub(super) fn replace(&mut self, with: impl FnOnce(&[u8]) -> Vec<u8>) {
        let bytes = match &self.copied {
            Some(copied) => with(copied),
            None => with(slice(self.all, self.kept.clone())),
        };
        self.copied = Some(bytes);
    }

    pub(super) fn finish(self) -> Cow<'a, [u8]> {
        match self.copied {
            Some(copied) => Cow::Owned(copied),
            None => Cow::Borrowed(slice(self.all, self.kept)),
        }
    }
}

/// A range of `bytes`, empty when it is not in them.
pub(super) fn slice(bytes: &[u8], at: Range<usize>) -> &[u8] {
    bytes.get(at).unwrap_or_default()
}
