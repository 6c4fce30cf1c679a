//! Checks of what the documents say about other files.

use std::path::Path;

/// The sections of RFC 6455 that put demands on an endpoint.
const SECTIONS: &[&str] = &["§4", "§5", "§6", "§7", "§8"];

/// Rows of the trace (`| §5.1 | "a demand" | where it is enforced | its tests |`) that name no test, or one that
/// does not exist, and sections without a row. `read` gives the text of a file.
pub(crate) fn trace_faults(trace: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let rows: Vec<Vec<&str>> = trace.lines().filter_map(cells).collect();
    for section in SECTIONS {
        let has_row = rows.iter().any(|row| {
            row[0].strip_prefix(section).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        });
        if !has_row {
            faults.push(format!("{section} has no row"));
        }
    }
    for row in rows {
        let (section, demand) = (row[0], row[1]);
        let [_, _, enforced, tests] = row[..] else {
            faults.push(format!("{section} {demand}: {} cells instead of 4", row.len()));
            continue;
        };
        let places = in_backticks(enforced).filter(|place| place.contains('/'));
        for place in places.filter(|place| read(place).is_none()) {
            faults.push(format!("{section} {demand}: there is no {place}"));
        }
        if in_backticks(tests).next().is_none() {
            faults.push(format!("{section} {demand}: no test"));
        }
        faults
            .extend(absent_tests(tests, &read).map(|test| format!("{section} {demand}: there is no {test}")));
    }
    faults
}

/// Rows of the incidents (`| incident | product | cause | our answer | its tests |`) that name no test, or one that does not
/// exist. A row about what is not here needs none. `read` gives the text of a file.
pub(crate) fn incident_faults(incidents: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let rows: Vec<Vec<&str>> = incidents
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|row: &Vec<&str>| row[0] != "incident" && !row[0].starts_with("---"))
        .collect();
    if rows.is_empty() {
        faults.push("there is no row".to_owned());
    }
    for row in rows {
        let [incident, _, _, answer, tests] = row[..] else {
            faults.push(format!("{}: {} cells instead of 5", row[0], row.len()));
            continue;
        };
        if in_backticks(tests).next().is_none() && !answer.starts_with("not here: ") {
            faults.push(format!("{incident}: no test"));
        }
        faults.extend(absent_tests(tests, &read).map(|test| format!("{incident}: there is no {test}")));
    }
    faults
}

/// The tests in backticks (`path/to/file.rs::test_name`) that are not there.
fn absent_tests<'t>(
    tests: &'t str,
    read: &'t impl Fn(&str) -> Option<String>,
) -> impl Iterator<Item = &'t str> {
    in_backticks(tests).filter(move |test| {
        let source = test.split_once("::").and_then(|(path, name)| Some((read(path)?, name)));
        !source.is_some_and(|(source, name)| source.contains(&format!("fn {name}(")))
    })
}

/// Fields of the configuration (`pub name:` in `sources`) that the table of limits (`| `field` | `--flag` | …`) does not
/// have, rows for fields that are none, and flags that the command line does not have.
pub(crate) fn limit_faults(limits: &str, sources: &[String], args: &str) -> Vec<String> {
    let fields: Vec<&str> =
        sources.iter().flat_map(|source| source.lines()).filter_map(public_field).collect();
    let rows: Vec<Vec<Vec<&str>>> = limits
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').skip(1).take(2).map(|cell| in_backticks(cell).collect()).collect())
        .collect();
    let mut faults = Vec::new();
    for field in &fields {
        if !rows.iter().any(|row| row[0].contains(field)) {
            faults.push(format!("`{field}` has no row"));
        }
    }
    for row in &rows {
        for name in row[0].iter().filter(|name| !fields.contains(name)) {
            faults.push(format!("there is no field `{name}`"));
        }
        for flag in &row[1] {
            let variable = format!("WSCLI_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
            if !args.contains(&format!("\"{variable}\"")) {
                faults.push(format!("there is no flag {flag}"));
            }
        }
    }
    faults
}

/// The fields of a configuration that hold others.
const GROUPS: [&str; 4] = ["access", "limits", "flow", "deadlines"];

/// The name in `pub name: Type`, unless it only holds others.
fn public_field(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().strip_prefix("pub ")?.split_once(": ")?;
    (!GROUPS.contains(&name) && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).then_some(name)
}

/// A file of a crate that the code map does not have. In the map, a crate's folder is followed by its files, each on a line.
pub(crate) fn map_faults(page: &str, path: &str) -> Vec<String> {
    let Some((krate, file)) = path.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) else {
        return Vec::new();
    };
    let folder = format!("crates/{krate}/src/");
    let lines = page.lines().skip_while(|line| **line != folder).skip(1);
    let mut files =
        lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    let is_there = file == "lib.rs" || files.any(|found| found == file);
    if is_there { Vec::new() } else { vec!["it is not in the code map".to_owned()] }
}

/// Links to files that are not there. `exists` is asked for paths from the root of the workspace.
pub(crate) fn link_faults(path: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut faults = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let file = target.split('#').next().unwrap_or("");
            let is_elsewhere = file.contains("://") || file.starts_with("mailto:");
            if !is_elsewhere && !file.is_empty() && !exists(&folder.join(file)) {
                faults.push(format!("line {number}: there is no {file}"));
            }
        }
    }
    faults
}

/// The cells of a row of the trace; other lines are none. The RFC writes `|Upgrade|`, a table `\|Upgrade\|`.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut escaped = false;
    let cells = inside.split(|c| {
        let ends = c == '|' && !escaped;
        escaped = c == '\\';
        ends
    });
    let cells: Vec<&str> = cells.map(str::trim).collect();
    (cells.len() > 1 && cells[0].starts_with('§')).then_some(cells)
}

fn in_backticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Where the links of a line lead: `[text](target)`, and `[name]: target` at its beginning.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let definition = line.strip_prefix('[').and_then(|rest| Some(rest.split_once("]: ")?.1.trim()));
    inline.chain(definition)
}

#[test]
fn files_that_the_map_lacks_are_found() {
    let page = "crates/a/src/\n  b.rs   It is b\n  c/d.rs It is d\ncrates/e/src/\n  f.rs It is f\n";
    for (path, is_there) in [
        ("crates/a/src/lib.rs", true),
        ("crates/a/src/b.rs", true),
        ("crates/a/src/c/d.rs", true),
        ("crates/a/src/f.rs", false),
        ("crates/e/src/f.rs", true),
        ("crates/g/src/h.rs", false),
        ("crates/a/tests/i.rs", true),
        ("xtask/src/j.rs", true),
    ] {
        assert_eq!(map_faults(page, path).is_empty(), is_there, "{path}");
    }
}

#[test]
fn limits_are_checked() {
    let sources =
        ["pub struct Config {\n    pub limits: Limits,\n    pub max_size: usize,\n    pub fn new() {}\n"
            .to_owned()];
    let args = "env = \"WSCLI_MAX_SIZE\"";
    for (limits, faults) in [
        ("| `max_size` | `--max-size` | 5 |", &[][..]),
        ("| `max_size` | | 5 |", &[]),
        ("", &["`max_size` has no row"]),
        ("| `max_size`, `gone` | `--max-size` | 5 |", &["there is no field `gone`"]),
        ("| `max_size` | `--size` | 5 |", &["there is no flag --size"]),
    ] {
        assert_eq!(limit_faults(limits, &sources, args), faults, "{limits}");
    }
}

#[test]
fn trace_is_checked() {
    let all = "| §4 | a | b | `t.rs::t` |\n| §5.1 | a | b | `t.rs::t` |\n| §6.1 | a | b | `t.rs::t` |\n\
               | §7.1 | a | b | `t.rs::t` |\n| §8.1 | a | b | `t.rs::t` |\n";
    let read = |path: &str| (path == "t.rs" || path == "src/a.rs").then(|| "fn t() {}".to_owned());
    for (row, faults) in [
        ("| section | demand | place | tests |\n| --- | --- | --- | --- |", vec![]),
        ("| §5.2 | a | `src/a.rs`, `Error` | `t.rs::t`, `src/a.rs::t` |", vec![]),
        ("| §5.2 | a \\|b\\| c | d | `t.rs::t` |", vec![]),
        ("| §5.2 | a |b| c | d | `t.rs::t` |", vec!["§5.2 a: 6 cells instead of 4"]),
        ("| §5.2 | a | `src/b.rs` | `t.rs::t` |", vec!["§5.2 a: there is no src/b.rs"]),
        ("| §5.2 | a | b | t |", vec!["§5.2 a: no test"]),
        ("| §5.2 | a | b | `t.rs::u` |", vec!["§5.2 a: there is no t.rs::u"]),
        ("| §5.2 | a | b | `u.rs::t` |", vec!["§5.2 a: there is no u.rs::t"]),
        ("| §5.2 | a | b | `t` |", vec!["§5.2 a: there is no t"]),
        ("| §5.2 | a | `t.rs::t` |", vec!["§5.2 a: 3 cells instead of 4"]),
    ] {
        assert_eq!(trace_faults(&format!("{all}{row}\n"), read), faults, "{row}");
    }
    let without_section_4 = all.replace("§4", "§40");
    assert_eq!(trace_faults(&without_section_4, read), ["§4 has no row"]);
}

#[test]
fn links_are_checked() {
    for (text, faults) in [
        ("[a](there.md) [b](there.md#c \"title\") [c](#d) [d](https://example.com/e)", vec![]),
        ("```\n[a](gone.md)\n```", vec![]),
        ("[a]: there.md\n[b]: https://example.com", vec![]),
        ("\n![a](there.md) [b](gone.md)", vec!["line 2: there is no gone.md"]),
        ("[a]: gone.md", vec!["line 1: there is no gone.md"]),
    ] {
        let exists = |path: &Path| path == Path::new("docs/there.md");
        assert_eq!(link_faults("docs/a.md", text, exists), faults, "{text}");
    }
}

#[test]
fn a_row_of_an_incident_has_a_test_or_is_about_what_is_not_here() {
    let read = |path: &str| (path == "a.rs").then(|| "fn holds() {}".to_owned());
    let head = "| incident | product | cause | our answer | tests |\n| --- | --- | --- | --- | --- |\n";
    for (row, faults) in [
        ("| CVE-1 | x | y | refused | `a.rs::holds` |", vec![]),
        ("| CVE-1 | x | y | not here: no TLS | |", vec![]),
        ("| CVE-1 | x | y | refused | |", vec!["CVE-1: no test"]),
        ("| CVE-1 | x | y | refused | `a.rs::is_not_there` |", vec!["CVE-1: there is no a.rs::is_not_there"]),
        ("| CVE-1 | x | y | refused | `b.rs::holds` |", vec!["CVE-1: there is no b.rs::holds"]),
        ("| CVE-1 | x | y | `a.rs::holds` |", vec!["CVE-1: 4 cells instead of 5"]),
        ("", vec!["there is no row"]),
    ] {
        assert_eq!(incident_faults(&format!("{head}{row}\n"), read), faults, "{row}");
    }
}
