//! Between key paths and positions in a TOML text.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Line and column, from 1, of the byte at `offset`. Columns count characters.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before[start..].chars().count() + 1;
    let cap = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (cap(line), cap(column))
}

/// The byte range of `key`, or of the nearest table around it that is written in the text.
/// A table stands where its name stands.
pub(crate) fn span_of(root: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    in_table(root, key).map(|found| found.span)
}

struct Found {
    span: Range<usize>,
    /// Bytes of the path that could not be followed.
    left: usize,
}

/// Names may hold dots themselves, so every key that the path starts with is tried; the one that
/// leads furthest is it.
fn in_table(table: &DeTable<'_>, path: &str) -> Option<Found> {
    let mut best: Option<Found> = None;
    for (key, value) in table {
        let Some(rest) = path.strip_prefix(key.get_ref().as_ref()) else {
            continue;
        };
        if !(rest.is_empty() || rest.starts_with(['.', '['])) {
            continue;
        }
        let own = match value.get_ref() {
            DeValue::Table(_) => key.span(),
            DeValue::Array(a) if a.iter().all(|v| v.get_ref().is_table()) && !a.is_empty() => {
                key.span()
            }
            _ => value.span(),
        };
        let found = in_value(value.get_ref(), rest).unwrap_or(Found {
            span: own,
            left: rest.len(),
        });
        if best.as_ref().is_none_or(|b| found.left < b.left) {
            best = Some(found);
        }
    }
    best
}

fn in_value(value: &DeValue<'_>, rest: &str) -> Option<Found> {
    match value {
        DeValue::Table(table) => in_table(table, rest.strip_prefix('.')?),
        DeValue::Array(array) => {
            let (position, rest) = rest.strip_prefix('[')?.split_once(']')?;
            let item = array.get(position.parse::<usize>().ok()?)?;
            Some(in_value(item.get_ref(), rest).unwrap_or(Found {
                span: item.span(),
                left: rest.len(),
            }))
        }
        _ => None,
    }
}

/// The path of the key that `span` is about: the one whose name or value is the smallest around it.
pub(crate) fn key_at(root: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let mut best = None;
    walk_table(root, "", span, &mut best);
    best.map(|(_, key)| key)
}

type Best = Option<(usize, String)>;

fn offer(best: &mut Best, around: Range<usize>, span: &Range<usize>, key: &str) {
    let holds = around.start <= span.start && span.end <= around.end;
    if holds && best.as_ref().is_none_or(|(len, _)| around.len() <= *len) {
        *best = Some((around.len(), key.to_string()));
    }
}

fn walk_table(table: &DeTable<'_>, path: &str, span: &Range<usize>, best: &mut Best) {
    for (key, value) in table {
        let dot = if path.is_empty() { "" } else { "." };
        let here = format!("{path}{dot}{}", key.get_ref());
        offer(best, key.span(), span, &here);
        walk_value(value.get_ref(), value.span(), &here, span, best);
    }
}

fn walk_value(
    value: &DeValue<'_>,
    own: Range<usize>,
    path: &str,
    span: &Range<usize>,
    best: &mut Best,
) {
    offer(best, own, span, path);
    match value {
        DeValue::Table(table) => walk_table(table, path, span, best),
        DeValue::Array(array) => {
            for (i, item) in array.iter().enumerate() {
                walk_value(
                    item.get_ref(),
                    item.span(),
                    &format!("{path}[{i}]"),
                    span,
                    best,
                );
            }
        }
        _ => {}
    }
}
