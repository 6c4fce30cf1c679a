//! The delivery of messages that others send: what happens to them where the peer does not keep up.

use crate::{
    Handler, Prepared, SlowConsumer, Transport,
    connection::{context::Context, link::Link, open::Open},
};

/// Sends a message of others to the peer, under the policy for peers whose queue is full. It is in `out`, or in the queue.
pub(crate) fn deliver<H: Handler>(
    message: &Prepared,
    open: &mut Open<H::Session>,
    link: &mut Link<impl Transport>,
    cx: &mut Context<'_, H>,
) {
    let (drops, max_len) = match cx.config.flow.slow_consumer {
        SlowConsumer::LatestOnly => (true, 0),
        SlowConsumer::DropOldest => {
            (true, cx.config.limits.max_write_queue_len.saturating_sub(message.len()))
        }
        SlowConsumer::Close | SlowConsumer::DropNewest => (false, usize::MAX),
    };
    // The peer's inflater has to see whatever its compressor remembers.
    let may_be_dropped = drops && !open.has_own_compressor();
    while link.stream.queued_len() > max_len && link.stream.drop_oldest() {
        cx.counters.messages_dropped.add(1);
    }
    open.with_peer(link, cx, |peer| {
        peer.deliver(message, may_be_dropped);
    });
}
