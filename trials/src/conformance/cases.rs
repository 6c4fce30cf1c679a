//! The cases of the suite, and which of them are meant.

/// How many cases the suite has under each number: `("1.1", 8)` is `1.1.1` to `1.1.8`.
const CASES: &[(&str, u32)] = &[
    ("1.1", 8),
    ("1.2", 8),
    ("2", 11),
    ("3", 7),
    ("4.1", 5),
    ("4.2", 5),
    ("5", 20),
    ("6.1", 3),
    ("6.2", 4),
    ("6.3", 2),
    ("6.4", 4),
    ("6.5", 5),
    ("6.6", 11),
    ("6.7", 4),
    ("6.8", 2),
    ("6.9", 4),
    ("6.10", 3),
    ("6.11", 5),
    ("6.12", 8),
    ("6.13", 5),
    ("6.14", 10),
    ("6.15", 1),
    ("6.16", 3),
    ("6.17", 5),
    ("6.18", 5),
    ("6.19", 5),
    ("6.20", 7),
    ("6.21", 8),
    ("6.22", 34),
    ("6.23", 7),
    ("7.1", 6),
    ("7.3", 6),
    ("7.5", 1),
    ("7.7", 13),
    ("7.9", 9),
    ("7.13", 2),
    ("9.1", 6),
    ("9.2", 6),
    ("9.3", 9),
    ("9.4", 9),
    ("9.5", 6),
    ("9.6", 6),
    ("9.7", 6),
    ("9.8", 6),
    ("10.1", 1),
    ("12.1", 18),
    ("12.2", 18),
    ("12.3", 18),
    ("12.4", 18),
    ("12.5", 18),
    ("13.1", 18),
    ("13.2", 18),
    ("13.3", 18),
    ("13.4", 18),
    ("13.5", 18),
    ("13.6", 18),
    ("13.7", 18),
];

/// The suite's groups, and what each is about.
pub(super) const GROUPS: &[(&str, &str)] = &[
    ("1", "text and binary messages of every length"),
    ("2", "pings and pongs"),
    ("3", "reserved bits"),
    ("4", "reserved opcodes"),
    ("5", "fragmentation"),
    ("6", "UTF-8"),
    ("7", "closing handshake"),
    ("9", "messages up to 16 MiB, and many fragments"),
    ("10", "messages that the client fragments"),
    ("12", "permessage-deflate, by kind of data"),
    ("13", "permessage-deflate, by parameters"),
];

/// Every case.
pub(super) fn all() -> impl Iterator<Item = String> {
    CASES.iter().flat_map(|(group, count)| (1..=*count).map(move |number| format!("{group}.{number}")))
}

/// The group that a case belongs to.
pub(super) fn group_of(id: &str) -> &str {
    id.split('.').next().unwrap_or(id)
}

/// How many of these cases each group has, for people: `12.* (90), 13.* (126)`.
pub(super) fn by_group(ids: &[String]) -> String {
    let counts =
        GROUPS.iter().map(|(group, _)| (group, ids.iter().filter(|id| group_of(id) == *group).count()));
    let counts = counts.filter(|(_, count)| *count > 0).map(|(group, count)| format!("{group}.* ({count})"));
    counts.collect::<Vec<_>>().join(", ")
}

/// Whether a pattern means a case, as in the suite's own specifications: `6.4.1`, or `9.*` for all that begin so.
pub(super) fn matches(pattern: &str, id: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| id.strip_prefix(first)) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    pieces.all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, all, by_group, group_of, matches};
    use std::collections::BTreeSet;

    #[test]
    fn the_suite_has_517_cases() {
        let ids: BTreeSet<String> = all().collect();
        assert_eq!(ids.len(), 517);
        for id in ["1.1.1", "2.11", "6.22.34", "10.1.1", "13.7.18"] {
            assert!(ids.contains(id), "{id}");
        }
        for id in &ids {
            assert!(GROUPS.iter().any(|(group, _)| *group == group_of(id)), "{id}");
        }
    }

    #[test]
    fn cases_are_named_by_group() {
        let ids = ["12.1.1", "2.11", "12.1.2"].map(str::to_owned);
        assert_eq!(by_group(&ids), "2.* (1), 12.* (2)");
    }

    #[test]
    fn patterns_mean_what_they_mean_to_the_suite() {
        for (pattern, id, expect) in [
            ("*", "1.1.1", true),
            ("1.*", "1.1.1", true),
            ("1.*", "10.1.1", false),
            ("1*", "10.1.1", true),
            ("6.4.1", "6.4.1", true),
            ("6.4.1", "6.4.10", false),
            ("6.4", "6.4.1", false),
            ("6.*.1", "6.4.1", true),
            ("6.*.2", "6.4.1", false),
        ] {
            assert_eq!(matches(pattern, id), expect, "{pattern} {id}");
        }
    }
}
