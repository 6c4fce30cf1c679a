//! Sizes and durations, with one notation for reading and showing them: `16MiB`, `500ms`.

use std::{fmt, str::FromStr, time::Duration};

/// A number of bytes, at least 1: `16MiB`, `64KiB`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) usize);

/// A duration from a millisecond to a year: `10s`, `500ms`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) Duration);

/// The units of a size, in bytes. Decimal units (kB, MB) are left out, as many people read them as
/// 1024 and its powers.
const SIZE_UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The longest duration: more than any use needs, and far from an overflow of the clock's
/// arithmetic.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected bytes, or a number of KiB, MiB or GiB, such as 64KiB";
        let number_len = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(number_len);
        let unit = unit.trim_start();
        let bytes = match SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() => 1,
            None => return Err(EXPECTED),
        };
        if number.is_empty() {
            return Err(EXPECTED);
        }
        match number.parse().ok().and_then(|number: usize| number.checked_mul(bytes)) {
            Some(0) => Err("it must be at least 1 byte"),
            Some(bytes) => Ok(Self(bytes)),
            None => Err("it is more than this machine can address"),
        }
    }
}

/// In the largest unit that it is a whole number of.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in SIZE_UNITS {
            if self.0 >= bytes && self.0.is_multiple_of(bytes) {
                return write!(f, "{}{name}", self.0 / bytes);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl FromStr for Timeout {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration < Duration::from_millis(1) => Err("it must be at least 1ms"),
            Ok(duration) if duration > YEAR => Err("it must be at most a year"),
            Ok(duration) => Ok(Self(duration)),
            Err(_) => Err("expected a number with its unit, such as 500ms, 10s or 2m"),
        }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Size, Timeout, YEAR};
    use std::time::Duration;

    #[test]
    fn sizes_are_read() {
        for (text, expect) in [
            ("1", Some(1)),
            ("1048576", Some(1 << 20)),
            ("512B", Some(512)),
            ("64KiB", Some(64 << 10)),
            ("16MiB", Some(16 << 20)),
            ("3GiB", Some(3 << 30)),
            ("16 MiB", Some(16 << 20)),
            ("16mib", Some(16 << 20)),
            ("0", None),
            ("0MiB", None),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("+1", None),
            ("1.5MiB", None),
            ("16M", None),
            ("16MB", None),
            ("16 MiB ", None),
            ("18446744073709551616", None),
            ("17179869184GiB", None),
        ] {
            assert_eq!(text.parse::<Size>().ok(), expect.map(Size), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_are_read() {
        for (bytes, expect) in [
            (1, "1B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (1025, "1025B"),
            (256 << 10, "256KiB"),
            (1536 << 10, "1536KiB"),
            (16 << 20, "16MiB"),
            (1 << 30, "1GiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), expect);
            assert_eq!(expect.parse(), Ok(Size(bytes)));
        }
    }

    #[test]
    fn timeouts_are_read() {
        for (text, expect) in [
            ("10s", Some(Duration::from_secs(10))),
            ("500ms", Some(Duration::from_millis(500))),
            ("2m", Some(Duration::from_secs(120))),
            ("1h 30m", Some(Duration::from_secs(5400))),
            ("1ms", Some(Duration::from_millis(1))),
            ("365d", Some(YEAR)),
            ("0", None),
            ("0s", None),
            ("999us", None),
            ("366d", None),
            ("10", None),
            ("-1s", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Timeout>().ok(), expect.map(Timeout), "{text:?}");
        }
    }

    #[test]
    fn timeouts_are_shown_as_they_are_read() {
        for text in ["10s", "500ms", "2m", "1h 30m"] {
            assert_eq!(text.parse::<Timeout>().unwrap().to_string(), text);
        }
    }
}
