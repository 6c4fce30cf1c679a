//! The parts of the documents that a command writes.

use crate::{Outcome, cargo};
use std::time::SystemTime;

/// What others say of us.
pub(crate) const CONFORMANCE: &str = "docs/conformance.md";

/// What the server bears.
pub(crate) const FAULTS: &str = "docs/faults.md";

/// Puts results in the place of those in a document: what is between the marks of this name.
pub(crate) fn write(document: &str, name: &str, results: &str) -> Outcome {
    let path = cargo::root().join(document);
    let text = std::fs::read_to_string(&path)?;
    let text = replaced(&text, name, results).ok_or_else(|| format!("{document} has no marks for {name}"))?;
    std::fs::write(&path, text)?;
    eprintln!("{document}: {name} written");
    Ok(())
}

/// The day (UTC) as `2026-01-31`.
pub(crate) fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or(&now).to_owned()
}

fn replaced(text: &str, name: &str, results: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{results}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn results_replace_what_is_between_the_marks() {
        let text = "a\n<!-- b -->\nold\n<!-- /b -->\nc\n";
        let expect = "a\n<!-- b -->\nnew\n<!-- /b -->\nc\n";
        assert_eq!(replaced(text, "b", "new\n").as_deref(), Some(expect));
        assert_eq!(replaced(expect, "b", "new\n").as_deref(), Some(expect));
        assert_eq!(replaced(text, "c", "new\n"), None);
    }
}
