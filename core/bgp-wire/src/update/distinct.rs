//! Large communities without repetitions (RFC 8092 §3).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Up to this many, comparing each with all before it is faster than a set.
const FEW: usize = 32;

/// The content of LARGE_COMMUNITIES without those that have been there before; `None` when it stays as it is.
pub(super) fn distinct(value: &[u8]) -> Option<Vec<u8>> {
    let all = value.as_chunks::<12>().0;
    let mut before = (0..all.len()).map(|n| (&all[n], &all[..n]));
    if all.len() <= FEW && !before.any(|(one, before)| before.contains(one)) {
        return None;
    }
    let mut seen = BTreeSet::new();
    let first = all.iter().filter(|one| seen.insert(**one));
    let kept: Vec<u8> = first.flatten().copied().collect();
    (kept.len() < value.len()).then_some(kept)
}
