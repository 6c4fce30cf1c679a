//! Dates as HTTP writes them (RFC 9110 §5.6.7).

use core::fmt;

/// A time in seconds since the beginning of 1970 in UTC, shown as an `IMF-fixdate`: `Sun, 06 Nov 1994 08:49:37 GMT`. A
/// year has four digits; a later time counts as the end of 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HttpDate(pub(crate) u64);

/// The last second of the year 9999.
const MAX_SECONDS: u64 = 253_402_300_799;

const DAY_NAMES: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.min(MAX_SECONDS);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // 1970 began on a Thursday.
        let day_name = DAY_NAMES.into_iter().cycle().nth((days % 7) as usize).unwrap_or_default();
        let (year, day_of_year) = year_of(days);
        let (month, day) = month_of(day_of_year, is_leap(year));
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{day_name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// The year of a day since the beginning of 1970, and the day within it from 0 on.
fn year_of(days: u64) -> (u64, u64) {
    // The first day of a year; the years before 1970 had 477 leap days.
    let first_day = |year: u64| {
        let before = year - 1;
        (year - 1970) * 365 + before / 4 - before / 100 + before / 400 - 477
    };
    // No year is longer than 366 days: the first guess is early, by less than 20 years in the year 9999.
    let mut year = 1970 + days / 366;
    while first_day(year + 1) <= days {
        year += 1;
    }
    (year, days - first_day(year))
}

/// The month of a day of a year, and the day within it from 1 on.
fn month_of(mut day: u64, is_leap: bool) -> (&'static str, u64) {
    let mut name = "";
    for (month, len) in MONTHS {
        let len = len + u64::from(is_leap && month == "Feb");
        name = month;
        if day < len {
            break;
        }
        day -= len;
    }
    (name, day + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::HttpDate;

    #[test]
    fn dates() {
        for (seconds, expect) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (86_399, "Thu, 01 Jan 1970 23:59:59 GMT"),
            (86_400, "Fri, 02 Jan 1970 00:00:00 GMT"),
            (31_535_999, "Thu, 31 Dec 1970 23:59:59 GMT"),
            (31_536_000, "Fri, 01 Jan 1971 00:00:00 GMT"),
            (68_169_600, "Tue, 29 Feb 1972 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), // the example of RFC 9110
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (978_307_199, "Sun, 31 Dec 2000 23:59:59 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate(seconds).to_string(), expect, "{seconds}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = HttpDate(0).to_string();
        for day in 1..50_000 {
            let next = HttpDate(day * 86_400).to_string();
            let day_of_month = |date: &str| date.get(5..7).and_then(|day| day.parse::<u32>().ok());
            let (before, after) = (day_of_month(&last).unwrap(), day_of_month(&next).unwrap());
            assert!(after == before + 1 || (after == 1 && before >= 28), "{last}, {next}");
            last = next;
        }
    }
}
