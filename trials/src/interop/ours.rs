//! Our client role and somebody else's server.

use super::check::{Check, Compression, Finding};
use crate::Outcome;
use crate::client::{Client, Offer, Received};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ws_endpoint::{DeflateAgreement, DeflateOffer};
use ws_protocol::{CloseCode, Message};

/// The largest message.
const MAX_LEN: usize = 16 << 20;

/// How long the server gets for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);

const TEXT: &str = "Grüße, 世界 👋";

/// A code of an application, and what the server closes with at the path `/close`.
const APPLICATION: CloseCode = CloseCode::new(4001);

type Run = fn(&Target<'_>) -> Outcome;

const CHECKS: [(&str, Run); 12] = [
    ("compression", compression),
    ("text", text),
    ("binary", binary),
    ("16 MiB", largest),
    ("fragments sent", fragments_sent),
    ("fragments received", fragments_received),
    ("ping sent", ping_sent),
    ("ping received", ping_received),
    ("close with 1000", |target| target.open("/echo")?.close(CloseCode::NORMAL)),
    ("close with 4001", |target| target.open("/echo")?.close(APPLICATION)),
    ("closed with 4001", closed),
    ("subprotocol", subprotocol),
];

/// The names of the checks.
pub(super) fn names() -> Vec<&'static str> {
    CHECKS.iter().map(|(name, _)| *name).collect()
}

/// Does every check with the server at this address.
pub(super) fn checks(address: &str, compression: Compression) -> Vec<Check> {
    let target = Target { address, compression };
    let checks = CHECKS.iter().map(|(name, run)| match run(&target) {
        Ok(()) => Check { name: (*name).to_owned(), finding: Finding::Good },
        Err(error) => Check::failed(name, error.to_string()),
    });
    checks.collect()
}

struct Target<'a> {
    address: &'a str,
    compression: Compression,
}

impl Target<'_> {
    fn open(&self, path: &str) -> Outcome<Client> {
        self.open_with(path, &[])
    }

    fn open_with(&self, path: &str, subprotocols: &[&str]) -> Outcome<Client> {
        let deflate = match self.compression {
            Compression::Off => None,
            Compression::Deflate => Some(DeflateOffer::default()),
            Compression::Takeover => {
                let (server_context_takeover, client_context_takeover) = (true, true);
                Some(DeflateOffer {
                    server_context_takeover,
                    client_context_takeover,
                    ..DeflateOffer::default()
                })
            }
        };
        let stream = TcpStream::connect(self.address)?;
        Client::upgrade(stream, self.address, path, &Offer { subprotocols, deflate })
    }
}

/// What was agreed is what is done: the echo of what can be compressed is small, or it is not.
fn compression(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/echo")?;
    let takeover = client.deflate().map(DeflateAgreement::server_context_takeover);
    let expect = match target.compression {
        Compression::Off => None,
        Compression::Deflate => Some(false),
        Compression::Takeover => Some(true),
    };
    if takeover != expect {
        return Err(format!("agreed on {:?}", client.deflate().map(ToString::to_string)).into());
    }
    let message = "compressible ".repeat(10_000);
    let before = client.received_len();
    echo(&mut client, Message::Text(&message))?;
    let received_len = client.received_len() - before;
    if (received_len < message.len() / 10) != expect.is_some() {
        return Err(format!("{} bytes came as {received_len}", message.len()).into());
    }
    client.close(CloseCode::NORMAL)
}

fn text(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/echo")?;
    let long = TEXT.repeat(1000);
    for message in ["", "I have high ground", &long, &long] {
        echo(&mut client, Message::Text(message))?;
    }
    client.close(CloseCode::NORMAL)
}

fn binary(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/echo")?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for message in [&[][..], &every_byte, &every_byte.repeat(1000), &random(100_000)?] {
        echo(&mut client, Message::Binary(message))?;
    }
    client.close(CloseCode::NORMAL)
}

fn largest(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/echo")?;
    let mut message = random(MAX_LEN / 2)?;
    message.resize(MAX_LEN, 0);
    echo(&mut client, Message::Binary(&message))?;
    client.close(CloseCode::NORMAL)
}

fn fragments_sent(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/echo")?;
    let long = TEXT.repeat(100);
    client.send_fragments(&[&long, "", TEXT].map(Message::Text))?;
    expect(&mut client, Message::Text(&(long + TEXT)))?;
    let bytes = random(1000)?;
    client.send_fragments(&[Message::Binary(&bytes); 100])?;
    expect(&mut client, Message::Binary(&bytes.repeat(100)))?;
    client.close(CloseCode::NORMAL)
}

fn fragments_received(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/fragments")?;
    echo(&mut client, Message::Text(&TEXT.repeat(1000)))?;
    echo(&mut client, Message::Binary(&random(100_000)?))?;
    client.close(CloseCode::NORMAL)
}

fn ping_sent(target: &Target<'_>) -> Outcome {
    let payload = b"\x00payload\xff";
    let mut client = target.open("/echo")?;
    client.ping(payload)?;
    match client.receive(Instant::now() + TIMEOUT)? {
        Received::Pong(pong) if pong == payload => client.close(CloseCode::NORMAL),
        other => Err(format!("{other:?} instead of the pong").into()),
    }
}

fn ping_received(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/ping")?;
    expect(&mut client, Message::Text("pong"))?;
    client.close(CloseCode::NORMAL)
}

fn closed(target: &Target<'_>) -> Outcome {
    let mut client = target.open("/close")?;
    client.send_text("close, please")?;
    let seen = client.wait_for_close()?;
    if seen == APPLICATION { Ok(()) } else { Err(format!("closed with {}", seen.value()).into()) }
}

fn subprotocol(target: &Target<'_>) -> Outcome {
    let client = target.open_with("/echo", &["chat.v2", "chat.v1"])?;
    if client.subprotocol() != Some("chat.v2") {
        return Err(format!("the server chose {:?}", client.subprotocol()).into());
    }
    client.close(CloseCode::NORMAL)
}

fn echo(client: &mut Client, message: Message<'_>) -> Outcome {
    client.send(message)?;
    expect(client, message)
}

fn expect(client: &mut Client, message: Message<'_>) -> Outcome {
    let (is_same, kind) = match (&client.receive(Instant::now() + TIMEOUT)?, message) {
        (Received::Text(seen), Message::Text(wanted)) => (seen == wanted, "text"),
        (Received::Binary(seen), Message::Binary(wanted)) => (seen == wanted, "binary message"),
        _ => (false, "message of its kind"),
    };
    let len = message.as_bytes().len();
    if is_same { Ok(()) } else { Err(format!("no such {kind} of {len} bytes came back").into()) }
}

fn random(len: usize) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
