//! An echo on yawc, tuned as its own benchmark is: large buffers, and one write for up to 32 messages.
#![forbid(unsafe_code)]

use bench_options::{Compression, Options};
use futures_util::{FutureExt, SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use tokio::net::TcpStream;
use yawc::{CompressionLevel, OpCode, Result, UpgradeFut, WebSocket};

/// How many messages are answered in one write, at the most.
const BATCH: usize = 32;

async fn echo(upgraded: UpgradeFut) -> Result<()> {
    let mut socket = upgraded.await?;
    while let Some(frame) = socket.next().await {
        let mut next = Some(frame);
        let mut answered = 0;
        while let Some(frame) = next {
            if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
                socket.feed(frame).await?;
            }
            answered += 1;
            if answered == BATCH {
                break;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

fn options(compression: Compression) -> yawc::Options {
    let options = yawc::Options::default()
        .with_utf8()
        .with_limits(16 << 20, 17 << 20)
        .with_read_buffer_capacity(128 * 1024)
        .with_backpressure_boundary(64 * 1024);
    match compression {
        Compression::Off => options.without_compression(),
        Compression::Shared => options
            .with_compression_level(CompressionLevel::default())
            .server_no_context_takeover()
            .client_no_context_takeover(),
        Compression::Takeover => options.with_compression_level(CompressionLevel::default()),
    }
}

async fn answer(mut request: Request<Incoming>, options: yawc::Options) -> Result<Response<Empty<Bytes>>> {
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(echo(upgraded));
    Ok(response)
}

fn main() -> io::Result<()> {
    let options_of_server = Options::from_process();
    let options = options(options_of_server.compression);
    bench_accept::serve(&options_of_server, |stream: TcpStream| {
        let options = options.clone();
        http1::Builder::new()
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| answer(request, options.clone())),
            )
            .with_upgrades()
    })
}
