//! An echo server on tokio: `cargo run -p ws-protocol --example tokio_echo 127.0.0.1:9999`

use std::{env, error::Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use ws_handshake::{Accept, EMPTY_HEADER, HeadScanner, Request};
use ws_protocol::{Event, Input, MessageLimits, Output, Protocol};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:9999".into())).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (socket, addr) = listener.accept().await?;
        tokio::spawn(
            async move { serve(socket).await.inspect_err(|error| eprintln!("{addr}: {error}")).is_ok() },
        );
    }
}

async fn serve(mut socket: TcpStream) -> Result<(), Box<dyn Error>> {
    let (mut buffer, mut out, mut scanner) = (Vec::new(), Output::new(), HeadScanner::new());
    let head_len = loop {
        if socket.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        if let Some(head_len) = scanner.scan(&buffer, 16 << 10)? {
            break head_len;
        }
    };
    match Request::parse(&buffer[..head_len], &mut [EMPTY_HEADER; 64]).and_then(|request| request.upgrade()) {
        Ok(upgrade) => Accept::new().encode(&upgrade, out.buffer())?,
        Err(error) => {
            error.response().encode(out.buffer());
            return Ok(socket.write_all(out.as_bytes()).await?);
        }
    }
    buffer.drain(..head_len); // what is left are frames
    let mut protocol = Protocol::server(MessageLimits::default());
    loop {
        let mut input = Input::new(&mut buffer);
        let received = loop {
            match protocol.receive(&mut input, &mut out) {
                Ok(Some((Event::Message(message), sender))) => sender.send(message, &mut out)?,
                Ok(Some(_)) => {} // ping, pong, close: dealt with
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        socket.write_all(out.as_bytes()).await?; // also on an error: it holds the close frame
        received?;
        buffer.clear();
        out.clear();
        if protocol.is_finished() || socket.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}
