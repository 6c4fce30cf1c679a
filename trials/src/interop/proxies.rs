//! Proxies in front of our server, configured as docs/proxies.md tells people to.

use super::check::Check;
use super::programs::{Bench, Program};
use crate::Outcome;
use crate::client::{Client, Offer, Received};
use crate::process::{Process, ScratchFolder};
use crate::programs::poll;
use crate::raw;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use ws_protocol::{CloseCode, Message};

/// The page with the blocks that are run.
const PAGE: &str = include_str!("../../../docs/proxies.md");

/// The name that the blocks serve.
const NAME: &str = "ws.example.com";

/// How long a proxy gets to start, to notice something, and to hand it on.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The proxies' timeouts in the check of an idle connection, instead of [`DOCUMENTED_TIMEOUT`]; and how long it is idle.
const SHORT_TIMEOUT: &str = "3s";
const DOCUMENTED_TIMEOUT: &str = "75s";
const IDLE: Duration = Duration::from_secs(8);

/// The largest message that ws-cli takes.
const LARGEST_LEN: usize = 16 << 20;

/// The longest head that anybody sends here, and the longest text.
const MAX_HEAD_LEN: usize = 8 << 10;
const MAX_TEXT_LEN: u64 = 1 << 20;

/// The code of an application.
const APPLICATION: CloseCode = CloseCode::new(4001);

pub(super) const NGINX: Program =
    Program { name: "nginx", executable: "nginx", version: ("-v", "nginx/"), run: nginx };

pub(super) const HAPROXY: Program =
    Program { name: "HAProxy", executable: "haproxy", version: ("-v", "version "), run: haproxy };

pub(super) const CADDY: Program =
    Program { name: "Caddy", executable: "caddy", version: ("version", ""), run: caddy };

/// What differs between the proxies.
struct Kind {
    /// The language of the block in the page.
    language: &'static str,
    /// Where the block says that it listens, and the same on the loopback address with `PORT`.
    listens: (&'static str, &'static str),
    /// What stands around a block, which is `BLOCK`, for it to run in the foreground and in a folder of its own.
    frame: &'static str,
    /// The arguments that run the configuration file `CONFIG` in the folder `FOLDER`.
    arguments: &'static [&'static str],
}

/// One process alone (`master_process off`): a worker would outlive a master that is killed.
const NGINX_KIND: Kind = Kind {
    language: "nginx",
    listens: ("listen 8080;", "listen 127.0.0.1:PORT;"),
    frame: "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {}\nhttp {\naccess_log off;\n\
        client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\n\
        scgi_temp_path scgi;\nBLOCK\n}\n",
    arguments: &["-e", "stderr", "-p", "FOLDER", "-c", "CONFIG"],
};

const HAPROXY_KIND: Kind = Kind {
    language: "haproxy",
    listens: ("bind :8080", "bind 127.0.0.1:PORT"),
    frame: "BLOCK\n",
    arguments: &["-db", "-f", "CONFIG"],
};

const CADDY_KIND: Kind = Kind {
    language: "caddyfile",
    listens: ("http://ws.example.com:8080 {", "http://ws.example.com:PORT {\n\tbind 127.0.0.1"),
    frame: "{\n\tadmin off\n}\nBLOCK\n",
    arguments: &["run", "--adapter", "caddyfile", "--config", "CONFIG"],
};

/// A proxy that runs.
struct Proxy {
    process: Process,
    port: u16,
    _folder: ScratchFolder,
}

fn nginx(bench: &Bench<'_>) -> Vec<Check> {
    let mut checks = documented(bench, &NGINX_KIND);
    checks.push(bench.check("its default `proxy_pass`, HTTP/1.0: pages", |bench| {
        let server = bench.server(&[])?;
        let block = "server {\n    listen 8080;\n    location / {\n        proxy_pass http://127.0.0.1:9999;\n    }\n}\n";
        let proxy = Proxy::start(bench.executable, &NGINX_KIND, block, server.port())?;
        proxy.serves_pages()?;
        // It leaves out `Upgrade`, so this is no WebSocket; but no page either.
        match proxy.answer(&upgrade_request(&proxy.host(), ""))? {
            (400, _) => {}
            (status, text) => return Err(format!("a WebSocket gets {status}: {text}").into()),
        }
        proxy.is_alive()?;
        server.end().map(|_| ())
    }));
    checks
}

fn haproxy(bench: &Bench<'_>) -> Vec<Check> {
    let mut checks = documented(bench, &HAPROXY_KIND);
    let forms = [
        ("`option httpchk`", "option httpchk"),
        ("`option httpchk GET /healthz`", "option httpchk GET /healthz"),
        (
            "`http-check send` with HTTP/1.1",
            "option httpchk\n    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host ws.example.com",
        ),
    ];
    for (name, form) in forms {
        checks.push(bench.check(&format!("{name}: up, also when full"), |bench| {
            let server = bench.server(&["--max-connections", "1"])?;
            let health = Health::start(bench.executable, form, server.port())?;
            health.becomes("L7OK")?;
            let open = raw::open(server.port())?;
            health.stays("L7OK")?;
            drop(open);
            health.proxy.is_alive()?;
            server.end().map(|_| ())
        }));
    }
    for (name, path, expected) in [
        ("`GET /readyz` while the server drains: down", "/readyz", "L7STS"),
        ("`GET /healthz` while the server drains: up", "/healthz", "L7OK"),
    ] {
        checks.push(bench.check(name, |bench| {
            let mut server = bench.server(&["--drain-window", "4s"])?;
            let health =
                Health::start(bench.executable, &format!("option httpchk GET {path}"), server.port())?;
            health.becomes("L7OK")?;
            // The last of several is closed at the end of the window.
            let _open = [raw::open(server.port())?, raw::open(server.port())?];
            server.signal("TERM")?;
            if expected == "L7OK" {
                health.stays(expected)?;
            } else {
                health.becomes(expected)?;
            }
            if server.wait_for_end()?.success() { Ok(()) } else { Err("the server failed".into()) }
        }));
    }
    checks
}

fn caddy(bench: &Bench<'_>) -> Vec<Check> {
    documented(bench, &CADDY_KIND)
}

/// The checks of a block of the page.
fn documented(bench: &Bench<'_>, kind: &Kind) -> Vec<Check> {
    let run = |flags: &[&str], check: fn(&Proxy) -> Outcome| {
        let server = bench.server(flags)?;
        let proxy = Proxy::start(bench.executable, kind, block(kind.language)?, server.port())?;
        check(&proxy)?;
        proxy.is_alive()?;
        server.end().map(|_| ())
    };
    vec![
        bench.check("pages", |_| run(&[], Proxy::serves_pages)),
        bench.check("messages, ping, close", |_| run(&[], messages)),
        bench.check("same-origin", |_| run(&["--origin", "same-origin"], same_origin)),
        bench.check("`Host` and `X-Forwarded-*` arrive", |bench| fields(bench, kind)),
        bench.check("an idle connection is kept", |bench| idle(bench, kind)),
        bench.check("a stop: 1001, then 5xx", |bench| stop(bench, kind)),
    ]
}

/// Text in fragments, the largest message, a ping with its payload, and a close with its code.
fn messages(proxy: &Proxy) -> Outcome {
    let mut client = proxy.open()?;
    client.send_fragments(&["Grüße, ", "", "世界 👋"].map(Message::Text))?;
    expect(&mut client, &Received::Text("Grüße, 世界 👋".to_owned()))?;
    let mut largest = vec![0; LARGEST_LEN];
    getrandom::fill(&mut largest)?;
    client.send(Message::Binary(&largest))?;
    expect(&mut client, &Received::Binary(largest))?;
    client.ping(b"\x00payload\xff")?;
    expect(&mut client, &Received::Pong(b"\x00payload\xff".to_vec()))?;
    client.close(APPLICATION)
}

/// A page of the host that the browser sees may connect, and no other.
fn same_origin(proxy: &Proxy) -> Outcome {
    let host = proxy.host();
    let own = upgrade_request(&host, &format!("Origin: http://{host}\r\n"));
    raw::upgrade_with(raw::connect(proxy.port)?, own.as_bytes())?;
    match proxy.answer(&upgrade_request(&host, "Origin: http://other.example\r\n"))? {
        (403, text) if text.contains(&host) && text.contains("other.example") => Ok(()),
        (status, text) => Err(format!("a page of another host gets {status}: {text}").into()),
    }
}

/// What the server receives, seen by a server that is none of ours.
fn fields(bench: &Bench<'_>, kind: &Kind) -> Outcome {
    let upstream = TcpListener::bind("127.0.0.1:0")?;
    let proxy = Proxy::start(bench.executable, kind, block(kind.language)?, upstream.local_addr()?.port())?;
    let host = proxy.host();
    let answers = std::thread::spawn(move || seen_by(&upstream));
    let mut client = raw::connect(proxy.port)?;
    write!(client, "GET /seen HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let address = client.local_addr()?.ip().to_string();
    // The upstream has a deadline of its own, so this ends.
    let head = answers.join().map_err(|_| "the upstream panicked")??;
    for (name, value) in [
        ("host", host.as_str()),
        ("x-forwarded-for", &address),
        ("x-forwarded-host", &host),
        ("x-forwarded-proto", "http"),
    ] {
        if field(&head, name) != Some(value) {
            return Err(format!("no {name}: {value} in {head:?}").into());
        }
    }
    Ok(())
}

/// Answers whatever comes until somebody asks for `/seen`, and gives the head of that request.
fn seen_by(upstream: &TcpListener) -> io::Result<String> {
    let deadline = Instant::now() + TIMEOUT;
    upstream.set_nonblocking(true)?;
    loop {
        let mut stream = match upstream.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        // A connection that is only probed sends nothing, and has gone.
        let head = read_head(&mut stream).unwrap_or_default();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        if head.starts_with("GET /seen ") {
            return Ok(head);
        }
    }
}

/// The server's pings keep a connection alive beyond the proxy's timeouts.
fn idle(bench: &Bench<'_>, kind: &Kind) -> Outcome {
    let block = block(kind.language)?.replace(DOCUMENTED_TIMEOUT, SHORT_TIMEOUT);
    let server = bench.server(&["--idle-timeout", "1s"])?;
    let proxy = Proxy::start(bench.executable, kind, &block, server.port())?;
    let mut client = proxy.open()?;
    // Pings are answered meanwhile; nothing else comes.
    if let Ok(received) = client.receive(Instant::now() + IDLE) {
        return Err(format!("{received:?} came").into());
    }
    client.send_text("still here")?;
    expect(&mut client, &Received::Text("still here".to_owned()))?;
    client.close(CloseCode::NORMAL)?;
    server.end().map(|_| ())
}

/// An open connection gets its 1001 through the proxy, and later requests a 5xx of somebody.
fn stop(bench: &Bench<'_>, kind: &Kind) -> Outcome {
    let mut server = bench.server(&[])?;
    let proxy = Proxy::start(bench.executable, kind, block(kind.language)?, server.port())?;
    let client = proxy.open()?;
    server.signal("TERM")?;
    let code = client.wait_for_close()?;
    if code != CloseCode::GOING_AWAY {
        return Err(format!("closed with {}", code.value()).into());
    }
    if !server.wait_for_end()?.success() {
        return Err("the server failed".into());
    }
    match proxy.answer(&upgrade_request(&proxy.host(), ""))? {
        (500.., _) => proxy.is_alive(),
        (status, text) => Err(format!("after the stop: {status}: {text}").into()),
    }
}

impl Proxy {
    /// Runs a block, with a server's port and one of its own in the place of those in the page.
    fn start(executable: &Path, kind: &Kind, block: &str, server_port: u16) -> Outcome<Self> {
        let folder = ScratchFolder::new()?;
        let port = free_port()?;
        let config = folder.path().join("config");
        std::fs::write(&config, configuration(kind, block, port, server_port)?)?;
        let (folder_name, config_name) = (folder.path().display().to_string(), config.display().to_string());
        let arguments = kind.arguments.iter().map(|argument| match *argument {
            "FOLDER" => folder_name.as_str(),
            "CONFIG" => config_name.as_str(),
            other => other,
        });
        let mut command = Command::new(executable);
        // Caddy keeps what it has loaded below one of these.
        for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(variable, folder.path());
        }
        let process = Process::start(command.args(arguments).current_dir(folder.path()))?;
        let listens = poll(TIMEOUT, "the proxy does not listen", || Ok(raw::connect(port).ok()));
        match listens {
            Ok(_) => Ok(Self { process, port, _folder: folder }),
            Err(error) => Err(format!("{error}: {:?}", process.lines()).into()),
        }
    }

    /// The host and the port as a browser names them.
    fn host(&self) -> String {
        format!("{NAME}:{}", self.port)
    }

    fn open(&self) -> Outcome<Client> {
        Client::upgrade(raw::connect(self.port)?, &self.host(), "/", &Offer::default())
    }

    /// Sends a request, and gives the status and the text of its answer. The proxy may keep the connection open, so the
    /// text ends where its length says, or with the connection.
    fn answer(&self, request: &str) -> Outcome<(u16, String)> {
        let mut stream: TcpStream = raw::connect(self.port)?;
        stream.write_all(request.as_bytes())?;
        let head = read_head(&mut stream)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = field(&head, "content-length").and_then(|length| length.parse().ok());
        let length = if request.starts_with("HEAD ") { Some(0) } else { length };
        let mut text = Vec::new();
        stream.take(length.unwrap_or(MAX_TEXT_LEN)).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok((status.ok_or_else(|| format!("no HTTP response: {head:?}"))?, text))
    }

    /// The pages of the server, by GET and by HEAD.
    fn serves_pages(&self) -> Outcome {
        let host = self.host();
        for (path, content) in [("/", "<html"), ("/healthz", "ok\n"), ("/readyz", "ready\n")] {
            for method in ["GET", "HEAD"] {
                let request =
                    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                let (status, text) = self.answer(&request)?;
                let is_right = if method == "HEAD" { text.is_empty() } else { text.contains(content) };
                if status != 200 || !is_right {
                    return Err(format!("{method} {path}: {status}: {text:.100}").into());
                }
            }
        }
        Ok(())
    }

    /// It has survived.
    fn is_alive(&self) -> Outcome {
        match raw::connect(self.port) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the proxy is gone ({error}): {:?}", self.process.lines()).into()),
        }
    }
}

/// HAProxy with a health check every 100 ms, and its own page about it.
struct Health {
    proxy: Proxy,
}

impl Health {
    fn start(executable: &Path, form: &str, server_port: u16) -> Outcome<Self> {
        let block = format!(
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n\
             frontend statistics\n    bind :8080\n    stats enable\n    stats uri /\n\
             backend ws\n    {form}\n    server ws1 127.0.0.1:9999 check inter 100ms rise 1 fall 1\n"
        );
        Ok(Self { proxy: Proxy::start(executable, &HAPROXY_KIND, &block, server_port)? })
    }

    /// Waits until the check says so.
    fn becomes(&self, wanted: &str) -> Outcome {
        let mut seen = String::new();
        let waited = poll(TIMEOUT, "HAProxy does not see it", || {
            seen = self.status()?;
            Ok((seen == wanted).then_some(()))
        });
        waited.map_err(|error| format!("{error}: {seen} instead of {wanted}").into())
    }

    /// Sees that the check says so, ten times over.
    fn stays(&self, wanted: &str) -> Outcome {
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(100));
            let seen = self.status()?;
            if seen != wanted {
                return Err(format!("HAProxy says {seen} instead of {wanted}").into());
            }
        }
        Ok(())
    }

    /// `L7OK`: the last check was answered; `L7STS`: with an error.
    fn status(&self) -> Outcome<String> {
        let (_, table) =
            self.proxy.answer("GET /;csv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        Ok(check_status(&table).ok_or_else(|| format!("no state of the server in {table}"))?)
    }
}

/// The state of the check of the server `ws1` in HAProxy's table, which comes as one chunk. A check that is going on has a
/// star.
fn check_status(table: &str) -> Option<String> {
    let rows = table.lines().skip_while(|line| !line.starts_with("# "));
    let mut rows = rows.map(|line| line.split(',').collect::<Vec<_>>());
    let column = rows.next()?.iter().position(|name| *name == "check_status")?;
    let row = rows.find(|row| row.get(1) == Some(&"ws1"))?;
    Some(row.get(column)?.trim_start_matches("* ").to_owned())
}

/// Reads a head, and nothing behind it.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD_LEN {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The value of the first field of this name.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

/// The block of the page in this language; there is one.
fn block(language: &str) -> Outcome<&'static str> {
    let start = format!("```{language}\n");
    let mut blocks = PAGE.split(&start).skip(1);
    let block = blocks.next().and_then(|rest| rest.split("\n```").next());
    match (block, blocks.next()) {
        (Some(block), None) => Ok(block),
        _ => Err(format!("docs/proxies.md has not one block of {language}").into()),
    }
}

/// A block as it is run.
fn configuration(kind: &Kind, block: &str, port: u16, server_port: u16) -> Outcome<String> {
    let (listens, instead) = kind.listens;
    let mut text = block.to_owned();
    for (from, to) in [
        (listens, instead.replace("PORT", &port.to_string())),
        ("127.0.0.1:9999", format!("127.0.0.1:{server_port}")),
    ] {
        if text.matches(from).count() != 1 {
            return Err(format!("the block of {} has not one `{from}`", kind.language).into());
        }
        text = text.replace(from, &to);
    }
    Ok(kind.frame.replace("BLOCK", &text))
}

/// An opening request with this `Host` and these lines.
fn upgrade_request(host: &str, lines: &str) -> String {
    raw::REQUEST.replace("Host: localhost\r\n", &format!("Host: {host}\r\n{lines}"))
}

fn expect(client: &mut Client, wanted: &Received) -> Outcome {
    let seen = client.receive(Instant::now() + TIMEOUT)?;
    if seen == *wanted { Ok(()) } else { Err(format!("{seen:.80?} came instead").into()) }
}

/// A port of the loopback address that nobody has, at least now.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::{
        CADDY_KIND, DOCUMENTED_TIMEOUT, HAPROXY_KIND, NGINX_KIND, block, check_status, configuration,
        upgrade_request,
    };

    #[test]
    fn every_block_of_the_page_can_be_run() {
        for (kind, has_timeouts) in [(&NGINX_KIND, true), (&HAPROXY_KIND, true), (&CADDY_KIND, false)] {
            let block = block(kind.language).unwrap();
            assert_eq!(block.contains(DOCUMENTED_TIMEOUT), has_timeouts, "{}", kind.language);
            let text = configuration(kind, block, 1234, 5678).unwrap();
            assert!(text.contains("1234") && text.contains("127.0.0.1:5678"), "{text}");
            assert!(!text.contains("8080") && !text.contains("9999") && !text.contains("PORT"), "{text}");
        }
        assert!(block("apache").is_err());
        assert!(configuration(&NGINX_KIND, "listen 8080;", 1, 2).is_err(), "it names no server");
    }

    #[test]
    fn the_state_of_a_check_is_found() {
        let table = "7F9\n# pxname,svname,status,check_status\nws,ws1,UP,* L7OK\nws,BACKEND,UP,\n";
        assert_eq!(check_status(table).as_deref(), Some("L7OK"));
        assert_eq!(check_status("# pxname,svname,status\nws,ws1,UP\n"), None);
    }

    #[test]
    fn requests_name_their_host() {
        let request = upgrade_request("a:1", "Origin: http://b\r\n");
        assert!(
            request.starts_with("GET / HTTP/1.1\r\nHost: a:1\r\nOrigin: http://b\r\nUpgrade: "),
            "{request}"
        );
    }
}
