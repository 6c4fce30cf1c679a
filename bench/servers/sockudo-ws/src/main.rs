//! An echo on sockudo-ws, and a broadcast with its topics.
#![forbid(unsafe_code)]

use bench_options::{Compression, Options};
use bytes::BytesMut;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use sockudo_ws::deflate::{DeflateNegotiation, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{
    CompressedWebSocketStream, Config, DeflateConfig, Error, Message, PubSub, Result, WebSocketStream,
};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const TOPIC: &str = "all";

async fn serve(mut stream: TcpStream, options: Options, topics: Arc<PubSub>) -> Result<()> {
    let deflate = handshake(&mut stream, options.compression).await?;
    match deflate {
        Some(deflate) => echo(CompressedWebSocketStream::server(stream, Config::default(), deflate)).await,
        None if options.broadcast => {
            broadcast(WebSocketStream::server(stream, Config::default()), &topics).await
        }
        None => echo(WebSocketStream::server(stream, Config::default())).await,
    }
}

/// What is fed is flushed before more is read from the socket.
async fn echo<S>(mut socket: S) -> Result<()>
where
    S: Stream<Item = Result<Message>> + Sink<Message, Error = Error> + Unpin,
{
    while let Some(message) = socket.next().await {
        if let message @ (Message::Text(_) | Message::Binary(_)) = message? {
            socket.feed(message).await?;
        }
    }
    Ok(())
}

async fn broadcast(mut socket: WebSocketStream<TcpStream>, topics: &PubSub) -> Result<()> {
    let (sender, mut published) = mpsc::unbounded_channel();
    let subscriber = topics.create_subscriber(sender);
    topics.subscribe(subscriber, TOPIC);
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    topics.publish(TOPIC, message);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
            Some(message) = published.recv() => {
                socket.feed(message).await?;
                // What was published together is one write.
                while let Ok(message) = published.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
        }
    }
    topics.remove_subscriber(subscriber);
    Ok(())
}

/// The opening handshake, as the library's examples do it. No client of ours sends a frame before it has the response.
async fn handshake(stream: &mut TcpStream, compression: Compression) -> Result<Option<DeflateConfig>> {
    let mut head = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        let Some((request, _)) = parse_request(&head)? else { continue };
        let policy = policy(compression);
        let agreed = policy.and_then(|policy| negotiate_server_deflate(request.extensions?, &policy));
        let extensions = agreed.as_ref().map(DeflateNegotiation::to_response_header);
        let response = build_response(&generate_accept_key(request.key), None, extensions.as_deref());
        stream.write_all(&response).await?;
        return Ok(agreed.map(|agreed| agreed.config));
    }
}

fn policy(compression: Compression) -> Option<DeflateConfig> {
    let takeover = match compression {
        Compression::Off => return None,
        Compression::Shared => false,
        Compression::Takeover => true,
    };
    Some(DeflateConfig {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        ..DeflateConfig::default()
    })
}

fn main() -> io::Result<()> {
    let options = Options::from_process();
    let topics = Arc::new(PubSub::new());
    bench_accept::serve(&options, |stream| serve(stream, options, Arc::clone(&topics)))
}
