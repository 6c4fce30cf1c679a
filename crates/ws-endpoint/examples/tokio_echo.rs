//! An echo server on tokio: `cargo run -p ws-endpoint --example tokio_echo 127.0.0.1:9999`

use std::{env, error::Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use ws_endpoint::{Output, ServerEndpoint, ServerEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:9999".into())).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        tokio::spawn(serve(listener.accept().await?.0));
    }
}

async fn serve(mut socket: TcpStream) {
    let (mut endpoint, mut out, mut buffer) = (ServerEndpoint::default(), Output::new(), [0; 16 << 10]);
    while !endpoint.is_finished() {
        let Ok(len @ 1..) = socket.read(&mut buffer).await else { return };
        // What went wrong, if anything did, is in `out` for the peer, and the endpoint is finished.
        let _ = endpoint.receive_all(&mut buffer[..len], &mut out, |event, out| match event {
            ServerEvent::Request(request) => _ = request.accept(out),
            ServerEvent::Message(message, sender) => _ = sender.send(message, out),
            _ => {} // ping, pong, close: dealt with
        });
        let Ok(()) = socket.write_all(out.as_bytes()).await else { return };
        out.clear();
    }
}
