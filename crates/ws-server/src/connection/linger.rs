//! The last phase of a connection: the queue is written, then the stream is ended.

use crate::{
    CloseCode, Disconnect, DisconnectError, Handler, PeerInfo, Transport,
    connection::{context::Context, link::Link},
    metrics::Counters,
    socket::stream::Gone,
};

/// The phase of a connection that has said everything.
///
/// Queued bytes are written, then the stream is ended, and whatever still arrives is passed over until the peer ends
/// its direction: a socket that is closed with unread input is reset, and the last words are lost. The session waits
/// until it is known whether the peer has taken everything.
pub(crate) struct Linger<S>(Option<Box<Ended<S>>>);

/// A session that has ended, and its outcome, unless its queue is given up.
pub(crate) struct Ended<S> {
    pub(crate) session: S,
    /// The memory of the session, as the handler last reported it, in bytes.
    pub(crate) session_len: u32,
    pub(crate) code: CloseCode,
    pub(crate) reason: Box<str>,
    pub(crate) error: Option<DisconnectError>,
}

impl<S> Linger<S> {
    /// The end of a connection that never opened.
    pub(crate) const fn without_session() -> Self {
        Self(None)
    }

    pub(crate) fn new(ended: Ended<S>) -> Self {
        Self(Some(Box::new(ended)))
    }

    /// The memory that it takes, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        let Some(ended) = &self.0 else { return 0 };
        size_of::<Ended<S>>() + ended.reason.len() + ended.session_len as usize
    }

    /// Writes what is queued. Once that is nothing, the session ends and the stream, and then the connection with the
    /// peer's direction.
    pub(crate) fn flush<H: Handler<Session = S>>(
        &mut self,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Result<(), Gone> {
        match link.write(cx) {
            Ok(wrote) if wrote.is_progress => link.set_timeout(cx.config.deadlines.close_timeout, cx),
            Ok(_) => {}
            Err(error) => return Err(self.lost(Some(error.into()), link, cx)),
        }
        self.end_stream(link, cx)
    }

    /// Ends the session and the stream once all is written, and the connection once the peer's direction has ended.
    pub(crate) fn end_stream<H: Handler<Session = S>>(
        &mut self,
        link: &mut Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Result<(), Gone> {
        if link.stream.queued_len() == 0 {
            self.conclude(&link.peer, 0, cx.handler, cx.counters);
        }
        // RFC 6455 §5.5.1: "The server MUST close the underlying TCP connection immediately". §7.1.1: the connection "SHOULD be
        // closed first by the server". This ends our direction once all is written.
        link.stream.end()
    }

    /// Gives up the queue, with an error that counts unless there was another before.
    pub(crate) fn lost<H: Handler<Session = S>>(
        &mut self,
        error: Option<DisconnectError>,
        link: &Link<impl Transport>,
        cx: &mut Context<'_, H>,
    ) -> Gone {
        if let Some(ended) = &mut self.0 {
            ended.error = ended.error.take().or(error);
        }
        self.conclude(&link.peer, link.stream.queued_len(), cx.handler, cx.counters);
        Gone
    }

    /// Tells the application how its session has ended, once.
    pub(crate) fn conclude<H: Handler<Session = S>>(
        &mut self,
        peer: &PeerInfo,
        unsent_len: usize,
        handler: &mut H,
        counters: &Counters,
    ) {
        let Some(ended) = self.0.take() else { return };
        let Ended { session, code, reason, error, .. } = *ended;
        counters.connections_open.add(1_u64.wrapping_neg());
        counters.close(code);
        let (reason, error) = (&*reason, error.as_ref());
        handler.on_close(session, &Disconnect { peer, code, reason, error, unsent_len });
    }

    /// Ends a session whose worker ends.
    pub(crate) fn abandon<H: Handler<Session = S>>(
        mut self,
        link: &Link<impl Transport>,
        handler: &mut H,
        counters: &Counters,
    ) {
        if let Some(ended) = &mut self.0 {
            ended.error.get_or_insert(DisconnectError::WorkerEnded);
        }
        self.conclude(&link.peer, link.stream.queued_len(), handler, counters);
    }
}
