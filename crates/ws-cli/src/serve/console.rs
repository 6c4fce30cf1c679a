//! What a plain GET or HEAD gets: the console for a browser, and what an orchestrator asks.

use ws_server::Response;

/// The page, which is one file: it loads nothing.
const PAGE: &str = include_str!("console.html");

/// What the page may do: run its own script and style, show its own icon, and connect to the WebSocket that its user
/// names. `'self'` alone does not cover `ws:` and `wss:` in Safari before 15.4.
///
/// The script makes no HTML out of text: `require-trusted-types-for` has the browser see to that.
///
/// The hashes are those of the page's one script and one style; a test has the right ones to paste here.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    script-src 'sha256-OI90fM2dbKruO2WbkG/95sIIr2MQ0GuRomVujU3zp4A='; \
    style-src 'sha256-+AG4XdiLae7Ysa4NqczwTS279Gt0LFLX45eh1k78F4A='; \
    connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(&str, &str); 5] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
];

/// Answers a request that is no probe and asks for no WebSocket.
pub(crate) fn answer(path: &str) -> Response {
    if path == "/" {
        return console();
    }
    Response::text(404, "There is no page here. The console is at /, and every path takes a WebSocket.\n")
}

/// What an orchestrator asks: whether the server runs, and whether it takes new clients.
pub(crate) fn probe(path: &str, is_stopping: bool) -> Option<Response> {
    match path {
        "/healthz" => Some(Response::text(200, "ok\n")),
        "/readyz" if is_stopping => Some(Response::text(503, "shutting down\n")),
        "/readyz" => Some(Response::text(200, "ready\n")),
        _ => None,
    }
}

fn console() -> Response {
    HEADERS.iter().fold(Response::html(200, PAGE), |response, (name, value)| {
        response.with_header(*name, *value).expect("these names and values are legal")
    })
}

#[cfg(test)]
mod tests {
    use super::{CONTENT_SECURITY_POLICY, PAGE, answer, probe};
    use base64::{Engine, prelude::BASE64_STANDARD};
    use sha2::{Digest, Sha256};

    /// Checks that the page has one such element, and that the policy names its hash.
    fn check(element: &str) {
        let (start, end) = (format!("<{element}>"), format!("</{element}>"));
        assert_eq!(
            PAGE.matches(&format!("<{element}")).count(),
            1,
            "the page has one {element}, without attributes"
        );
        let (_, rest) = PAGE.split_once(&start).unwrap();
        let (content, _) = rest.split_once(&end).unwrap();
        let source = format!("{element}-src 'sha256-{}';", BASE64_STANDARD.encode(Sha256::digest(content)));
        assert!(CONTENT_SECURITY_POLICY.contains(&source), "the policy needs: {source}");
    }

    #[test]
    fn the_policy_allows_the_script_of_the_page() {
        check("script");
    }

    #[test]
    fn the_policy_allows_the_style_of_the_page() {
        check("style");
    }

    #[test]
    fn pages() {
        for (path, status) in [("/", 200), ("/favicon.ico", 404), ("/chat", 404), ("//", 404)] {
            assert_eq!(answer(path).status(), status, "{path}");
        }
    }

    #[test]
    fn probes() {
        for (path, running, stopping) in
            [("/healthz", Some(200), Some(200)), ("/readyz", Some(200), Some(503)), ("/", None, None)]
        {
            let statuses = [false, true].map(|stops| probe(path, stops).map(|response| response.status()));
            assert_eq!(statuses, [running, stopping], "{path}");
        }
    }
}
