//! Colours, or none.

use std::io::IsTerminal;

/// How text is decorated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

/// What a text means; decides its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Somebody should look.
    Warn,
    /// Something does not work.
    Bad,
    /// Less important.
    Dim,
    /// A heading.
    Strong,
}

impl Style {
    /// Without colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Style = Style { colour: false };

    /// Colours when standard output is a terminal and `NO_COLOR` is not set (no-color.org).
    pub(crate) fn detect() -> Style {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Style {
            colour: !refused && std::io::stdout().is_terminal(),
        }
    }

    /// `text` in the colour of `tone`.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paints_only_when_asked() {
        let colour = Style { colour: true };
        assert_eq!(colour.paint(Tone::Bad, "no"), "\x1b[31mno\x1b[0m");
        assert_eq!(colour.paint(Tone::Plain, "so"), "so");
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "no"), "no");
    }
}
