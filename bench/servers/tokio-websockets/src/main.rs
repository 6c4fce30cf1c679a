//! An echo on tokio-websockets, as its own echo server has it: one frame a message, and no yielding to other tasks.
#![forbid(unsafe_code)]

use bench_options::Options;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio_websockets::{Config, Error, ServerBuilder};

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let config = Config::default().frame_size(usize::MAX);
    let (_request, mut socket) = ServerBuilder::new().config(config).accept(stream).await?;
    let mut messages = Vec::new();
    while let Some(message) = socket.next().await {
        // Looking for the next message sends what is fed, so those that came together are taken first.
        messages.push(message?);
        while let Some(message) = socket.next().now_or_never().flatten() {
            messages.push(message?);
        }
        for message in messages.drain(..).filter(|message| message.is_text() || message.is_binary()) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    bench_accept::serve(&Options::from_process(), |stream| unconstrained(echo(stream)))
}
