//! Names of files that have the time in them, in UTC: `/var/log/tapway/updates.%Y%m%d.%H%M.mrt`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A name with fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Checks a name.
    ///
    /// # Errors
    /// When it does not begin with `/`, or has a field that is not known.
    pub fn parse(text: &str) -> Result<Template, String> {
        if !text.starts_with('/') || text.ends_with('/') {
            return Err(format!(
                "{text:?} is no file; write a path that begins with /, like \"/var/log/tapway/updates.%Y%m%d.%H%M.mrt\""
            ));
        }
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                continue;
            }
            match rest.next() {
                Some('Y' | 'm' | 'd' | 'H' | 'M' | 'S' | 's' | '%') => {}
                other => {
                    let field: String = ['%'].into_iter().chain(other).collect();
                    return Err(format!(
                        "{field:?} is no field; %Y %m %d %H %M %S (in UTC), %s (seconds since 1970) and %% are"
                    ));
                }
            }
        }
        Ok(Template(text.to_owned()))
    }

    /// The name at a time since 1970.
    pub fn at(&self, time: Duration) -> PathBuf {
        let seconds = time.as_secs();
        let (year, month, day) = date(seconds / 86_400);
        let of_day = seconds % 86_400;
        let mut name = String::with_capacity(self.0.len() + 16);
        let mut rest = self.0.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                name.push(c);
                continue;
            }
            let number = |width: usize, number: u64| format!("{number:0width$}");
            match rest.next() {
                Some('Y') => name += &number(4, year),
                Some('m') => name += &number(2, month),
                Some('d') => name += &number(2, day),
                Some('H') => name += &number(2, of_day / 3600),
                Some('M') => name += &number(2, of_day / 60 % 60),
                Some('S') => name += &number(2, of_day % 60),
                Some('s') => name += &number(0, seconds),
                other => name.extend(other),
            }
        }
        name.into()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Year, month and day of so many days after 1970-01-01, in the Gregorian calendar. Years are counted from March, so that the
/// day that comes and goes is their last.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, of_era) = (days / ERA, days % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_700_000_000, "2023-11-14 22:13:20"),
            (1_709_164_800, "2024-02-29 00:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            let template = Template::parse("/%Y-%m-%d %H:%M:%S").unwrap();
            let name = template.at(Duration::from_secs(seconds));
            assert_eq!(name.to_str().unwrap()[1..], *text);
        }
    }

    #[test]
    fn fields_are_checked() {
        let name = Template::parse("/x/%s-100%%").unwrap();
        assert_eq!(name.at(Duration::from_secs(7)).to_str(), Some("/x/7-100%"));
        for (text, part) in [
            ("updates.mrt", "begins with /"),
            ("/var/", "is no file"),
            ("/x.%q", "\"%q\" is no field"),
            ("/x.%", "\"%\" is no field"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
