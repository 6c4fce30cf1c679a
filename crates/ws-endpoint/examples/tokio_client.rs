//! A client on tokio: sends its arguments to an echo server, and prints what comes back.
//!
//! `cargo run -p ws-endpoint --example tokio_client 127.0.0.1:9999 hello there`

use std::{env, error::Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use ws_endpoint::{ClientEndpoint, ClientEvent, ClientRequest, CloseFrame, Message, Output};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = env::args().nth(1).ok_or("usage: tokio_client HOST:PORT MESSAGE...")?;
    let (mut socket, mut out, mut buffer) = (TcpStream::connect(&addr).await?, Output::new(), [0; 16 << 10]);
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    // RFC 6455 §5.3: masking keys come from a strong source of entropy. Where there is none, better no key at all.
    let masking_key = || getrandom::u32().expect("the system has random numbers").to_ne_bytes();
    let request = ClientRequest::new(&addr, "/", nonce)?;
    let mut endpoint = ClientEndpoint::new(request, Default::default(), masking_key, &mut out)?;
    loop {
        socket.write_all(out.as_bytes()).await?;
        out.clear();
        let len @ 1.. = socket.read(&mut buffer).await? else {
            let code = endpoint.receive_eof().value();
            return (code == 1000).then_some(()).ok_or_else(|| format!("closed with {code}").into());
        };
        endpoint.receive_all(&mut buffer[..len], &mut out, |event, out| match event {
            ClientEvent::Open(_, sender) => {
                env::args().skip(2).for_each(|message| _ = sender.send(Message::Text(&message), out));
                _ = sender.close(CloseFrame::NORMAL, out);
            }
            ClientEvent::Message(message, _) => println!("{}", message.as_text().unwrap_or_default()),
            _ => {}
        })?;
    }
}
