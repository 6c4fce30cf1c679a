//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1), and the agreement on permessage-deflate (RFC 7692 §7.1):
//! what is accepted is what a parser that follows the ABNF accepts, and reads the same when written anew; what a server
//! answers is allowed by an offer; what a client takes is allowed by its own offer; and the two sides agree.

use super::script::Script;
use ws_endpoint::{DeflateAgreement, DeflateOffer};
use ws_handshake::{Accept, ClientRequest, EMPTY_HEADER, Extension, Request, ResponseHead};
use ws_protocol::WindowBits;

const NONCE: [u8; 16] = *b"the sample nonce";
const NAME: &str = "permessage-deflate";

/// The smallest window, in bits, that one side asks the other for.
const MIN_ASKED: u8 = 9;

/// An extension and its parameters.
type Read = (String, Vec<(String, Option<String>)>);

/// The input is what a server wants, what a client wants (two bytes each), and the lines of the field.
pub fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let (server, client) = (config(&mut script), config(&mut script));
    let mut lines: Vec<&[u8]> = script.rest().split(|&byte| byte == b'\n').collect();
    lines.truncate(8);

    check_pair(&server, &client);
    let Some(read) = read_offer(&lines, &server) else {
        assert!(!is_legal(&lines), "refused, and inside the grammar and the limits");
        return;
    };
    assert!(is_legal(&lines), "accepted, and outside the grammar or the limits");
    let written = read.iter().map(write).collect::<Vec<_>>();
    let written: Vec<&[u8]> = written.iter().map(String::as_bytes).collect();
    assert_eq!(read_offer(&written, &server).as_ref(), Some(&read), "one line for each");
    assert_eq!(read_offer(&[&written.join(&b", "[..])], &server).as_ref(), Some(&read), "in one line");
    assert_eq!(read_offer(&[&lines.join(&b',')], &server), Some(read), "as it was, in one line");
    check_response(&lines, &client);
}

fn config(script: &mut Script<'_>) -> DeflateOffer {
    let (flags, bits) = (script.byte(), script.byte());
    let mut config = DeflateOffer::default();
    config.server_context_takeover = flags & 1 != 0;
    config.client_context_takeover = flags & 2 != 0;
    config.server_max_window_bits = WindowBits::new(15 - (bits & 7)).expect("from 8 to 15");
    config.client_max_window_bits = WindowBits::new(15 - (bits >> 3 & 7)).expect("from 8 to 15");
    config
}

/// A server and a client of ours agree.
fn check_pair(server: &DeflateOffer, client: &DeflateOffer) {
    let offer = client.offer();
    let request = ClientRequest::new("a", "/", NONCE).and_then(|it| it.with_extensions(&offer));
    let request = request.expect("our offer is a legal field");
    let mut head = Vec::new();
    request.encode(&mut head);
    let mut headers = [EMPTY_HEADER; 16];
    let upgrade = Request::parse(&head, &mut headers).and_then(|request| request.upgrade());
    let upgrade = upgrade.expect("our request is a handshake");
    let params = server.accept(&upgrade).expect("our offer is a good one");
    let (text, mut answer) = (params.to_string(), Vec::new());
    Accept::new().with_extensions(&*text).encode(&upgrade, &mut answer).expect("it was offered");
    let mut headers = [EMPTY_HEADER; 16];
    let established =
        ResponseHead::parse(&answer, &mut headers).and_then(|response| response.check(&request));
    let agreed = client.check(&established.expect("our response is right"));
    let agreed = agreed.expect("it was offered").expect("it was accepted");
    assert_eq!(agreed.server_max_window_bits(), params.server_max_window_bits());
    assert_eq!(agreed.client_max_window_bits(), params.client_max_window_bits());
    assert_eq!(agreed.server_context_takeover(), params.server_context_takeover());
    assert_eq!(agreed.client_context_takeover(), params.client_context_takeover());
    for (bits, server, client) in [
        (params.server_max_window_bits(), server.server_max_window_bits, client.server_max_window_bits),
        (params.client_max_window_bits(), server.client_max_window_bits, client.client_max_window_bits),
    ] {
        let most = server.min(client).get().max(MIN_ASKED);
        assert!(bits.get() <= most, "each side's limit holds");
    }
}

/// The extensions that a request with these lines offers; `None` if they are refused.
fn read_offer(lines: &[&[u8]], server: &DeflateOffer) -> Option<Vec<Read>> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        .to_vec();
    push_fields(&mut head, lines);
    let mut headers = vec![EMPTY_HEADER; lines.len() + 5];
    let upgrade = Request::parse(&head, &mut headers).ok()?.upgrade().ok()?;
    let offers: Vec<Read> = upgrade.extensions().map(read).collect();
    match server.accept(&upgrade) {
        Some(params) => {
            let first_good = offers.iter().find(|offer| is_good(offer, true)).expect("a good offer");
            check_answer(&params, first_good, server);
        }
        None => assert!(!offers.iter().any(|offer| is_good(offer, true)), "a good offer is accepted"),
    }
    Some(offers)
}

fn push_fields(head: &mut Vec<u8>, lines: &[&[u8]]) {
    for line in lines {
        head.extend_from_slice(b"Sec-WebSocket-Extensions: ");
        head.extend_from_slice(line);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

fn read(extension: &Extension<'_>) -> Read {
    let params = extension.params().map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    (extension.name().to_owned(), params.collect())
}

fn write((name, params): &Read) -> String {
    let params = params.iter().map(|(name, value)| match value {
        Some(value) => format!("; {name}=\"{value}\""),
        None => format!("; {name}"),
    });
    name.clone() + &params.collect::<String>()
}

/// RFC 7692 §7: whether each parameter is defined, there once, and has a value as it should.
fn is_good((name, params): &Read, is_offer: bool) -> bool {
    name == NAME
        && params.iter().enumerate().all(|(index, (name, value))| {
            let is_legal = match &**name {
                "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
                "server_max_window_bits" | "client_max_window_bits" => match value.as_deref() {
                    Some(value) => ["8", "9", "10", "11", "12", "13", "14", "15"].contains(&value),
                    None => is_offer && name == "client_max_window_bits",
                },
                _ => false,
            };
            is_legal && params[..index].iter().all(|(before, _)| before != name)
        })
}

/// RFC 7692 §7.1: the answer is one that the offer allows and that the server wants.
fn check_answer(params: &DeflateAgreement, offer: &Read, server: &DeflateOffer) {
    let offered = |name: &str| offer.1.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_deref());
    let text = params.to_string();
    let says = |name: &str| text.contains(name);
    if offered("server_no_context_takeover").is_some() {
        assert!(says("server_no_context_takeover"), "§7.1.1.1: {text}");
    }
    if let Some(bits) = offered("server_max_window_bits") {
        assert!(says("server_max_window_bits"), "§7.1.2.1: {text}");
        let most = bits.map_or(0, |bits| bits.parse().expect("a good offer"));
        assert!(params.server_max_window_bits().get() <= most, "§7.1.2.1: {text}");
    }
    match offered("client_max_window_bits") {
        None => assert!(!says("client_max_window_bits"), "§7.1.2.2: {text}"),
        Some(bits) => {
            let most = bits.map_or(15, |bits| bits.parse().expect("a good offer"));
            assert!(params.client_max_window_bits().get() <= most, "§7.1.2.2: {text}");
            let most = server.client_max_window_bits.get().max(MIN_ASKED);
            assert!(params.client_max_window_bits().get() <= most, "{text}");
            assert!(params.client_max_window_bits().get() >= MIN_ASKED || bits == Some("8"), "{text}");
        }
    }
    assert!(params.server_max_window_bits() <= server.server_max_window_bits, "{text}");
    assert!(!params.server_context_takeover() || server.server_context_takeover, "{text}");
    assert!(!params.client_context_takeover() || server.client_context_takeover, "{text}");
}

/// Gives the lines to a client as the answer to its own offer.
fn check_response(lines: &[&[u8]], client: &DeflateOffer) {
    let offer = client.offer();
    let request = ClientRequest::new("a", "/", NONCE).and_then(|it| it.with_extensions(&offer));
    let request = request.expect("our offer is a legal field");
    let mut head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        .to_vec();
    push_fields(&mut head, lines);
    let mut headers = vec![EMPTY_HEADER; lines.len() + 3];
    let Ok(response) = ResponseHead::parse(&head, &mut headers) else { return };
    let Ok(established) = response.check(&request) else { return };
    let extensions: Vec<Read> = established.extensions().map(read).collect();
    assert!(
        extensions.iter().all(|(name, _)| name == NAME),
        "§4.1: what was not offered fails the connection"
    );
    let agreed = client.check(&established);
    let is_legal = match &extensions[..] {
        [] => true,
        [response] => is_good(response, false) && is_answer_to(response, client),
        _ => false,
    };
    assert_eq!(agreed.is_ok(), is_legal, "{extensions:?}");
    let Ok(agreed) = agreed else { return };
    let Some(params) = agreed else {
        assert!(extensions.is_empty(), "declined");
        return;
    };
    assert!(!params.client_context_takeover() || client.client_context_takeover);
    assert!(params.client_max_window_bits() <= client.client_max_window_bits);
}

/// RFC 7692 §7.1: the good response says what the client's first offer demands, and no more than it allows; or no
/// more than the second one allows, which is plain.
fn is_answer_to(response: &Read, client: &DeflateOffer) -> bool {
    let said = |name: &str| response.1.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_deref());
    let bits = |name: &str| said(name).flatten().and_then(|bits| bits.parse().ok());
    let (server_most, client_most) =
        (client.server_max_window_bits.get().max(MIN_ASKED), client.client_max_window_bits.get());
    let is_first = (said("server_no_context_takeover").is_some() || client.server_context_takeover)
        && bits("server_max_window_bits").unwrap_or(15_u8) <= server_most
        && bits("client_max_window_bits").is_none_or(|bits: u8| bits <= client_most);
    is_first || said("client_max_window_bits").is_none()
}

/// Whether the lines are inside the ABNF, element by element as RFC 9110 §5.6 reads a list, and have 32 extensions
/// and 16 parameters at most.
fn is_legal(lines: &[&[u8]]) -> bool {
    let mut extensions = 0;
    for line in lines {
        let mut rest = *line;
        loop {
            skip_white_space(&mut rest);
            if !matches!(rest.first(), None | Some(b',')) {
                if !take_extension(&mut rest) {
                    return false;
                }
                extensions += 1;
            }
            match rest.split_first() {
                None => break,
                Some((b',', after)) => rest = after,
                Some(_) => return false,
            }
        }
    }
    // Inside the grammar, a semicolon begins a parameter wherever it is.
    let params = lines.iter().flat_map(|line| line.iter()).filter(|&&byte| byte == b';').count();
    (1..=32).contains(&extensions) && params <= 16
}

fn take_extension(rest: &mut &[u8]) -> bool {
    if !take_token(rest) {
        return false;
    }
    skip_white_space(rest);
    while take(rest, b';') {
        skip_white_space(rest);
        if !take_token(rest) {
            return false;
        }
        skip_white_space(rest);
        if take(rest, b'=') {
            skip_white_space(rest);
            if !take_token(rest) && !take_quoted_token(rest) {
                return false;
            }
            skip_white_space(rest);
        }
    }
    true
}

fn take(rest: &mut &[u8], byte: u8) -> bool {
    match rest.strip_prefix(&[byte]) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

fn take_token(rest: &mut &[u8]) -> bool {
    let len = rest.iter().take_while(|byte| is_token_char(**byte)).count();
    *rest = &rest[len..];
    len > 0
}

fn take_quoted_token(rest: &mut &[u8]) -> bool {
    if !take(rest, b'"') {
        return false;
    }
    let mut len = 0;
    while !take(rest, b'"') {
        take(rest, b'\\');
        match rest.split_first() {
            Some((byte, after)) if is_token_char(*byte) => *rest = after,
            _ => return false,
        }
        len += 1;
    }
    len > 0
}

fn skip_white_space(rest: &mut &[u8]) {
    let len = rest.iter().take_while(|byte| matches!(**byte, b' ' | b'\t')).count();
    *rest = &rest[len..];
}

fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
