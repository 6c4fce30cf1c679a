//! The addresses that the server listens on, and the line that announces them.

use std::{
    fmt,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    str::FromStr,
};
use ws_server::{BindError, Config, Server};

/// One value of `--bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    /// 127.0.0.1, and `::1` on a machine with IPv6: a browser may try either for `localhost`.
    Localhost,
    /// Every address: `0.0.0.0`, and `::` on a machine with IPv6.
    Everywhere,
    /// A single address.
    Address(IpAddr),
}

/// The value of `--metrics`: `ADDR:PORT`, or `:PORT` for every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bind: Bind,
    pub(crate) port: u16,
}

/// Binds a server to all of these addresses.
///
/// # Errors
///
/// An address cannot be bound. The error names `flags` to try.
pub(crate) fn bind(binds: &[Bind], port: u16, config: &Config, flags: Flags) -> Result<Server, ListenError> {
    let addrs: Vec<_> = ip_addrs(binds).into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    Server::bind(addrs.as_slice(), config.clone()).map_err(|error| ListenError { error, flags })
}

/// The first line of the log: the URL of each address, and the URL of the console.
pub(crate) fn announcement(binds: &[Bind], local_addrs: &[SocketAddr]) -> String {
    let places = places(binds, local_addrs, &machine_addrs());
    let console = places.first().cloned().unwrap_or_default();
    let urls: Vec<_> = places.iter().map(|place| format!("ws://{place}")).collect();
    format!("ws-cli listening on {} (console: http://{console})", urls.join(", "))
}

/// The `host:port` of each of `binds`, for URLs. As no browser opens `0.0.0.0` or `::`, they are
/// replaced by localhost and the addresses in `machine_addrs` of the same family.
pub(crate) fn places(binds: &[Bind], local_addrs: &[SocketAddr], machine_addrs: &[IpAddr]) -> Vec<String> {
    let port = local_addrs.first().map_or(0, SocketAddr::port);
    let listens_on_all = |family: &IpAddr| {
        local_addrs.iter().any(|it| it.ip().is_unspecified() && it.is_ipv4() == family.is_ipv4())
    };
    let mut places = Vec::new();
    let mut add = |host: &str| {
        let place = format!("{host}:{port}");
        if !places.contains(&place) {
            places.push(place);
        }
    };
    for bind in binds {
        match bind {
            Bind::Address(ip) if !ip.is_unspecified() => add(&in_url(*ip)),
            Bind::Localhost => add("localhost"),
            Bind::Address(_) | Bind::Everywhere => {
                add("localhost");
                machine_addrs.iter().filter(|ip| listens_on_all(ip)).for_each(|ip| add(&in_url(*ip)));
            }
        }
    }
    places
}

/// The addresses by which other machines reach this one. The list is empty if the system does not
/// tell them.
pub(crate) fn machine_addrs() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    // In a URL, a link-local address would need the name of the client's interface.
    interfaces
        .iter()
        .filter(|it| !it.is_loopback() && !it.is_link_local())
        .map(if_addrs::Interface::ip)
        .collect()
}

fn in_url(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The end of the second line of the log, if the limit of `max_files` open files lowers the number
/// of connections.
pub(crate) fn shortage_of_files(asked: &Config, in_force: &Config, max_files: u64) -> Option<String> {
    /// The standard streams, the listeners and the polls of the workers.
    const OWN_FILES: usize = 30;
    /// The maximum of what the server keeps for other purposes, which is a quarter of its
    /// descriptors.
    const MAX_KEPT: usize = 1_024;
    let max_connections = asked.limits.max_connections;
    let kept = max_connections.div_ceil(3).min(MAX_KEPT);
    let needed = [kept, 2 * in_force.workers.unwrap_or_default(), OWN_FILES]
        .into_iter()
        .fold(max_connections, usize::saturating_add);
    (in_force.limits.max_connections < max_connections).then(|| {
        format!(
            ": for {max_connections}, ws-cli needs {needed} open files, and may have {max_files} (ulimit -n, \
             LimitNOFILE=)"
        )
    })
}

impl FromStr for Bind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(Self::Localhost);
        }
        let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match (text.parse(), in_brackets.map(str::parse::<Ipv6Addr>)) {
            (Ok(ip), _) => Ok(Self::Address(ip)),
            (_, Some(Ok(ip))) => Ok(Self::Address(ip.into())),
            _ if text.parse::<SocketAddr>().is_ok() => Err("the port is given with --port"),
            _ => Err(
                "expected localhost or an IP address, such as 127.0.0.1; for every address, 0.0.0.0 or ::",
            ),
        }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected ADDR:PORT, such as localhost:9998, 127.0.0.1:9998 or [::1]:9998; for every address, :9998";
        let (host, port) = text.trim().rsplit_once(':').ok_or(EXPECTED)?;
        // `from_str` would accept a sign.
        let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        let bind = match host {
            "" => Some(Bind::Everywhere),
            // Without brackets, the end of an IPv6 address would be a guess.
            _ if host.contains(':') && !host.starts_with('[') => None,
            _ => host.parse().ok(),
        };
        match (bind, port) {
            (Some(bind), Some(port)) => Ok(Self { bind, port }),
            _ => Err(EXPECTED),
        }
    }
}

/// The failure to listen, described for the user.
#[derive(Debug)]
pub(crate) struct ListenError {
    error: BindError,
    flags: Flags,
}

/// The flags to try if a port or an address is not available.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub(crate) port: &'static str,
    pub(crate) addr: &'static str,
    /// The port that this program already uses.
    pub(crate) own_port: Option<u16>,
}

impl std::error::Error for ListenError {}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, flags } = self;
        let BindError::Listen { addr, source } = error else { return error.fmt(f) };
        write!(f, "cannot listen on {addr}: ")?;
        match source.kind() {
            ErrorKind::AddrInUse if flags.own_port == Some(addr.port()) => {
                write!(f, "ws-cli itself uses this port, for --port (try {})", flags.port)
            }
            ErrorKind::AddrInUse => {
                write!(f, "the port is taken by another program (try {})", flags.port)
            }
            ErrorKind::AddrNotAvailable => {
                write!(f, "this machine does not have that address (try {})", flags.addr)
            }
            ErrorKind::PermissionDenied if addr.port() < 1024 => {
                write!(f, "a port below 1024 needs more privileges (try {})", flags.port)
            }
            _ => source.fmt(f),
        }
    }
}

/// The addresses of `binds`, without duplicates and without those that a wildcard covers.
fn ip_addrs(binds: &[Bind]) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    for bind in binds {
        let (ipv4, ipv6) = match bind {
            Bind::Localhost => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
            Bind::Everywhere => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
            Bind::Address(ip) => {
                ips.push(*ip);
                continue;
            }
        };
        ips.push(ipv4.into());
        if TcpListener::bind((ipv6, 0)).is_ok() {
            ips.push(ipv6.into());
        }
    }
    // `::` alone means every address, as in most programs on most systems.
    if ips.contains(&Ipv6Addr::UNSPECIFIED.into())
        && !ips.iter().any(IpAddr::is_ipv4)
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).is_ok()
    {
        ips.push(Ipv4Addr::UNSPECIFIED.into());
    }
    // `0.0.0.0` and `::` cover all addresses of their family, whose port is then taken.
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

#[cfg(test)]
mod tests {
    use super::{Bind, Place, ip_addrs, places, shortage_of_files};
    use std::net::{IpAddr, SocketAddr};
    use ws_server::Config;

    fn parse(binds: &[&str]) -> Vec<Bind> {
        binds.iter().map(|bind| bind.parse().unwrap()).collect()
    }

    #[test]
    fn binds_are_read() {
        let address = |text: &str| Some(Bind::Address(text.parse().unwrap()));
        for (text, expect) in [
            ("localhost", Some(Bind::Localhost)),
            ("LocalHost", Some(Bind::Localhost)),
            ("127.0.0.1", address("127.0.0.1")),
            (" 127.0.0.1 ", address("127.0.0.1")),
            ("0.0.0.0", address("0.0.0.0")),
            ("::1", address("::1")),
            ("[::1]", address("::1")),
            ("", None),
            ("*", None),
            ("127.0.0.1:9999", None),
            ("[::1]:9999", None),
            ("[127.0.0.1]", None),
            ("example.com", None),
        ] {
            assert_eq!(text.parse().ok(), expect, "{text:?}");
        }
    }

    #[test]
    fn places_are_read() {
        let address = |ip: &str| Bind::Address(ip.parse().unwrap());
        for (text, expect) in [
            ("127.0.0.1:9998", Some((address("127.0.0.1"), 9998))),
            ("[::1]:9998", Some((address("::1"), 9998))),
            ("[::]:0", Some((address("::"), 0))),
            ("localhost:9998", Some((Bind::Localhost, 9998))),
            (":9998", Some((Bind::Everywhere, 9998))),
            ("", None),
            (":", None),
            ("9998", None),
            ("127.0.0.1", None),
            ("localhost:", None),
            ("localhost:65536", None),
            ("localhost:+80", None),
            ("::1", None),
            ("::1:9998", None),
            ("*:9998", None),
            ("example.com:9998", None),
        ] {
            let expect = expect.map(|(bind, port)| Place { bind, port });
            assert_eq!(text.parse().ok(), expect, "{text:?}");
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
            (&["::"], &["::", "0.0.0.0"]),
            (&["::", "::1"], &["::", "0.0.0.0"]),
            (&["::", "127.0.0.1"], &["::", "127.0.0.1"]),
        ] {
            let ips: Vec<String> = ip_addrs(&parse(binds)).iter().map(ToString::to_string).collect();
            assert_eq!(ips, expect, "{binds:?}");
        }
    }

    #[test]
    fn urls() {
        let machine_addrs: Vec<IpAddr> =
            ["192.0.2.7", "2001:db8::7", "198.51.100.7"].map(|ip| ip.parse().unwrap()).into();
        for (binds, expect) in [
            (&["localhost"][..], "localhost:9999"),
            (&["127.0.0.1"], "127.0.0.1:9999"),
            (&["::1"], "[::1]:9999"),
            (&["192.0.2.1", "::1"], "192.0.2.1:9999 [::1]:9999"),
            (&["0.0.0.0"], "localhost:9999 192.0.2.7:9999 198.51.100.7:9999"),
            (&["0.0.0.0", "::1"], "localhost:9999 192.0.2.7:9999 198.51.100.7:9999 [::1]:9999"),
            (&["::", "127.0.0.1"], "localhost:9999 [2001:db8::7]:9999 127.0.0.1:9999"),
            (&["::"], "localhost:9999 192.0.2.7:9999 [2001:db8::7]:9999 198.51.100.7:9999"),
            (&["0.0.0.0", "::"], "localhost:9999 192.0.2.7:9999 [2001:db8::7]:9999 198.51.100.7:9999"),
        ] {
            let binds = parse(binds);
            let local_addrs: Vec<_> =
                ip_addrs(&binds).into_iter().map(|ip| SocketAddr::new(ip, 9999)).collect();
            assert_eq!(places(&binds, &local_addrs, &machine_addrs).join(" "), expect, "{binds:?}");
        }
    }

    #[test]
    fn files_for_all_connections() {
        let (mut asked, mut in_force) = (Config::default(), Config::default());
        in_force.workers = Some(4);
        for (max_connections, expect) in [
            (1_000, "for 1000, ws-cli needs 1372 open files, and may have 999 "),
            (usize::MAX, "needs 18446744"),
        ] {
            asked.limits.max_connections = max_connections;
            in_force.limits.max_connections = max_connections - 1;
            let words = shortage_of_files(&asked, &in_force, 999).unwrap();
            assert!(words.contains(expect), "{words}");
            assert_eq!(shortage_of_files(&asked, &asked, 999), None);
        }
    }
}
