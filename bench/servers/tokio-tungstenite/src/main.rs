//! An echo on tokio-tungstenite, with its buffers of 128 KiB.
#![forbid(unsafe_code)]

use bench_options::Options;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use tokio::net::TcpStream;
use tokio_tungstenite::{accept_async, tungstenite::Error};

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let mut next = Some(message?);
        // What came together is answered in one write.
        while let Some(message) = next {
            if message.is_text() || message.is_binary() {
                socket.feed(message).await?;
            }
            next = socket.next().now_or_never().flatten().transpose()?;
        }
        socket.flush().await?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    bench_accept::serve(&Options::from_process(), echo)
}
