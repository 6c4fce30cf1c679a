//! The opening handshake: a request in; out come a session and a 101, or a response that refuses it.

use crate::{Handler, compression::Agreed, connection::Context, metrics::Refusal};
use std::net::SocketAddr;
use ws_handshake::{Accept, EMPTY_HEADER, EncodeError, HandshakeError, Request, Response, Upgrade};

/// An answer that opens no connection.
pub(crate) struct Refused {
    pub(crate) response: Response,
    /// `None` for a page.
    pub(crate) reason: Option<Refusal>,
}

impl From<HandshakeError> for Refused {
    fn from(error: HandshakeError) -> Self {
        Self { response: error.response(), reason: Some(error.into()) }
    }
}

/// Answers a whole request head. The session is that of a connection whose 101 is in `out`, and beside it is what was
/// agreed on compression.
pub(crate) fn answer<H: Handler>(
    head: &[u8],
    remote_addr: SocketAddr,
    cx: &mut Context<'_, H>,
) -> Result<(H::Session, Agreed), Refused> {
    let config = cx.config;
    let mut headers = vec![EMPTY_HEADER; config.max_headers];
    let request = Request::parse(head, &mut headers)?;
    if !config.hosts.allows(&request) {
        return Err(HandshakeError::HostNotAllowed.into());
    }
    if !request.is_upgrade() {
        let page = cx.handler.on_http(&request).ok_or(HandshakeError::UpgradeRequired)?;
        return Err(Refused { response: page, reason: None });
    }
    let upgrade = request.upgrade()?;
    if cx.draining {
        return Err(HandshakeError::ShuttingDown.into());
    }
    if !config.origins.allows(&request) {
        return Err(HandshakeError::OriginNotAllowed.into());
    }
    let accepted = cx
        .handler
        .on_request(&upgrade, remote_addr)
        .map_err(|response| Refused { response, reason: Some(Refusal::Application) })?;
    let agreed = Agreed::on(&upgrade, config, cx.budget);
    match switch_protocols(&upgrade, &accepted, &agreed, cx.out.buffer()) {
        Ok(()) => Ok((accepted.session, agreed)),
        // The application's mistake, which its client cannot help: a subprotocol that was not offered, a bad header.
        Err(error) => {
            let response = Response::text(500, format!("the server's answer is not valid: {error}\n"));
            Err(Refused { response, reason: Some(Refusal::HandlerFailed) })
        }
    }
}

fn switch_protocols<S>(
    upgrade: &Upgrade<'_, '_>,
    accepted: &crate::Accept<S>,
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
