//! The console: a page for the browser, with its style and its script.
//!
//! The page names both by relative URLs, so that it works behind a proxy that serves it below a
//! path of its own, such as `/ws/`.

use ws_server::Response;

/// The content of each path that the console has.
const PAGES: [Page; 3] = [
    Page { path: "/", content_type: "text/html; charset=utf-8", content: include_str!("console/page.html") },
    Page {
        path: "/console.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("console/style.css"),
    },
    Page {
        path: "/console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("console/script.js"),
    },
];

/// The page may load its script and its style from its own server, show its icon (a `data:` URL),
/// and connect to the WebSocket that its user names. `'self'` alone does not cover `ws:` and `wss:`
/// in Safari before 15.4.
///
/// The script makes no HTML out of text, which `require-trusted-types-for` enforces.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(&str, &str); 5] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
];

struct Page {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

/// The console's response to a request for this path; `None` if the console has no such path.
pub(crate) fn answer(path: &str) -> Option<Response> {
    PAGES.iter().find(|page| page.path == path).map(Page::response)
}

impl Page {
    fn response(&self) -> Response {
        let response = Response::new(200, self.content.as_bytes());
        let headers = [("Content-Type", self.content_type)].into_iter().chain(HEADERS);
        headers.fold(response, |response, (name, value)| {
            response.with_header(name, value).expect("these names and values are legal")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGES, answer};

    #[test]
    fn paths() {
        for (path, expect) in [
            ("/", Some(200)),
            ("/console.css", Some(200)),
            ("/console.js", Some(200)),
            ("/console.html", None),
            ("/console/script.js", None),
            ("/favicon.ico", None),
            ("/chat", None),
            ("//", None),
        ] {
            assert_eq!(answer(path).map(|response| response.status()), expect, "{path}");
        }
    }

    /// The policy lets nothing run or apply that is written in the page itself.
    #[test]
    fn the_page_has_no_inline_script_or_style() {
        let page = PAGES[0].content;
        for inline in ["<script>", "<style", " style=", " onclick=", " onload=", " onsubmit=", "javascript:"]
        {
            assert!(!page.contains(inline), "{inline}");
        }
        assert_eq!(page.matches("<script").count(), 1);
    }

    /// A URL that begins with `/` would leave the path that a proxy has for this server.
    #[test]
    fn the_page_names_its_parts_by_relative_urls() {
        for page in &PAGES[1..] {
            let name = page.path.trim_start_matches('/');
            assert!(PAGES[0].content.contains(&format!("=\"{name}\"")), "{name}");
        }
        for absolute in ["href=\"/", "src=\"/", "href=\"http", "src=\"http"] {
            assert!(!PAGES[0].content.contains(absolute), "{absolute}");
        }
    }
}
