//! The metrics listener: the counters of the server for Prometheus, and its probes.

use crate::serve::{
    listen::{self, Flags, ListenError, Place},
    log::Log,
    probes, refusals,
};
use std::{io, thread, time::Duration};
use ws_server::{
    Accepted, Config, Handler, HostPolicy, Message, Peer, PeerInfo, Refusal, Remote, Request, Response,
    Server, Upgrade,
};

/// The media type of Prometheus' text format, in which [`ws_server::Metrics`] is shown.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The limits on connections, in all and from one address. Further sockets are in the server's
/// reserve, which also answers pages.
const MAX_CONNECTIONS: usize = 100;
const MAX_CONNECTIONS_PER_ADDRESS: usize = 50;

/// The deadline for a request, which is one segment, and for the end of its connection.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Binds the metrics listener of a server whose own port is `own_port`.
///
/// # Errors
///
/// The address cannot be bound. The error names flags to try.
pub(crate) fn bind(place: Place, own_port: Option<u16>) -> Result<Server, ListenError> {
    let mut config = Config { workers: Some(1), ..Config::default() };
    // Monitoring may reach this machine under any name.
    config.access.hosts = Some(HostPolicy::Any);
    config.limits.max_connections = MAX_CONNECTIONS;
    config.limits.max_connections_per_address = MAX_CONNECTIONS_PER_ADDRESS;
    (config.deadlines.handshake_timeout, config.deadlines.close_timeout) = (TIMEOUT, TIMEOUT);
    // A request for a page is short.
    config.flow.read_buffer_len = config.limits.max_request_len;
    let flags = Flags { port: "another port in --metrics", addr: "another address in --metrics", own_port };
    listen::bind(&[place.bind], place.port, &config, flags)
}

/// The line that gives the URL of the metrics.
pub(crate) fn announcement(place: Place, server: &Server) -> String {
    let places = listen::places(&[place.bind], server.local_addrs(), &listen::machine_addrs());
    let urls: Vec<_> = places.iter().map(|place| format!("http://{place}/metrics")).collect();
    format!("ws-cli tells its metrics at {}", urls.join(", "))
}

/// Serves on a thread of its own until the program ends.
///
/// # Errors
///
/// The system refuses the thread.
pub(crate) fn serve(server: Server, watched: Remote, log: Log) -> io::Result<()> {
    thread::Builder::new().name("ws-metrics".to_owned()).spawn(move || {
        if let Err(error) = server.run(|_worker| Pages { watched: watched.clone(), log: log.clone() }) {
            log.say(&format!("ws-cli: the metrics listener has ended: {error}"));
        }
    })?;
    Ok(())
}

struct Pages {
    watched: Remote,
    log: Log,
}

impl Handler for Pages {
    type Session = ();

    fn on_request(&mut self, _: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<()>, Response> {
        Err(Response::text(404, "There is no WebSocket here.\n"))
    }

    fn on_http(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        Some(match request.path() {
            "/metrics" => metrics(&self.watched),
            _ => Response::text(404, "There is no page here. The metrics are at /metrics.\n"),
        })
    }

    fn on_probe(&mut self, request: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        probes::answer(request.path(), self.watched.is_stopping())
    }

    fn on_refused(&mut self, refusal: &Refusal<'_>) {
        refusals::log(&self.log, refusal);
    }

    fn on_message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) {}
}

fn metrics(watched: &Remote) -> Response {
    Response::new(200, watched.metrics().to_string().into_bytes())
        .with_header("Content-Type", CONTENT_TYPE)
        .expect("this name and value are legal")
}
