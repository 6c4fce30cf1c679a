//! A client on tokio: sends its arguments to an echo server, and prints what comes back.
//!
//! `cargo run -p ws-protocol --example tokio_client 127.0.0.1:9999 hello there`

use std::{env, error::Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use ws_handshake::{ClientRequest, EMPTY_HEADER, HeadScanner, ResponseHead};
use ws_protocol::{CloseCode, CloseFrame, Event, Input, Message, MessageLimits, Output, Protocol};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let addr = args.next().ok_or("usage: tokio_client HOST:PORT MESSAGE...")?;
    let messages: Vec<String> = args.collect();
    let mut socket = TcpStream::connect(&addr).await?;
    let (mut buffer, mut out, mut scanner) = (Vec::new(), Output::new(), HeadScanner::new());

    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    let request = ClientRequest::new(&addr, "/", nonce)?;
    request.encode(out.buffer());
    socket.write_all(out.as_bytes()).await?;
    let head_len = loop {
        if socket.read_buf(&mut buffer).await? == 0 {
            return Err("the server ended the stream during the handshake".into());
        }
        if let Some(head_len) = scanner.scan(&buffer, 16 << 10)? {
            break head_len;
        }
    };
    ResponseHead::parse(&buffer[..head_len], &mut [EMPTY_HEADER; 64])?.check(&request)?;
    buffer.drain(..head_len); // what is left are frames
    out.clear();

    // RFC 6455 §5.3: masking keys come from a strong source of entropy. Where there is none, better no key at all.
    let masking_key = || getrandom::u32().expect("the system has random numbers").to_ne_bytes();
    let mut protocol = Protocol::client(MessageLimits::default(), masking_key);
    for message in &messages {
        protocol.sender().send(Message::Text(message), &mut out)?;
    }
    let mut answers = 0;
    loop {
        let mut input = Input::new(&mut buffer);
        while let Some((event, sender)) = protocol.receive(&mut input, &mut out)? {
            if let Event::Message(message) = event {
                println!("{}", String::from_utf8_lossy(message.as_bytes()));
                answers += 1;
                if answers == messages.len() {
                    sender.close(CloseFrame { code: CloseCode::NORMAL, reason: "" }, &mut out)?;
                }
            }
        }
        socket.write_all(out.as_bytes()).await?;
        buffer.clear();
        out.clear();
        if socket.read_buf(&mut buffer).await? == 0 {
            let code = protocol.receive_eof();
            return if code == CloseCode::NORMAL {
                Ok(())
            } else {
                Err(format!("closed with {code}").into())
            };
        }
    }
}
