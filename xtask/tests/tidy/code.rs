//! Rust source reduced to what the compiler acts on, for checks that look for words.

/// The source with every comment and every literal blanked out, line breaks kept.
///
/// A small lexer: it knows just enough of Rust to tell where comments, strings and characters end.
pub(crate) fn without_comments_and_literals(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped_len = comment_len(rest).or_else(|| literal_len(rest, &code));
        let len = skipped_len.unwrap_or(first.len_utf8());
        let (token, after) = rest.split_at(len);
        match skipped_len {
            None => code.push_str(token),
            Some(_) => code.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        rest = after;
    }
    code
}

/// The code without the items that only tests see (`#[cfg(test)]`). Expects neither comments nor literals in it.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let mut depth = 0_usize;
        let end = item.find(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && matches!(c, ';' | '}')
        });
        rest = end.map_or("", |end| &item[end + 1..]);
    }
    kept + rest
}

/// The lines, counted from 1, in which the word stands by itself.
pub(crate) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stands_in = |line: &str| {
        line.match_indices(word)
            .any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
    };
    (1..).zip(code.lines()).filter(|(_, line)| stands_in(line)).map(|(number, _)| number).collect()
}

fn comment_len(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    let mut inside = rest.strip_prefix("/*")?;
    let mut depth = 1;
    while depth > 0 {
        let at = inside.find("*/").unwrap_or(inside.len());
        match inside.find("/*").filter(|open| *open < at) {
            Some(open) => {
                depth += 1;
                inside = &inside[open + 2..];
            }
            None => {
                depth -= 1;
                inside = inside.get(at + 2..).unwrap_or("");
            }
        }
        if inside.is_empty() {
            break;
        }
    }
    Some(rest.len() - inside.len())
}

/// The length of the literal that `rest` begins with, after the code that is `before` it.
fn literal_len(rest: &str, before: &str) -> Option<usize> {
    if let Some(inside) = rest.strip_prefix('"') {
        let hashes = raw_hashes(before);
        let end = match hashes {
            Some(hashes) => inside.find(&format!("\"{}", "#".repeat(hashes)))? + hashes,
            None => end_of_escaped(inside, '"')?,
        };
        return Some(1 + end + 1);
    }
    let inside = rest.strip_prefix('\'')?;
    let is_char = inside.starts_with('\\') || inside.chars().nth(1) == Some('\'');
    is_char.then(|| Some(1 + end_of_escaped(inside, '\'')? + 1))?
}

/// How many `#` a raw string needs to end, when the code before its quote says that it is one.
fn raw_hashes(before: &str) -> Option<usize> {
    let prefix = before.trim_end_matches('#');
    let is_raw = prefix.ends_with('r') || prefix.ends_with("br") || prefix.ends_with("cr");
    is_raw.then_some(before.len() - prefix.len())
}

fn end_of_escaped(inside: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    inside.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

#[test]
fn comments_and_literals_are_blanked() {
    for (source, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d\n */ e", "a               \n    e"),
        (r#"a "b \" // c" d"#, "a             d"),
        ("a 'b' '\\'' '\"' d", "a              d"),
        ("fn a<'b>(c: &'b str) {}", "fn a<'b>(c: &'b str) {}"),
        (r##"r#"a " b"# c"##, "r#         c"),
        ("br\"a\\\" b", "br     b"),
        ("'é' \"é\n\" f", "      \n  f"),
    ] {
        assert_eq!(without_comments_and_literals(source), code, "{source}");
    }
}

#[test]
fn test_items_are_left_out() {
    for (code, kept) in [
        ("a; #[cfg(test)] mod tests { fn b() { c; } } d", "a;  d"),
        ("#[cfg(test)]\nextern crate std;\nuse a;", "\nuse a;"),
        ("#[cfg(test)] mod tests { a", ""),
        ("a", "a"),
    ] {
        assert_eq!(without_tests(code), kept, "{code}");
    }
}

#[test]
fn words_stand_by_themselves() {
    for (code, lines) in [("std\nstd::mem", vec![1, 2]), ("stdin\nthis_std\nx\n(std)", vec![4]), ("", vec![])]
    {
        assert_eq!(lines_with(code, "std"), lines, "{code}");
    }
}
