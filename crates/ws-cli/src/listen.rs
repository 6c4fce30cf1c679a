//! Where the server listens, and how it says so.

use std::{
    fmt,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    str::FromStr,
};
use ws_server::{BindError, Config, Server};

/// How often another free port is tried for, where several addresses are to have the same one.
const MAX_FREE_PORT_TRIES: usize = 16;

/// What to listen on: one value of `--bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    /// 127.0.0.1, and `::1` on a machine that has it: for `localhost`, a browser may try either.
    Localhost,
    /// This address.
    Address(IpAddr),
}

/// Listens on all of these.
///
/// # Errors
///
/// Why that cannot be, and what to try.
pub(crate) fn bind(binds: &[Bind], port: u16, config: &Config) -> Result<Server, ListenError> {
    let addrs: Vec<_> = ip_addrs(binds).into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let listen = || Server::bind(addrs.as_slice(), config.clone());
    let mut server = listen();
    for _ in 1..MAX_FREE_PORT_TRIES {
        match &server {
            // The port was free on the first address, but not on another.
            Err(error) if port == 0 && is_taken(error) => server = listen(),
            _ => break,
        }
    }
    let flags = Flags { port: "--port 0, or another --port", addr: "another --bind" };
    server.map_err(|error| ListenError::new(error, flags))
}

/// Tells where the server listens: the URL of each, and that of the console.
pub(crate) fn announcement(binds: &[Bind], local_addrs: &[SocketAddr]) -> String {
    let port = local_addrs.first().map_or(0, SocketAddr::port);
    let urls: Vec<_> = binds.iter().map(|bind| format!("ws://{bind}:{port}")).collect();
    let console = match binds.first() {
        // No browser opens 0.0.0.0.
        Some(Bind::Address(ip)) if ip.is_unspecified() => &Bind::Localhost,
        first => first.unwrap_or(&Bind::Localhost),
    };
    format!("ws-cli listening on {} (console: http://{console}:{port})", urls.join(", "))
}

impl FromStr for Bind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "localhost" {
            return Ok(Self::Localhost);
        }
        let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match (text.parse(), in_brackets.map(str::parse::<Ipv6Addr>)) {
            (Ok(ip), _) => Ok(Self::Address(ip)),
            (_, Some(Ok(ip))) => Ok(Self::Address(ip.into())),
            _ if text.parse::<SocketAddr>().is_ok() => Err("the port is given with --port"),
            _ => Err("expected an IP address, such as 127.0.0.1, 0.0.0.0 or ::, or localhost"),
        }
    }
}

/// As in a URL.
impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Why the server cannot listen, for the person who started it.
#[derive(Debug)]
pub(crate) struct ListenError {
    error: BindError,
    flags: Flags,
}

/// What to try instead of a port, and of an address, that cannot be had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub(crate) port: &'static str,
    pub(crate) addr: &'static str,
}

impl ListenError {
    pub(crate) fn new(error: BindError, flags: Flags) -> Self {
        Self { error, flags }
    }
}

impl std::error::Error for ListenError {}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, flags } = self;
        let BindError::Listen { addr, source } = error else { return error.fmt(f) };
        write!(f, "cannot listen on {addr}: ")?;
        match source.kind() {
            ErrorKind::AddrInUse => {
                write!(f, "the port is taken by another program (try {})", flags.port)
            }
            ErrorKind::AddrNotAvailable => {
                write!(f, "this machine does not have that address (try {})", flags.addr)
            }
            ErrorKind::PermissionDenied if addr.port() < 1024 => {
                write!(f, "a port below 1024 needs more rights (try {})", flags.port)
            }
            _ => source.fmt(f),
        }
    }
}

/// The addresses, each once.
fn ip_addrs(binds: &[Bind]) -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for bind in binds {
        match bind {
            Bind::Localhost => {
                ips.push(Ipv4Addr::LOCALHOST.into());
                if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
                    ips.push(Ipv6Addr::LOCALHOST.into());
                }
            }
            Bind::Address(ip) => ips.push(*ip),
        }
    }
    // `0.0.0.0` and `::` are all addresses of their kind, and leave no port for another one.
    let covered = |ip: &IpAddr| {
        ips.iter().any(|other| other.is_unspecified() && other.is_ipv4() == ip.is_ipv4() && other != ip)
    };
    let mut needed: Vec<IpAddr> = Vec::new();
    for ip in &ips {
        if !covered(ip) && !needed.contains(ip) {
            needed.push(*ip);
        }
    }
    needed
}

fn is_taken(error: &BindError) -> bool {
    matches!(error, BindError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::{Bind, announcement, ip_addrs};
    use std::net::SocketAddr;

    #[test]
    fn binds_are_read_and_shown_as_in_a_url() {
        for (text, expect) in [
            ("localhost", Some("localhost")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("0.0.0.0", Some("0.0.0.0")),
            ("::1", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            ("127.0.0.1:9999", None),
            ("[::1]:9999", None),
            ("[127.0.0.1]", None),
            ("example.com", None),
        ] {
            let bind = text.parse::<Bind>().ok().map(|bind| bind.to_string());
            assert_eq!(bind.as_deref(), expect, "{text:?}");
        }
    }

    #[test]
    fn every_address_is_listened_on_once() {
        for (binds, expect) in [
            (&["127.0.0.1"][..], &["127.0.0.1"][..]),
            (&["127.0.0.1", "127.0.0.1"], &["127.0.0.1"]),
            (&["192.0.2.1", "::1", "192.0.2.1"], &["192.0.2.1", "::1"]),
            (&["127.0.0.1", "0.0.0.0", "::1"], &["0.0.0.0", "::1"]),
            (&["0.0.0.0", "::", "localhost"], &["0.0.0.0", "::"]),
        ] {
            let parsed: Vec<Bind> = binds.iter().map(|bind| bind.parse().unwrap()).collect();
            let ips: Vec<String> = ip_addrs(&parsed).iter().map(ToString::to_string).collect();
            assert_eq!(ips, expect, "{binds:?}");
        }
    }

    #[test]
    fn announcements() {
        for (binds, expect) in [
            (&["localhost"][..], "ws://localhost:9999 (console: http://localhost:9999)"),
            (&["127.0.0.1"], "ws://127.0.0.1:9999 (console: http://127.0.0.1:9999)"),
            (&["::1"], "ws://[::1]:9999 (console: http://[::1]:9999)"),
            (&["192.0.2.1", "::1"], "ws://192.0.2.1:9999, ws://[::1]:9999 (console: http://192.0.2.1:9999)"),
            (&["0.0.0.0", "::"], "ws://0.0.0.0:9999, ws://[::]:9999 (console: http://localhost:9999)"),
        ] {
            let parsed: Vec<Bind> = binds.iter().map(|bind| bind.parse().unwrap()).collect();
            let local_addr = SocketAddr::from(([127, 0, 0, 1], 9999));
            assert_eq!(announcement(&parsed, &[local_addr]), format!("ws-cli listening on {expect}"));
        }
    }
}
