//! Which crate may depend on which, and why anything else is depended on at all.

/// One dependency, as a `Cargo.toml` declares it.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// The crate that depends.
    pub(crate) from: String,
    /// The crate that is depended on.
    pub(crate) to: String,
    /// Whether `to` is a crate of this workspace.
    pub(crate) ours: bool,
    /// Whether only tests, examples and benchmarks depend.
    pub(crate) dev: bool,
}

/// The layers from the bottom up, each with exactly those of our crates that it builds on.
const LAYERS: &[(&str, &[&str])] = &[
    ("ws-frame", &[]),
    ("ws-handshake", &[]),
    ("ws-protocol", &["ws-frame"]),
    ("ws-endpoint", &["ws-handshake", "ws-protocol"]),
    ("ws-server", &["ws-endpoint", "ws-handshake", "ws-protocol"]),
    ("ws-cli", &["ws-server"]),
    ("trials", &["ws-endpoint", "ws-handshake", "ws-protocol"]),
    ("xtask", &[]),
];

/// Dependencies among our crates that are not those of [`LAYERS`]. A dev-dependency may reach further than that,
/// but not upwards.
pub(crate) fn edge_faults(edges: &[Edge]) -> Vec<String> {
    let rank = |name: &str| LAYERS.iter().position(|(layer, _)| *layer == name);
    let mut faults = Vec::new();
    for edge in edges.iter().filter(|edge| edge.ours) {
        let Edge { from, to, .. } = edge;
        let Some((_, below)) = LAYERS.iter().find(|(layer, _)| layer == from) else {
            faults.push(format!("{from} has no place in the layers"));
            continue;
        };
        if edge.dev && rank(to) > rank(from) {
            faults.push(format!("{from} dev-depends on {to}, which is above it"));
        } else if !edge.dev && !below.contains(&to.as_str()) {
            faults.push(format!("{from} depends on {to}"));
        }
    }
    for (from, below) in LAYERS {
        for to in *below {
            if !edges.iter().any(|edge| edge.from == *from && edge.to == *to && !edge.dev) {
                faults.push(format!("{from} does not depend on {to}"));
            }
        }
    }
    faults
}

/// Dependencies from outside that the decisions do not name.
pub(crate) fn unexplained(edges: &[Edge], decisions: &str) -> Vec<String> {
    let mut names: Vec<&str> = edges.iter().filter(|edge| !edge.ours).map(|edge| edge.to.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !decisions.contains(&format!("`{name}`")));
    names.into_iter().map(|name| format!("`{name}` has no line")).collect()
}

/// The edges that the layers demand, and one more.
fn with(from: &str, to: &str, dev: bool) -> Vec<Edge> {
    let edge = |from: &str, to: &str, dev| Edge { from: from.to_owned(), to: to.to_owned(), ours: true, dev };
    let demanded = LAYERS.iter().flat_map(|(from, below)| below.iter().map(|to| edge(from, to, false)));
    demanded.chain([edge(from, to, dev)]).collect()
}

#[test]
fn edges_are_told_apart() {
    let check = |from, to, dev, faults: &[&str]| assert_eq!(edge_faults(&with(from, to, dev)), faults);
    check("ws-server", "ws-protocol", false, &[]);
    check("ws-server", "ws-frame", true, &[]);
    check("ws-protocol", "ws-protocol", true, &[]);
    check("ws-server", "ws-frame", false, &["ws-server depends on ws-frame"]);
    check("ws-frame", "ws-protocol", false, &["ws-frame depends on ws-protocol"]);
    check("ws-frame", "ws-protocol", true, &["ws-frame dev-depends on ws-protocol, which is above it"]);
    check("ws-new", "ws-frame", false, &["ws-new has no place in the layers"]);
    assert_eq!(
        edge_faults(&with("ws-cli", "ws-server", false)[1..]),
        ["ws-protocol does not depend on ws-frame"]
    );
}

#[test]
fn unexplained_dependencies_are_found() {
    let edges = [Edge { ours: false, ..with("ws-server", "mio", false).pop().unwrap() }];
    assert_eq!(unexplained(&edges, "| `mio` | readiness |"), [""; 0]);
    assert_eq!(unexplained(&edges, "| `miow` and mio |"), ["`mio` has no line"]);
}
