//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1). It knows no extension.

use alloc::{borrow::Cow, string::String, vec::Vec};

use crate::{
    error::HandshakeError,
    fields::{elements, token, trim},
};

/// The most extensions that the fields of one head may have. Browsers offer one.
const MAX_EXTENSIONS: usize = 32;

/// The most parameters of all of them together. Four offers of permessage-deflate may have that many.
const MAX_PARAMS: usize = 16;

/// One extension with its parameters: offered in a request, or in use in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension<'b> {
    name: &'b str,
    params: Vec<(&'b str, Option<Cow<'b, str>>)>,
}

impl<'b> Extension<'b> {
    /// Its name, such as `permessage-deflate`.
    pub fn name(&self) -> &'b str {
        self.name
    }

    /// Its parameters in order, with the values of those that have one; a quoted value is unquoted.
    ///
    /// A parameter that is there twice is there twice: what that means is the extension's concern.
    pub fn params(&self) -> impl Iterator<Item = (&'b str, Option<&str>)> {
        self.params.iter().map(|(name, value)| (*name, value.as_deref()))
    }

    /// `extension = extension-token *( ";" extension-param )`, with at most `max_params` of them
    fn parse(element: &'b [u8], max_params: usize) -> Result<Self, HandshakeError> {
        const MALFORMED: HandshakeError = HandshakeError::ExtensionsMalformed;
        // A quoted value may have neither `;` nor `=`, as what is in the quotes has to be a token.
        let mut parts = element.split(|&byte| byte == b';');
        let name = parts.next().and_then(|name| token(trim(name))).ok_or(MALFORMED)?;
        let mut params = Vec::new();
        for part in parts {
            if params.len() == max_params {
                return Err(HandshakeError::TooManyExtensions);
            }
            params.push(parse_param(part).ok_or(MALFORMED)?);
        }
        Ok(Self { name, params })
    }
}

/// The extensions in the values of all `Sec-WebSocket-Extensions` fields, in order.
///
/// # Errors
///
/// They are outside the grammar, which wants at least one extension if there is a field, or more than may be.
pub(crate) fn parse_extensions<'b>(
    values: impl Iterator<Item = &'b [u8]>,
) -> Result<Vec<Extension<'b>>, HandshakeError> {
    // RFC 6455 §9.1: "this header field MAY be split or combined across multiple lines."
    let mut values = values.peekable();
    if values.peek().is_none() {
        return Ok(Vec::new());
    }
    let (mut extensions, mut max_params) = (Vec::new(), MAX_PARAMS);
    for element in values.flat_map(elements) {
        if extensions.len() == MAX_EXTENSIONS {
            return Err(HandshakeError::TooManyExtensions);
        }
        let extension = Extension::parse(element, max_params)?;
        max_params -= extension.params.len();
        extensions.push(extension);
    }
    if extensions.is_empty() { Err(HandshakeError::ExtensionsMalformed) } else { Ok(extensions) }
}

/// `extension-param = token [ "=" (token | quoted-string) ]`, with white space anywhere between
fn parse_param(param: &[u8]) -> Option<(&str, Option<Cow<'_, str>>)> {
    let mut parts = param.splitn(2, |&byte| byte == b'=').map(trim);
    let name = token(parts.next()?)?;
    let value = match parts.next() {
        Some(value) => Some(parse_value(value)?),
        None => None,
    };
    Some((name, value))
}

fn parse_value(value: &[u8]) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix(b"\"") else { return token(value).map(Cow::Borrowed) };
    // RFC 6455 §9.1: "When using the quoted-string syntax variant, the value after quoted-string unescaping
    // MUST conform to the 'token' ABNF."
    let quoted = quoted.strip_suffix(b"\"")?;
    if !quoted.contains(&b'\\') {
        return token(quoted).map(Cow::Borrowed);
    }
    let mut unescaped = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(&byte) = bytes.next() {
        // quoted-pair = "\" CHAR
        unescaped.push(if byte == b'\\' { *bytes.next()? } else { byte });
    }
    token(&unescaped).map(|value| Cow::Owned(String::from(value)))
}

#[cfg(test)]
mod tests {
    use alloc::{
        format,
        string::{String, ToString},
        vec::Vec,
    };

    use super::{HandshakeError, MAX_EXTENSIONS, MAX_PARAMS, parse_extensions};

    /// The extensions of these lines, in a canonical spelling.
    fn parse(lines: &[&str]) -> Result<Vec<String>, HandshakeError> {
        let extensions = parse_extensions(lines.iter().map(|line| line.as_bytes()))?;
        let spell = |(name, value): (&str, Option<&str>)| match value {
            Some(value) => format!(";{name}={value}"),
            None => format!(";{name}"),
        };
        Ok(extensions
            .iter()
            .map(|it| it.name().to_string() + &it.params().map(spell).collect::<String>())
            .collect())
    }

    #[test]
    fn inside_the_grammar() {
        for (rule, lines, expect) in [
            ("no field", &[][..], &[][..]),
            ("an extension", &["foo"], &["foo"]),
            (
                "of the RFC",
                &["mux; max-channels=4; flow-control, deflate-stream"],
                &["mux;max-channels=4;flow-control", "deflate-stream"],
            ),
            ("of the RFC, in one line", &["foo, bar; baz=2"], &["foo", "bar;baz=2"]),
            ("of the RFC, in two lines", &["foo", "bar; baz=2"], &["foo", "bar;baz=2"]),
            ("white space everywhere", &[" \tfoo ; a = 1 ;\tb , bar"], &["foo;a=1;b", "bar"]),
            ("no white space", &["foo;a=1;b,bar"], &["foo;a=1;b", "bar"]),
            ("quoted", &["foo; a=\"10\""], &["foo;a=10"]),
            ("quoted and escaped", &["foo; a=\"\\1\\0\""], &["foo;a=10"]),
            ("a parameter twice", &["foo; a; a=1"], &["foo;a;a=1"]),
            ("an extension twice", &["foo; a, foo"], &["foo;a", "foo"]),
            ("empty elements", &[", foo,, bar,"], &["foo", "bar"]),
            ("an empty line beside another", &["", "foo"], &["foo"]),
            ("case is kept", &["Foo; A=B"], &["Foo;A=B"]),
        ] {
            assert_eq!(
                parse(lines).as_deref(),
                Ok(&expect.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{rule}"
            );
        }
    }

    #[test]
    fn no_more_than_a_few() {
        let offers = |count| ["foo"].repeat(count).join(", ");
        let params = |count| ["; a"].repeat(count).concat();
        let (many, few) = (MAX_EXTENSIONS, MAX_PARAMS);
        for (rule, lines, expect) in [
            ("as many offers as may be", &[offers(many)][..], Ok(many)),
            ("one more", &[offers(many + 1)], Err(HandshakeError::TooManyExtensions)),
            ("in lines", &[offers(many), offers(1)], Err(HandshakeError::TooManyExtensions)),
            ("empty elements are none", &[", ".repeat(many) + &offers(many)], Ok(many)),
            ("as many parameters as may be", &[offers(2) + &params(few)], Ok(2)),
            ("one more", &[offers(1) + &params(few + 1)], Err(HandshakeError::TooManyExtensions)),
            (
                "in all offers together",
                &[offers(1) + &params(few), offers(1) + &params(1)],
                Err(HandshakeError::TooManyExtensions),
            ),
            (
                "malformed before",
                &[offers(1) + ";;" + &params(few)],
                Err(HandshakeError::ExtensionsMalformed),
            ),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(parse(&lines).map(|extensions| extensions.len()), expect, "{rule}");
        }
    }

    #[test]
    fn outside_the_grammar() {
        for line in [
            "",
            " ",
            ",",
            ", ,",
            ";",
            ";a",
            "=",
            "foo;",
            "foo;;a",
            "foo; ;a",
            "foo;a;",
            "foo;,bar",
            "foo=1",
            "foo bar",
            "foo;a b",
            "foo;a=",
            "foo;=1",
            "foo;a=1=2",
            "foo;a=1 2",
            "foo;a=\"",
            "foo;a=\"\"",
            "foo;a=\"1",
            "foo;a=1\"",
            "foo;a=\"1\"2",
            "foo;a=\"1 2\"",
            "foo;a=\"1,2\"",
            "foo;a=\"1;2\"",
            "foo;a=\"1=2\"",
            "foo;a=\"1\\\"",
            "foo;a=\"\\",
            "foo;a=\"\\\"\"",
            "foo;a=\"\\ \"",
            "foo;a=\"1\"\"",
            "foo;a='1 2'",
            "\"foo\"",
            "foo;\"a\"",
            "foo;a=\"ä\"",
            "ä",
            "foo;a=(1)",
            "foo\r\n",
            "foo; a\n",
            "foo;a=1\r",
            "foo\0",
            "\u{c}foo",
            "foo/1",
            "foo,bar baz",
        ] {
            assert_eq!(parse(&[line]), Err(HandshakeError::ExtensionsMalformed), "{line:?}");
        }
        for (rule, lines) in [("in the second line", ["foo", "bar;"]), ("nothing, twice", ["", ""])] {
            assert_eq!(parse(&lines), Err(HandshakeError::ExtensionsMalformed), "{rule}");
        }
    }
}
