//! The link of a connection to its peer, in every phase: the peer's identity, the stream, the deadline.

use crate::{
    Peer, PeerInfo, Transport,
    connection::context::Context,
    socket::stream::{Stream, Written, after},
};
use std::{
    io,
    time::{Duration, Instant},
};
use ws_protocol::{Sender, ServerRole};

/// The link of a connection to its peer, over the transport `T`.
pub(crate) struct Link<T> {
    pub(crate) peer: PeerInfo,
    pub(crate) stream: Stream<T>,
    /// The moment by which the peer must have done what its phase demands.
    pub(crate) deadline: Instant,
    /// More than the high water was queued, and the low water is not reached yet: nothing is read.
    pub(crate) is_lagging: bool,
    /// The application reads nothing for now.
    pub(crate) is_paused: bool,
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrote {
    /// The socket had been full, and the peer has taken something since: a sign of life.
    pub(crate) is_progress: bool,
    /// The peer lagged, and has caught up.
    pub(crate) has_caught_up: bool,
}

impl<T: Transport> Link<T> {
    pub(crate) fn new(peer: PeerInfo, transport: T, deadline: Instant) -> Self {
        Self { peer, stream: Stream::new(transport), deadline, is_lagging: false, is_paused: false }
    }

    /// Whether nothing is read from the peer now: it lags, or the application has paused it.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.is_lagging || self.is_paused
    }

    /// Gives the peer this time from now.
    pub(crate) fn set_timeout<H>(&mut self, timeout: Duration, cx: &Context<'_, H>) {
        self.deadline = after(cx.now, timeout);
    }

    /// Writes queued bytes and then `out`, as far as the socket takes them, and queues the rest.
    #[inline]
    pub(crate) fn write<H>(&mut self, cx: &mut Context<'_, H>) -> io::Result<Wrote> {
        let written = self.stream.write(cx.out.as_bytes(), cx.now);
        cx.out.clear();
        let Written { len, is_progress } = written?;
        cx.counters.bytes_sent.add(len as u64);
        let (flow, queued_len) = (&cx.config.flow, self.stream.queued_len());
        let mut has_caught_up = false;
        if queued_len > flow.high_water_len {
            cx.counters.read_pauses.add(u64::from(!self.is_lagging));
            self.is_lagging = true;
        } else if self.is_lagging && queued_len <= flow.low_water_len {
            self.is_lagging = false;
            has_caught_up = true;
        }
        Ok(Wrote { is_progress, has_caught_up })
    }

    /// The peer, as the handler sees it, and beside it the handler.
    #[inline]
    pub(crate) fn peer<'p, H>(
        &'p mut self,
        sender: &'p mut Sender<ServerRole>,
        cx: &'p mut Context<'_, H>,
    ) -> (Peer<'p>, &'p mut H) {
        let Context { config, counters, remote, now, .. } = *cx;
        let Self { peer: info, stream, is_paused, .. } = self;
        let (queued, input_len) = (stream.queued_len(), 0);
        let Context { out, shared, handler, .. } = cx;
        let peer = Peer {
            info,
            sender,
            stream,
            is_paused,
            queued,
            input_len,
            config,
            counters,
            remote,
            now,
            out,
            shared,
        };
        (peer, handler)
    }

    /// Queues `out`, to be written later.
    pub(crate) fn queue<H>(&mut self, cx: &mut Context<'_, H>) {
        self.stream.queue(cx.out.as_bytes(), cx.now);
        cx.out.clear();
    }
}
