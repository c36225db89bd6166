//! Aligned columns.

use crate::style::{Style, Tone};

/// One field of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text with a meaning.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            tone,
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(value: T) -> Cell {
        Cell::new(Tone::Plain, value.to_string())
    }
}

/// Rows under headings. A heading that begins with `>` is of a column of numbers, which are aligned
/// to the right. A column that is empty in every row is left out.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headings: &'static [&'static str]) -> Table {
        Table {
            headings,
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each heading.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.headings.len());
        self.rows.push(cells.into());
    }

    /// The text; `none` when there is no row.
    pub(crate) fn render(&self, style: Style, none: &str) -> String {
        if self.rows.is_empty() {
            return format!("{none}\n");
        }
        let columns: Vec<(usize, &str, bool, usize)> = self
            .headings
            .iter()
            .enumerate()
            .filter_map(|(i, heading)| {
                let widest = self.rows.iter().map(|row| width(&row[i].text)).max()?;
                let right = heading.starts_with('>');
                let heading = heading.trim_start_matches('>');
                (widest > 0).then_some((i, heading, right, widest.max(width(heading))))
            })
            .collect();
        let mut out = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = (String, usize, bool, usize)>| {
            let mut text = String::new();
            // Spaces are only written when something follows them.
            let mut owed = 0;
            for (i, (painted, plain, right, column)) in cells.enumerate() {
                owed += if i > 0 { 2 } else { 0 };
                let fill = column - plain;
                if right {
                    owed += fill;
                }
                if plain > 0 {
                    text.extend(std::iter::repeat_n(' ', owed));
                    text.push_str(&painted);
                    owed = 0;
                } else {
                    owed += plain;
                }
                if !right {
                    owed += fill;
                }
            }
            out.push_str(&text);
            out.push('\n');
        };
        line(&mut columns.iter().map(|(_, heading, right, column)| {
            (
                style.paint(Tone::Strong, heading),
                width(heading),
                *right,
                *column,
            )
        }));
        for row in &self.rows {
            line(&mut columns.iter().map(|(i, _, right, column)| {
                let cell = &row[*i];
                (
                    style.paint(cell.tone, &cell.text),
                    width(&cell.text),
                    *right,
                    *column,
                )
            }));
        }
        out
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new(&["NAME", ">COUNT", "EMPTY", "NOTE"]);
        table.row(["a".into(), 5.into(), "".into(), "".into()]);
        table.row([
            "größer".into(),
            12345.into(),
            "".into(),
            Cell::new(Tone::Bad, "x"),
        ]);
        assert_eq!(
            table.render(Style::PLAIN, "nothing"),
            "NAME    COUNT  NOTE\n\
             a           5\n\
             größer  12345  x\n"
        );
        assert_eq!(
            Table::new(&["A"]).render(Style::PLAIN, "nothing"),
            "nothing\n"
        );
    }
}
