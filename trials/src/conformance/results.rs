//! What the suite reports, and what that comes to.

use super::cases::{GROUPS, group_of};
use crate::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The cases that the suite has no opinion on: whatever a server does, they are INFORMATIONAL.
const INFORMATIONAL: &[&str] = &["7.1.6", "7.13.1", "7.13.2"];

/// The suite's report on one server.
pub(super) struct Results {
    /// `behavior` and `behaviorClose` of each case.
    cases: BTreeMap<String, (String, String)>,
    /// How the suite calls itself, with its version.
    pub(super) suite: String,
}

impl Results {
    /// Reads the report that the suite has left in this folder.
    pub(super) fn read(folder: &Path) -> Outcome<Self> {
        let path = folder.join("index.json");
        let index = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let index: Value = serde_json::from_str(&index)?;
        let results = Self::of(&index)?;
        let first_report = servers(&index).next().and_then(|cases| cases.values().next());
        let suite = first_report
            .and_then(|case| std::fs::read_to_string(folder.join(case["reportfile"].as_str()?)).ok())
            .and_then(|report| user_agent(&report))
            .unwrap_or_else(|| "a suite that does not tell its version".to_owned());
        Ok(Self { suite, ..results })
    }

    fn of(index: &Value) -> Outcome<Self> {
        let mut servers = servers(index);
        let (Some(reported), None) = (servers.next(), servers.next()) else {
            return Err("the suite's report is not on one server".into());
        };
        let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
        let cases = reported
            .iter()
            .map(|(id, case)| (id.clone(), (text(&case["behavior"]), text(&case["behaviorClose"]))));
        Ok(Self { cases: cases.collect(), suite: String::new() })
    }

    /// How many cases were run.
    pub(super) fn len(&self) -> usize {
        self.cases.len()
    }

    /// What is not as it has to be, case by case.
    pub(super) fn faults(&self, expected: &[String]) -> Vec<String> {
        let bad = self.cases.iter().filter_map(|(id, (behavior, close))| {
            let is_good = |word: &str| {
                word == "OK" || (word == "INFORMATIONAL" && INFORMATIONAL.contains(&id.as_str()))
            };
            (!is_good(behavior) || !is_good(close)).then(|| format!("{id}: {behavior}, its close {close}"))
        });
        let missing = expected.iter().filter(|id| !self.cases.contains_key(*id));
        bad.chain(missing.map(|id| format!("{id}: was not run"))).collect()
    }

    /// The counts by group, as Markdown.
    pub(super) fn table(&self) -> String {
        let mut table = "| group | what it is about | cases | OK | INFORMATIONAL | anything else |\n\
                         | --- | --- | --: | --: | --: | --: |\n"
            .to_owned();
        let mut sum = [0; 4];
        for (group, about) in GROUPS {
            let counts = self.counts(group);
            if counts[0] > 0 {
                push_row(&mut table, group, about, counts);
            }
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        push_row(&mut table, "all", "", sum);
        table
    }

    /// Of a group's cases: how many there are, are OK, INFORMATIONAL, anything else.
    fn counts(&self, group: &str) -> [usize; 4] {
        let mut counts = [0; 4];
        for (behavior, close) in self.cases.iter().filter(|(id, _)| group_of(id) == group).map(|it| it.1) {
            counts[0] += 1;
            match (behavior.as_str(), close.as_str()) {
                ("OK", "OK") => counts[1] += 1,
                ("INFORMATIONAL", "OK" | "INFORMATIONAL") => counts[2] += 1,
                _ => counts[3] += 1,
            }
        }
        counts
    }
}

fn servers(index: &Value) -> impl Iterator<Item = &serde_json::Map<String, Value>> {
    index.as_object().into_iter().flat_map(serde_json::Map::values).filter_map(Value::as_object)
}

/// The name and version that the suite has sent with its opening handshake.
fn user_agent(report: &str) -> Option<String> {
    let report: Value = serde_json::from_str(report).ok()?;
    let request = report["httpRequest"].as_str()?;
    request.lines().find_map(|line| line.strip_prefix("User-Agent: ")).map(|name| name.trim().to_owned())
}

fn push_row(table: &mut String, group: &str, about: &str, [cases, ok, informational, other]: [usize; 4]) {
    let _ = writeln!(table, "| {group} | {about} | {cases} | {ok} | {informational} | {other} |");
}

#[cfg(test)]
mod tests {
    use super::{Results, user_agent};
    use serde_json::json;

    /// The faults in a report on one case.
    fn faults(id: &str, behavior: &str, close: &str) -> Vec<String> {
        let index = json!({ "server": { id: { "behavior": behavior, "behaviorClose": close } } });
        Results::of(&index).unwrap().faults(&[id.to_owned()])
    }

    #[test]
    fn nothing_but_ok_will_do() {
        for (id, behavior, close, expect) in [
            ("1.1.1", "OK", "OK", None),
            ("7.1.6", "INFORMATIONAL", "INFORMATIONAL", None),
            ("7.13.2", "INFORMATIONAL", "OK", None),
            ("7.1.5", "INFORMATIONAL", "OK", Some("7.1.5: INFORMATIONAL, its close OK")),
            ("1.1.1", "OK", "INFORMATIONAL", Some("1.1.1: OK, its close INFORMATIONAL")),
            ("6.4.1", "NON-STRICT", "OK", Some("6.4.1: NON-STRICT, its close OK")),
            ("12.1.1", "UNIMPLEMENTED", "OK", Some("12.1.1: UNIMPLEMENTED, its close OK")),
            ("1.1.1", "FAILED", "OK", Some("1.1.1: FAILED, its close OK")),
            ("1.1.1", "OK", "WRONG CODE", Some("1.1.1: OK, its close WRONG CODE")),
            ("1.1.1", "OK", "UNCLEAN", Some("1.1.1: OK, its close UNCLEAN")),
            ("7.1.6", "INFORMATIONAL", "UNCLEAN", Some("7.1.6: INFORMATIONAL, its close UNCLEAN")),
        ] {
            assert_eq!(faults(id, behavior, close), Vec::from_iter(expect), "{id} {behavior} {close}");
        }
    }

    #[test]
    fn a_case_that_was_not_run_is_a_fault() {
        let results = Results::of(&json!({ "server": {} })).unwrap();
        assert_eq!(results.faults(&["1.1.1".to_owned()]), ["1.1.1: was not run"]);
    }

    #[test]
    fn the_report_is_on_one_server() {
        assert!(Results::of(&json!({})).is_err());
        assert!(Results::of(&json!({ "a": {}, "b": {} })).is_err());
    }

    #[test]
    fn cases_are_counted_by_group() {
        let index = json!({ "server": {
            "1.1.1": { "behavior": "OK", "behaviorClose": "OK" },
            "10.1.1": { "behavior": "OK", "behaviorClose": "UNCLEAN" },
            "7.1.6": { "behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL" },
        } });
        let table = Results::of(&index).unwrap().table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| 1 | text and binary messages of every length | 1 | 1 | 0 | 0 |",
                "| 7 | closing handshake | 1 | 0 | 1 | 0 |",
                "| 10 | messages that the client fragments | 1 | 0 | 0 | 1 |",
                "| all |  | 3 | 1 | 1 | 1 |",
            ]
        );
    }

    #[test]
    fn the_suite_tells_its_version() {
        let report = r#"{ "httpRequest": "GET / HTTP/1.1\r\nUser-Agent: AutobahnTestSuite/1-2\r\n\r\n" }"#;
        assert_eq!(user_agent(report).as_deref(), Some("AutobahnTestSuite/1-2"));
        assert_eq!(user_agent("{}"), None);
    }
}
