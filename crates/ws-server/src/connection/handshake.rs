//! The opening handshake: a request in; out come a session and a 101, or a response that refuses it.

use crate::{
    Accepted, Handler, HostPolicy, OriginPolicy, PeerInfo, RefusalReason,
    connection::{
        admission::Limit,
        compression::Agreed,
        context::Context,
        refused::{Refused, printable, unix_seconds},
    },
};
use ws_endpoint::{HeadError, ServerHandshake};
use ws_handshake::{Accept, EncodeError, HandshakeError, Request, Response, Upgrade, with_fields};
use ws_protocol::Input;

/// The phase of a connection before its 101: the opening request, as far as it has come.
pub(crate) struct Handshake {
    request: ServerHandshake,
    /// The limit that the socket is beyond: it may get a page, and no connection.
    limit: Option<Limit>,
}

/// The outcome of input before the 101.
pub(crate) enum Outcome<S> {
    /// The request is not whole yet.
    More,
    /// The connection opens. The 101 is in `out`, and what is left of the input are frames.
    Opened { session: S, agreed: Agreed },
    /// The request gets a response that opens nothing.
    Refused(Refused),
}

impl Handshake {
    pub(crate) fn new(limit: Option<Limit>) -> Self {
        Self { request: ServerHandshake::default(), limit }
    }

    /// The limit that the socket is beyond.
    pub(crate) fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// The part of the request that has come, while it is not whole.
    pub(crate) fn received(&self) -> &[u8] {
        self.request.received()
    }

    /// The memory that it takes, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        self.request.held_len()
    }

    /// Takes bytes of the request.
    pub(crate) fn receive<H: Handler>(
        &mut self,
        input: &mut Input<'_>,
        peer: &PeerInfo,
        cx: &mut Context<'_, H>,
    ) -> Outcome<H::Session> {
        match self.request.receive(input, cx.config.limits.max_request_len) {
            Ok(None) => Outcome::More,
            Ok(Some(head)) => match answer(head, peer, self.limit, cx) {
                Ok((session, agreed)) => Outcome::Opened { session, agreed },
                Err(refused) => Outcome::Refused(refused.of(head)),
            },
            Err(HeadError::Malformed(error)) => {
                Outcome::Refused(Refused::from(error).of(self.request.received()))
            }
            Err(_) => Outcome::Refused(Refused::out_of_memory()),
        }
    }

    /// Puts a whole response into `out`. No further request is answered.
    pub(crate) fn respond<H: Handler>(self, mut refused: Refused, peer: &PeerInfo, cx: &mut Context<'_, H>) {
        cx.out.clear();
        refused.response = refused.response.with_date(unix_seconds());
        let response = &refused.response;
        if self.request.is_head() {
            response.encode_head(cx.out.buffer());
        } else {
            response.encode(cx.out.buffer());
        }
        cx.counters.handshake(response.status());
        refused.report(peer.addr, Some(response.status()), cx.counters, |it| cx.handler.on_refused(it));
    }
}

/// Answers a whole request head. The session is that of a connection whose 101 is in `out`, and beside it is what was
/// agreed on compression. A socket beyond a `limit` may get a page, and no connection.
fn answer<H: Handler>(
    head: &[u8],
    peer: &PeerInfo,
    limit: Option<Limit>,
    cx: &mut Context<'_, H>,
) -> Result<(H::Session, Agreed), Refused> {
    with_fields(cx.config.limits.max_headers, |fields| {
        let request = Request::parse(head, fields)?;
        match request.is_upgrade() {
            true => open(&request, peer, limit, cx),
            false => Err(page(&request, peer, cx)),
        }
    })
}

/// Answers a request that asks for no WebSocket.
fn page<H: Handler>(request: &Request<'_, '_>, peer: &PeerInfo, cx: &mut Context<'_, H>) -> Refused {
    if request.method() == "OPTIONS" {
        return Refused::page(Response::options());
    }
    // An orchestrator asks for the address of a pod, and not for a name of ours.
    if let Some(probe) = cx.handler.on_probe(request, peer) {
        return Refused::page(probe);
    }
    if let Err(refused) = check_host(request, cx) {
        return refused;
    }
    cx.handler.on_http(request, peer).map_or_else(|| HandshakeError::UpgradeRequired.into(), Refused::page)
}

fn check_host<H>(request: &Request<'_, '_>, cx: &Context<'_, H>) -> Result<(), Refused> {
    let Some(hosts) = cx.config.access.hosts.as_ref().filter(|hosts| !hosts.allows(request)) else {
        return Ok(());
    };
    let host = printable(request.host().unwrap_or_default());
    let allowed = match hosts {
        HostPolicy::Loopback => "localhost and loopback addresses".to_owned(),
        hosts => printable(&hosts.to_string()),
    };
    let detail = format!("the host {host} is not served here, only {allowed}");
    Err(Refused::text(403, RefusalReason::Host, detail))
}

fn check_origin<H>(request: &Request<'_, '_>, cx: &Context<'_, H>) -> Result<(), Refused> {
    let origins = &cx.config.access.origins;
    if origins.allows(request) {
        return Ok(());
    }
    let origin = printable(request.origin().unwrap_or_default());
    let allowed = match origins {
        OriginPolicy::SameOrigin => {
            format!("pages of the host that is asked for, {}", printable(request.host().unwrap_or_default()))
        }
        origins => printable(&origins.to_string()),
    };
    let detail = format!("the origin {origin} is not allowed, only {allowed}");
    Err(Refused::text(403, RefusalReason::Origin, detail))
}

/// Judges a request for a WebSocket.
fn open<H: Handler>(
    request: &Request<'_, '_>,
    peer: &PeerInfo,
    limit: Option<Limit>,
    cx: &mut Context<'_, H>,
) -> Result<(H::Session, Agreed), Refused> {
    check_host(request, cx)?;
    let upgrade = request.upgrade()?;
    if cx.draining {
        return Err(Refused::shutting_down());
    }
    if let Some(limit) = limit {
        return Err(limit.refused());
    }
    check_origin(request, cx)?;
    let accepted = cx.handler.on_request(&upgrade, peer).map_err(|response| {
        Refused::new(response, RefusalReason::Application, "the application refused the request")
    })?;
    let config = cx.config;
    let agreed = Agreed::on(&upgrade, config, cx.budget);
    match switch_protocols(&upgrade, &accepted, &agreed, cx.out.buffer()) {
        Ok(()) => Ok((accepted.session, agreed)),
        // The application's mistake, which its client cannot help: a subprotocol that was not offered, a bad header.
        Err(error) => {
            let detail = format!("the server's answer is not valid: {error}");
            Err(Refused::text(500, RefusalReason::HandlerFailed, detail))
        }
    }
}

fn switch_protocols<S>(
    upgrade: &Upgrade<'_, '_>,
    accepted: &Accepted<S>,
    agreed: &Agreed,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let extensions = agreed.extensions();
    let mut response = Accept::new()
        .with_subprotocol(accepted.subprotocol.as_deref())
        .with_extensions(extensions.as_deref());
    for (name, value) in &accepted.headers {
        response = response.with_header(name.clone(), value.clone())?;
    }
    response.encode(upgrade, out)
}
