//! The delivery of messages that others send: what happens to them where the peer does not keep up.

use crate::{
    Handler, Peer, SlowConsumer, Transport,
    app::peer::Broadcast,
    connection::{
        context::Context,
        link::Link,
        open::{End, Open},
    },
};

/// Sends messages for all to a peer, and writes them as far as the socket takes them.
pub(crate) fn broadcast<H: Handler>(
    messages: &mut [Broadcast<'_>],
    open: &mut Open<H::Session>,
    link: &mut Link<impl Transport>,
    cx: &mut Context<'_, H>,
) -> Result<(), End> {
    for message in messages {
        deliver(message.len(), open, link, cx, |peer| message.send(peer));
    }
    open.flush(link, cx)
}

/// Sends a message of others, of `len` bytes, as [`Open::with_peer`] does, under the policy for peers whose queue is
/// full. A message that may be dropped later is queued, and not in `out`.
pub(crate) fn deliver<H: Handler>(
    len: usize,
    open: &mut Open<H::Session>,
    link: &mut Link<impl Transport>,
    cx: &mut Context<'_, H>,
    send: impl FnOnce(&mut Peer<'_>),
) {
    let (drops, max_len) = match cx.config.flow.slow_consumer {
        SlowConsumer::LatestOnly => (true, 0),
        SlowConsumer::DropOldest => (true, cx.config.limits.max_write_queue_len.saturating_sub(len)),
        SlowConsumer::Close | SlowConsumer::DropNewest => (false, usize::MAX),
    };
    // The peer's inflater has to see whatever its compressor remembers.
    let may_be_dropped = drops && !open.has_own_compressor();
    while link.stream.queued_len() > max_len && link.stream.drop_oldest() {
        cx.counters.drops.add(1);
    }
    open.with_peer(link, cx, send);
    if may_be_dropped && open.protocol.sender().is_open() {
        link.stream.queue_message(cx.out.as_bytes(), cx.now);
        cx.out.clear();
    }
}
