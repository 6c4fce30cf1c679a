//! The patterns of policies: a host that may begin with `*.`, and a port that may be `*`.

use crate::authority::{Authority, is_same_host};
use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

/// Which hosts a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamePattern {
    /// All.
    Any,
    /// This one.
    Only(String),
    /// Those that end in this, from a dot on, and have a label in front.
    Below(String),
}

impl NamePattern {
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            NamePattern::Any => true,
            NamePattern::Only(name) => is_same_host(name, host),
            NamePattern::Below(end) => {
                let front_len = host.len().saturating_sub(end.len());
                front_len > 0 && host.as_bytes()[front_len..].eq_ignore_ascii_case(end.as_bytes())
            }
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamePattern::Any => f.write_str("*"),
            NamePattern::Only(name) => f.write_str(name),
            NamePattern::Below(end) => write!(f, "*{end}"),
        }
    }
}

/// What a pattern says about the port.
pub(crate) enum PortPattern {
    /// Nothing.
    Default,
    /// `:*`
    Any,
    /// `:8080`
    Only(u16),
}

/// Reads patterns with commas between them, of which none is one of the words that mean a policy of their own.
pub(crate) fn parse_list<P: FromStr<Err = PatternError>>(
    text: &str,
    words: &[&str],
) -> Result<Vec<P>, PatternError> {
    let patterns = text.split(',').map(str::trim);
    patterns
        .map(|pattern| if words.contains(&pattern) { Err(PatternError::NotInList) } else { pattern.parse() })
        .collect()
}

/// Writes patterns with commas between them.
pub(crate) fn write_list<P: fmt::Display>(f: &mut fmt::Formatter<'_>, patterns: &[P]) -> fmt::Result {
    for (index, pattern) in patterns.iter().enumerate() {
        write!(f, "{}{pattern}", if index > 0 { ", " } else { "" })?;
    }
    Ok(())
}

/// Reads `host[:port]`, where the host may begin with `*.` and the port may be `*`.
pub(crate) fn parse_pattern(text: &str) -> Result<(NamePattern, PortPattern), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.contains('/') {
        return Err(PatternError::Path);
    }
    let (text, any_port) = match text.strip_suffix(":*") {
        Some(text) => (text, true),
        None => (text, false),
    };
    if text == "*" {
        return Err(PatternError::Everything);
    }
    let (text, below) = match text.strip_prefix('*') {
        Some(text) if text.starts_with('.') && text != "." => (text, true),
        _ => (text, false),
    };
    // RFC 3986 lets a host have a `*`, but no host has one, and in a pattern it is a mistake.
    if text.contains('*') {
        return Err(PatternError::Wildcard);
    }
    let Authority { name, port, .. } = Authority::parse(text).ok_or(PatternError::Host)?;
    let port = match port {
        Some(_) if any_port => return Err(PatternError::Host),
        Some(port) => PortPattern::Only(port),
        None if any_port => PortPattern::Any,
        None => PortPattern::Default,
    };
    let name = name.into();
    Ok((if below { NamePattern::Below(name) } else { NamePattern::Only(name) }, port))
}

/// Why a text is no pattern for an [`OriginPolicy`](crate::OriginPolicy) or a
/// [`HostPolicy`](crate::HostPolicy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing to read.
    #[error("it is empty")]
    Empty,
    /// An origin without a scheme.
    #[error("an origin is written scheme://host[:port], as in https://example.com")]
    Scheme,
    /// Something follows the host and the port.
    #[error("it must end after the host or the port: no path and no slash")]
    Path,
    /// A `*` at a place where it means nothing.
    #[error("* may only stand for the labels in front, as in *.example.com, or for the port; all is any")]
    Wildcard,
    /// A `*` in place of a whole list, or of all hosts.
    #[error("* does not stand for everything: to allow everything, write any")]
    Everything,
    /// A word that is a policy of its own, such as `any`, in a list.
    #[error("any, loopback and same-origin stand alone, and not in a list")]
    NotInList,
    /// The host or the port is illegal.
    #[error("it is not a host with an optional port")]
    Host,
}
