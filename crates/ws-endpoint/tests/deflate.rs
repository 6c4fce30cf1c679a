//! What is offered, accepted and agreed on about permessage-deflate, by section of RFC 7692.
//!
//! Offers and responses go through whole heads, so that what one side writes is what the other side reads.

use proptest::{prelude::*, string::string_regex};
use ws_endpoint::{DeflateAgreement, DeflateError, DeflateOffer};
use ws_handshake::{Accept, ClientRequest, EMPTY_HEADER, Request, ResponseHead};
use ws_protocol::WindowBits;

/// Wants nothing of anybody.
fn indifferent() -> DeflateOffer {
    config(false, false, 15, 15)
}

/// The four parameters, in the order in which they are written.
fn config(server_no: bool, client_no: bool, server_max: u8, client_max: u8) -> DeflateOffer {
    let mut config = DeflateOffer::default();
    config.server_context_takeover = !server_no;
    config.client_context_takeover = !client_no;
    config.server_max_window_bits = WindowBits::new(server_max).unwrap();
    config.client_max_window_bits = WindowBits::new(client_max).unwrap();
    config
}

/// The values that both sides go by.
fn effective(params: DeflateAgreement) -> (bool, bool, u8, u8) {
    let server_max = params.server_max_window_bits().get();
    let client_max = params.client_max_window_bits().get();
    (!params.server_context_takeover(), !params.client_context_takeover(), server_max, client_max)
}

/// What a server that wants `config` makes of `offers`, and its whole response.
fn accept(config: DeflateOffer, offers: &str) -> (Option<DeflateAgreement>, Vec<u8>) {
    let request = ClientRequest::new("a", "/", [0; 16]).unwrap().with_extensions(offers).unwrap();
    let (mut head, mut response) = (Vec::new(), Vec::new());
    request.encode(&mut head);
    let mut headers = [EMPTY_HEADER; 8];
    let upgrade = Request::parse(&head, &mut headers).unwrap().upgrade().unwrap();
    let params = config.accept(&upgrade);
    let extensions = params.map(|params| params.to_string());
    Accept::new().with_extensions(extensions.as_deref()).encode(&upgrade, &mut response).unwrap();
    (params, response)
}

/// The whole response of a server that answers with `extensions`, whatever was offered.
fn response_with(extensions: &str) -> Vec<u8> {
    let (_, response) = accept(indifferent(), "x");
    let field = format!("\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n");
    String::from_utf8(response).unwrap().replace("\r\n\r\n", &field).into_bytes()
}

/// What a client that wants `config`, and has also offered `x`, makes of a whole response.
fn check(config: DeflateOffer, response: &[u8]) -> Result<Option<DeflateAgreement>, DeflateError> {
    let offers = format!("{}, x", config.offer());
    let request = ClientRequest::new("a", "/", [0; 16]).unwrap().with_extensions(&offers).unwrap();
    let mut headers = [EMPTY_HEADER; 8];
    config.check(
        &ResponseHead::parse(response, &mut headers)
            .unwrap()
            .check(&request)
            .map_err(|_| DeflateError::Malformed)?,
    )
}

/// A server that wants `config` answers `offers` with the parameters `expect`, or declines all of them.
#[track_caller]
fn check_offers(rule: &str, config: DeflateOffer, offers: &str, expect: Option<&str>) {
    let params = accept(config, offers).0.map(|params| params.to_string());
    assert_eq!(params, expect.map(|params| format!("permessage-deflate{params}")), "{rule}");
}

/// A client that wants `config` is answered with `extensions`.
#[track_caller]
fn check_response(
    rule: &str,
    config: DeflateOffer,
    extensions: &str,
    expect: Result<Option<(bool, bool, u8, u8)>, DeflateError>,
) {
    let outcome = check(config, &response_with(extensions));
    assert_eq!(outcome.map(|params| params.map(effective)), expect, "{rule}");
}

#[test]
fn section_5_offers_in_the_order_of_the_client() {
    for (rule, offers, expect) in [
        ("one", "permessage-deflate", Some("")),
        ("another extension", "x-webkit-deflate-frame", None),
        ("another case", "Permessage-Deflate", None),
        ("behind others", "x; a=1, y, permessage-deflate", Some("")),
        (
            "the first of two",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            Some("; server_max_window_bits=10"),
        ),
        (
            "bad ones first",
            "permessage-deflate; a, permessage-deflate; server_max_window_bits=16, x, \
             permessage-deflate; server_max_window_bits=12, permessage-deflate",
            Some("; server_max_window_bits=12"),
        ),
        ("bad ones only", "permessage-deflate; a, permessage-deflate; server_max_window_bits", None),
    ] {
        check_offers(rule, indifferent(), offers, expect);
    }
}

/// RFC 7692 §7: for each, a server declines the offer, and a client fails the connection.
#[test]
fn section_7_illegal_parameters() {
    for params in [
        "a",
        "a=1",
        "window_bits=10",
        "Server_No_Context_Takeover",
        "SERVER_MAX_WINDOW_BITS=10",
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=1",
        "client_no_context_takeover=\"1\"",
        "server_max_window_bits",
        "server_max_window_bits=0",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=010",
        "server_max_window_bits=+8",
        "server_max_window_bits=-8",
        "server_max_window_bits=8.0",
        "server_max_window_bits=0x8",
        "server_max_window_bits=a",
        "server_max_window_bits=99",
        "server_max_window_bits=264",
        "server_max_window_bits=99999999999999999999",
        "server_max_window_bits=\"08\"",
        "client_max_window_bits=0",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=99",
        "client_max_window_bits=08",
        "client_max_window_bits=+10",
        "client_max_window_bits=a",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits=10",
        "client_max_window_bits=10; server_no_context_takeover; client_max_window_bits=11",
        "client_max_window_bits=10; a",
    ] {
        let element = format!("permessage-deflate; {params}");
        check_offers(params, indifferent(), &element, None);
        check_response(params, indifferent(), &element, Err(DeflateError::Malformed));
    }
    for params in [
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
    ] {
        check_offers(params, indifferent(), &format!("permessage-deflate; {params}"), None);
    }
}

#[test]
fn section_7_1_1_1_server_no_context_takeover() {
    let param = "; server_no_context_takeover";
    let wanted = config(true, false, 15, 15);
    for (rule, config, offered, expect) in [
        ("wanted by nobody", indifferent(), "", ""),
        ("MUST be in the response", indifferent(), param, param),
        ("may be in the response unasked", wanted, "", param),
        ("wanted by both", wanted, param, param),
    ] {
        check_offers(rule, config, &format!("permessage-deflate{offered}"), Some(expect));
    }
    for (rule, config, response, expect) in [
        ("wanted by nobody", indifferent(), "", Ok(Some((false, false, 15, 15)))),
        ("unasked", indifferent(), param, Ok(Some((true, false, 15, 15)))),
        ("agreed", wanted, param, Ok(Some((true, false, 15, 15)))),
        ("the plain offer", wanted, "", Ok(Some((false, false, 15, 15)))),
    ] {
        check_response(rule, config, &format!("permessage-deflate{response}"), expect);
    }
}

#[test]
fn section_7_1_1_2_client_no_context_takeover() {
    let param = "; client_no_context_takeover";
    let wanted = config(false, true, 15, 15);
    for (rule, config, offered, expect) in [
        ("wanted by nobody", indifferent(), "", ""),
        ("a hint is used", indifferent(), param, param),
        ("without a hint", wanted, "", param),
        ("wanted by both", wanted, param, param),
    ] {
        check_offers(rule, config, &format!("permessage-deflate{offered}"), Some(expect));
    }
    for (rule, config, response, expect) in [
        ("wanted by nobody", indifferent(), "", (false, false, 15, 15)),
        ("demanded by the server", indifferent(), param, (false, true, 15, 15)),
        ("a hint that the server uses", wanted, param, (false, true, 15, 15)),
        ("a hint that the server ignores", wanted, "", (false, true, 15, 15)),
    ] {
        check_response(rule, config, &format!("permessage-deflate{response}"), Ok(Some(expect)));
    }
}

#[test]
fn section_7_1_2_1_server_max_window_bits() {
    let ten = config(false, false, 10, 15);
    for (rule, config, offered, expect) in [
        ("wanted by nobody", indifferent(), "", ""),
        ("the same", indifferent(), "; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("the same, the smallest", indifferent(), "; server_max_window_bits=8", "; server_max_window_bits=8"),
        (
            "the same, the largest",
            indifferent(),
            "; server_max_window_bits=15",
            "; server_max_window_bits=15",
        ),
        ("quoted", indifferent(), "; server_max_window_bits=\"10\"", "; server_max_window_bits=10"),
        ("a smaller one", ten, "; server_max_window_bits=11", "; server_max_window_bits=10"),
        ("than the largest", ten, "; server_max_window_bits=15", "; server_max_window_bits=10"),
        ("no greater one", ten, "; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("unasked", ten, "", "; server_max_window_bits=10"),
        ("unasked, the smallest", config(false, false, 8, 15), "", "; server_max_window_bits=8"),
    ] {
        check_offers(rule, config, &format!("permessage-deflate{offered}"), Some(expect));
    }
    let eight = config(false, false, 8, 15);
    for (rule, config, response, expect) in [
        ("absent", indifferent(), "", Ok(Some((false, false, 15, 15)))),
        ("unasked", indifferent(), "; server_max_window_bits=8", Ok(Some((false, false, 8, 15)))),
        (
            "unasked, the largest",
            indifferent(),
            "; server_max_window_bits=15",
            Ok(Some((false, false, 15, 15))),
        ),
        ("the same", ten, "; server_max_window_bits=10", Ok(Some((false, false, 10, 15)))),
        ("quoted", ten, "; server_max_window_bits=\"10\"", Ok(Some((false, false, 10, 15)))),
        ("smaller", ten, "; server_max_window_bits=9", Ok(Some((false, false, 9, 15)))),
        ("nine where eight is wanted", eight, "; server_max_window_bits=9", Ok(Some((false, false, 9, 15)))),
        ("the plain offer, greater", ten, "; server_max_window_bits=11", Ok(Some((false, false, 11, 15)))),
        ("the plain offer", ten, "", Ok(Some((false, false, 15, 15)))),
        (
            "not the plain offer, which has no client_max_window_bits",
            ten,
            "; server_max_window_bits=11; client_max_window_bits=10",
            Err(DeflateError::NotOffered),
        ),
    ] {
        check_response(rule, config, &format!("permessage-deflate{response}"), expect);
    }
}

#[test]
fn section_7_1_2_2_client_max_window_bits() {
    let (ten, eight) = (config(false, false, 15, 10), config(false, false, 15, 8));
    for (rule, config, offered, expect) in [
        ("wanted by nobody", indifferent(), "", ""),
        ("MUST NOT be in the response if it is not offered", ten, "", ""),
        ("without a value, and not wanted", indifferent(), "; client_max_window_bits", ""),
        ("without a value", ten, "; client_max_window_bits", "; client_max_window_bits=10"),
        ("a hint is used", indifferent(), "; client_max_window_bits=9", "; client_max_window_bits=9"),
        ("the smallest", indifferent(), "; client_max_window_bits=8", "; client_max_window_bits=8"),
        ("the largest", indifferent(), "; client_max_window_bits=15", ""),
        ("quoted", indifferent(), "; client_max_window_bits=\"9\"", "; client_max_window_bits=9"),
        ("a smaller one", ten, "; client_max_window_bits=11", "; client_max_window_bits=10"),
        ("no greater one", ten, "; client_max_window_bits=9", "; client_max_window_bits=9"),
        ("nobody is asked for 8 bits", eight, "; client_max_window_bits", "; client_max_window_bits=9"),
        ("nor are those who say more", eight, "; client_max_window_bits=12", "; client_max_window_bits=9"),
        ("nor those who say 15", eight, "; client_max_window_bits=15", "; client_max_window_bits=9"),
        ("those who say 8 have it", eight, "; client_max_window_bits=8", "; client_max_window_bits=8"),
    ] {
        check_offers(rule, config, &format!("permessage-deflate{offered}"), Some(expect));
    }
    let unlimited = accept(ten, "permessage-deflate").0.map(effective);
    assert_eq!(unlimited, Some((false, false, 15, 15)), "a client that cannot be limited");

    for (rule, config, response, expect) in [
        ("absent", indifferent(), "", Ok(Some((false, false, 15, 15)))),
        ("demanded", indifferent(), "; client_max_window_bits=8", Ok(Some((false, false, 15, 8)))),
        ("the largest", indifferent(), "; client_max_window_bits=15", Ok(Some((false, false, 15, 15)))),
        ("without a value", ten, "; client_max_window_bits", Err(DeflateError::Malformed)),
        ("a hint that the server uses", ten, "; client_max_window_bits=10", Ok(Some((false, false, 15, 10)))),
        ("a hint that the server ignores", ten, "", Ok(Some((false, false, 15, 10)))),
        ("smaller", ten, "; client_max_window_bits=9", Ok(Some((false, false, 15, 9)))),
        ("greater", ten, "; client_max_window_bits=11", Err(DeflateError::NotOffered)),
    ] {
        check_response(rule, config, &format!("permessage-deflate{response}"), expect);
    }
}

#[test]
fn section_7_1_all_parameters() {
    let all = "permessage-deflate; client_max_window_bits=11; server_max_window_bits=12; \
        client_no_context_takeover; server_no_context_takeover";
    check_offers(
        "in the same order always",
        indifferent(),
        all,
        Some(
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; \
             client_max_window_bits=11",
        ),
    );
    check_response("in any order", config(true, true, 12, 11), all, Ok(Some((true, true, 12, 11))));
}

#[test]
fn declined_or_accepted_twice() {
    let (params, response) = accept(indifferent(), "x, permessage-deflate; a");
    assert_eq!((params, check(indifferent(), &response)), (None, Ok(None)), "declined");
    check_response("declined, but not another extension", indifferent(), "x; a", Ok(None));
    check_response(
        "accepted twice",
        indifferent(),
        "permessage-deflate, x, permessage-deflate",
        Err(DeflateError::NotOffered),
    );
}

#[test]
fn offers() {
    for (config, expect) in [
        (
            DeflateOffer::default(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits, permessage-deflate",
        ),
        (indifferent(), "permessage-deflate; client_max_window_bits, permessage-deflate"),
        (
            config(false, false, 14, 8),
            "permessage-deflate; server_max_window_bits=14; client_max_window_bits=8, permessage-deflate",
        ),
        (
            config(false, false, 8, 15),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits, permessage-deflate",
        ),
    ] {
        assert_eq!(config.offer(), expect);
    }
}

#[test]
fn window_bits() {
    for bits in 0..=u8::MAX {
        let expect = (8..=15).contains(&bits).then_some(bits);
        assert_eq!(WindowBits::new(bits).map(WindowBits::get), expect);
        let (params, _) =
            accept(indifferent(), &format!("permessage-deflate; server_max_window_bits={bits}"));
        assert_eq!(params.map(|params| params.server_max_window_bits().get()), expect);
    }
    assert_eq!((WindowBits::MIN.get(), WindowBits::MAX.get()), (8, 15));
}

#[test]
fn what_is_kept_for_a_connection_is_small() {
    assert!(size_of::<DeflateAgreement>() <= 6);
}

/// What a side may want.
fn any_config() -> impl Strategy<Value = DeflateOffer> {
    (any::<bool>(), any::<bool>(), 8..=15_u8, 8..=15_u8).prop_map(
        |(server_no, client_no, server_max, client_max)| config(server_no, client_no, server_max, client_max),
    )
}

/// Whether the client's side of `params` is all that `config` wants, but for a window of 8 bits, which nobody is
/// asked for.
fn satisfies_as_client(params: DeflateAgreement, config: DeflateOffer) -> bool {
    !params.client_context_takeover() >= !config.client_context_takeover
        && params.client_max_window_bits().get() <= config.client_max_window_bits.get().max(9)
}

/// Whether the server's side of them is.
fn satisfies_as_server(params: DeflateAgreement, config: DeflateOffer) -> bool {
    !params.server_context_takeover() >= !config.server_context_takeover
        && params.server_max_window_bits().get() <= config.server_max_window_bits.get().max(9)
}

/// One element with parameters that are more often wrong than right, and often a second one.
fn any_elements() -> impl Strategy<Value = String> {
    const NAME: &str = "(server|client)_(no_context_takeover|max_window_bits)";
    let element = format!("permessage-deflate(; {NAME}(=\"?[01]?[0-9]\"?)?){{0,3}}");
    string_regex(&format!("{element}(, {element})?")).unwrap()
}

proptest! {
    #[test]
    fn both_sides_come_to_the_same(server in any_config(), client in any_config()) {
        let (params, response) = accept(server, &client.offer());
        prop_assert_eq!(check(client, &response), Ok(params));
        let params = params.unwrap();
        for config in [server, client] {
            prop_assert!(satisfies_as_server(params, config) && satisfies_as_client(params, config), "{}", params);
        }
    }

    #[test]
    fn whatever_is_offered_or_answered(config in any_config(), elements in any_elements()) {
        if ClientRequest::new("a", "/", [0; 16]).unwrap().with_extensions(&elements).is_ok() {
            accept(config, &elements);
        }
        if let Ok(params) = check(config, &response_with(&elements)) {
            let params = params.unwrap();
            prop_assert!(satisfies_as_client(params, config));
            // Who accepts the plain offer does as it likes.
            prop_assert!(satisfies_as_server(params, config) || !elements.contains("client_max_window_bits"));
        }
    }
}
