//! A check, its finding, and the compression under which it is done.

/// What the two sides agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Off,
    Deflate,
    Takeover,
}

/// A check and what it has come to.
pub(super) struct Check {
    pub(super) name: String,
    pub(super) finding: Finding,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Good,
    /// The peer has no say in it, as a page has none in pings.
    Impossible,
    /// What was seen instead.
    Fault(String),
}

impl Compression {
    pub(super) const ALL: [Self; 3] = [Self::Off, Self::Deflate, Self::Takeover];

    /// What the scripts call it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Deflate => "deflate",
            Self::Takeover => "takeover",
        }
    }
}

impl Check {
    /// A line of a script: the name of a check, a tab, and what was seen.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (name, seen) = line.split_once('\t')?;
        let finding = match seen {
            "ok" => Finding::Good,
            "-" => Finding::Impossible,
            fault => Finding::Fault(fault.to_owned()),
        };
        Some(Self { name: name.to_owned(), finding })
    }

    pub(super) fn failed(name: &str, seen: String) -> Self {
        Self { name: name.to_owned(), finding: Finding::Fault(seen) }
    }
}
