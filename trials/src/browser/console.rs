//! The console page, used as a person would use it.

use super::devtools::{DevTools, Page};
use super::peer::{MARKUP, Peer};
use crate::Outcome;
use crate::process::ScratchFolder;
use crate::programs::poll;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What a browser logs of each connection that fails.
const FAILED: &str = "WebSocket connection to ";

const TIMEOUT: Duration = Duration::from_secs(20);

/// How long an attempt to reconnect is watched for a loop without a pause, and how many attempts fit in at most: the waits
/// are at least 0.5, 1 and 2 s.
const WATCHED: Duration = Duration::from_secs(3);
const MAX_ATTEMPTS: usize = 4;

/// Checks the page at this URL.
pub(super) fn check(devtools: &mut DevTools, http: &str, screenshots: Option<&Path>) -> Outcome {
    let origin = http.trim_end_matches('/').replacen("http", "ws", 1);
    let peer = Peer::start()?;
    let downloads = ScratchFolder::new()?;
    let mut page = devtools.open(http)?;
    page.allow_copies_and_downloads(downloads.path())?;

    check_messages(&mut page)?;
    check_json(&mut page)?;
    check_copy_and_save(&mut page, downloads.path())?;
    check_repetition(&mut page, &peer)?;
    page.complaints()?;
    check_addresses(&mut page, &origin)?;
    check_ends(&mut page, &peer)?;
    check_markup(&mut page, &peer)?;
    check_reconnect(&mut page, &peer)?;
    check_layout(&mut page, &peer, &origin, screenshots)?;
    page.complaints_except(Some(FAILED))?;
    check_seal(&mut page, http)
}

/// Text and bytes come back, and the keyboard is where they are typed.
fn check_messages(page: &mut Page<'_>) -> Outcome {
    page.wait_until("document.querySelector('#state')?.textContent === 'open'")?;
    page.wait_until("document.activeElement.id === 'message'")?;
    page.wait_until("document.querySelectorAll('main').length === 1")?;
    page.type_into("#message", "I have high ground")?;
    page.click("#send")?;
    page.wait_until(&received(".payload", "I have high ground"))?;
    page.type_into("#message", "and Enter")?;
    page.press_enter()?;
    page.wait_until(&received(".payload", "and Enter"))?;
    page.click("#mode-binary")?;
    page.type_into("#binary-hex", "00 ff 80")?;
    page.click("#send")?;
    page.wait_until(&received(".payload .hex", "00 ff 80"))?;
    page.click("#mode-text")
}

/// JSON is laid out as it was written, and where it is none has a mark.
fn check_json(page: &mut Page<'_>) -> Outcome {
    let deep = "[".repeat(60_000);
    for (text, expected) in [
        ("{}", "{}"),
        (r#"{"id":1234567890123456789,"id":1.0}"#, r#"{ "id": 1234567890123456789, "id": 1.0 }"#),
        (" [1, -2e+9 ,true,null , \"\\u00e9\\n\"]\r\n", r#"[1, -2e+9, true, null, "\u00e9\n"]"#),
        (
            r#"{"name":"a name that is long enough","list":[1,[],{"a":{}}],"last":"another long text"}"#,
            "{\n  \"name\": \"a name that is long enough\",\n  \"list\": [1, [], { \"a\": {} }],\n  \
             \"last\": \"another long text\"\n}",
        ),
        ("{\"a\":1\n,}", "8:line 2, column 2: a name in quotes expected"),
        ("[1,]", "3:line 1, column 4: a value expected"),
        ("[1 2]", "3:line 1, column 4: “,” or “]” expected"),
        ("[01]", "2:line 1, column 3: “,” or “]” expected"),
        ("{\"a\" 1}", "5:line 1, column 6: “:” expected"),
        ("{1:2}", "1:line 1, column 2: a name in quotes or “}” expected"),
        ("[\"😀\\x\"]", "4:line 1, column 4: unknown escape"),
        ("[\"a\tb\"]", "3:line 1, column 4: control character in a string"),
        ("[\"a", "3:line 1, column 4: closing quote expected"),
        ("{\"a\":[1,2}", "9:line 1, column 10: “,” or “]” expected"),
        ("{} {}", "3:line 1, column 4: the end expected"),
        ("[", "1:line 1, column 2: a value or “]” expected"),
        ("[NaN]", "1:line 1, column 2: a value or “]” expected"),
        (&deep, "60000:line 1, column 60001: a value or “]” expected"),
    ] {
        let formatted = page.evaluate(&format!(
            "(() => {{ const json = readJson({}); \
             return json.problem ? `${{json.problem.at}}:${{json.problem.text}}` : formatJson(json, 1e6); }})()",
            json!(text)
        ))?;
        expect_eq(&formatted, &json!(expected), text.get(..80).unwrap_or(text))?;
    }
    // Brackets alone neither overflow a stack nor make the layout much longer than the message.
    let len = page
        .evaluate("formatJson(readJson('['.repeat(30000) + ']'.repeat(30000)), 1e9).length < 80 * 60000")?;
    expect_eq(&len, &json!(true), "the length of what is laid out")?;

    page.type_into("#message", "{\"type\": \"greeting\" \"to\": 1}")?;
    page.wait_until("/line 1, column 21/.test(document.querySelector('#json-hint').textContent)")?;
    page.click("#json-hint")?;
    page.wait_until("document.querySelector('#message').selectionStart === 20")?;
    page.click("#send")?;
    page.wait_until(
        "[...document.querySelectorAll('[data-direction=\"in\"]')].some(entry => \
         entry.querySelector('.payload mark')?.textContent === '\"' && entry.querySelector('.not-json') !== null)",
    )?;
    page.type_into("#message", r#"{"type":"greeting","id":9007199254740993}"#)?;
    page.wait_until("document.querySelector('#json-hint').textContent === 'Valid JSON'")?;
    page.click("#send")?;
    page.wait_until(&received(".payload", r#"{ "type": "greeting", "id": 9007199254740993 }"#))?;
    page.click("#format-json")?;
    page.wait_until(&received(".payload", r#"{"type":"greeting","id":9007199254740993}"#))?;
    page.wait_until("document.querySelector('.payload mark') === null")?;
    page.click("#format-json")
}

/// A message is copied as it was sent, and the log is a file of JSON lines.
fn check_copy_and_save(page: &mut Page<'_>, downloads: &Path) -> Outcome {
    for (part, copied) in
        [("greeting\", \"id", r#"{"type":"greeting","id":9007199254740993}"#), ("00 ff 80", "00 ff 80")]
    {
        page.evaluate(&format!(
            "following = false; [...document.querySelectorAll('#log li')].find(entry => \
             entry.querySelector('.payload').textContent.includes({})).querySelector('.copy').id = 'copy-this'",
            json!(part)
        ))?;
        page.click("#copy-this")?;
        page.wait_until("document.querySelector('#copy-this').textContent === 'Copied'")?;
        expect_eq(&page.evaluate("navigator.clipboard.readText()")?, &json!(copied), "the clipboard")?;
        page.evaluate("document.querySelector('#copy-this').removeAttribute('id')")?;
    }

    page.click("#save")?;
    let text = poll(TIMEOUT, "no log comes to the folder of downloads", || {
        for file in std::fs::read_dir(downloads)?.flatten() {
            if file.path().extension().is_some_and(|extension| extension == "jsonl") {
                return Ok(Some(std::fs::read_to_string(file.path())?).filter(|text| text.ends_with('\n')));
            }
        }
        Ok(None)
    })?;
    let entries = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    for (name, value) in
        [("type", "open"), ("text", r#"{"type":"greeting","id":9007199254740993}"#), ("hex", "00 ff 80")]
    {
        if !entries.iter().any(|entry| entry[name] == value) {
            return Err(format!("the saved log has no {name} {value}: {text}").into());
        }
    }
    Ok(())
}

/// A message is repeated until it is stopped, beside others, and not into a buffer that only grows.
fn check_repetition(page: &mut Page<'_>, peer: &Peer) -> Outcome {
    for interval in ["9", "0", "-5", "1e3", "99999999999", ""] {
        page.type_into("#repeat-interval", interval)?;
        page.evaluate("document.querySelector('#repeat').checked = true")?;
        page.type_into("#message", "tick")?;
        page.click("#send")?;
        page.wait_until(
            "/interval is a whole number/.test(document.querySelector('#send-problem').textContent)",
        )?;
        expect_eq(&page.evaluate("repeating")?, &Value::Null, interval)?;
    }
    page.type_into("#repeat-interval", "20")?;
    page.click("#send")?;
    page.wait_until("repeating?.sent >= 5")?;
    page.type_into("#message", "beside it")?;
    page.click("#send")?;
    page.wait_until("totals.received.messages > 0 && entries.some(({ direction, payload }) => direction === 'in' && payload === 'beside it')")?;
    page.click("#repeat-stop")?;
    let sent = "totals.sent.messages";
    let before = page.evaluate(sent)?;
    let after = page.evaluate(&format!("new Promise(done => setTimeout(() => done({sent}), 200))"))?;
    expect_eq(&after, &before, "messages sent after Stop")?;

    connect(page, &peer.url("/deaf"), "open")?;
    page.evaluate("startRepeating(new Uint8Array(8 << 20), 20)")?;
    page.wait_until("repeating.skipped >= 10")?;
    page.wait_until("repeating.sent <= 4")?;
    connect(page, &peer.url("/"), "open")?;
    expect_eq(&page.evaluate("repeating")?, &Value::Null, "the repetition after its connection")?;
    page.evaluate("clearLog()").map(drop)
}

/// What may be typed as an address: each becomes a WebSocket URL, or a message that says what is wrong.
fn check_addresses(page: &mut Page<'_>, origin: &str) -> Outcome {
    let own = |path: &str| format!("{origin}{path}");
    for (typed, expected) in [
        ("ws://other:8080/chat?room=1", "ws://other:8080/chat?room=1".to_owned()),
        (" wss://other ", "wss://other/".to_owned()),
        ("WS://OTHER/Chat", "ws://other/Chat".to_owned()),
        ("http://other:1/a", "ws://other:1/a".to_owned()),
        ("https://other/a", "wss://other/a".to_owned()),
        ("//other/a", "problem".to_owned()),
        ("/", own("/")),
        ("/chat", own("/chat")),
        ("/chat?to=ws://other/", own("/chat?to=ws://other/")),
        ("?room=1", own("/?room=1")),
        ("other:8080", "ws://other:8080/".to_owned()),
        ("ws:8080/a", "ws://ws:8080/a".to_owned()),
        ("localhost/chat", "ws://localhost/chat".to_owned()),
        ("echo.example", "ws://echo.example/".to_owned()),
        ("192.0.2.1/a", "ws://192.0.2.1/a".to_owned()),
        ("[::1]:8080/a", "ws://[::1]:8080/a".to_owned()),
        ("", "problem".to_owned()),
        ("chat", "problem".to_owned()),
        ("ws://", "problem".to_owned()),
        ("ws:///chat", "problem".to_owned()),
        ("ws:/other", "problem".to_owned()),
        ("ws:other", "problem".to_owned()),
        ("ws//other:80", "problem".to_owned()),
        ("wsss://other", "problem".to_owned()),
        ("ftp://other", "problem".to_owned()),
        ("javascript:alert(1)", "problem".to_owned()),
        ("other:99999", "problem".to_owned()),
        ("ws://other:port/", "problem".to_owned()),
        ("ws://a b/", "problem".to_owned()),
        ("ws://other/#part", "problem".to_owned()),
        ("/#part", "problem".to_owned()),
        // Pasted behind an address, or into the middle of one.
        ("ws://localhost:9999/ws://other/", "problem".to_owned()),
        ("localhost:9999/wss://other/", "problem".to_owned()),
        ("/ws://other/", "problem".to_owned()),
        ("ws://localhost:9999ws://other/", "problem".to_owned()),
    ] {
        let resolved = page.evaluate(&format!(
            "(() => {{ try {{ return resolveAddress({}); }} catch (error) {{ \
             if (error.message.length < 20) throw error; return 'problem'; }} }})()",
            json!(typed)
        ))?;
        expect_eq(&resolved, &json!(expected), typed)?;
    }

    // A wrong address says so, and leaves the connection as it is.
    page.type_into("#address", &own("/ws://other/"))?;
    page.press_enter()?;
    page.wait_until("/second address/.test(document.querySelector('#connection-problem').textContent)")?;
    page.wait_until("document.querySelector('#address').getAttribute('aria-invalid') === 'true'")?;
    page.wait_until("document.querySelector('#connected-to').textContent.endsWith('/')")?;
    connect(page, "/chat", "open")?;
    page.wait_until(&format!("socket.url === {}", json!(own("/chat"))))?;
    page.wait_until("document.activeElement.id === 'message'")
}

/// The state shows how a connection has ended, and tells what is abnormal from what is not.
fn check_ends(page: &mut Page<'_>, peer: &Peer) -> Outcome {
    page.click("#disconnect")?;
    page.wait_until(&state("closed 1000", "closed"))?;
    page.wait_until(&entry_with("close", "1000"))?;
    connect(page, &peer.url("/drop"), "closed 1006")?;
    page.wait_until(&state("closed 1006", "abnormal"))?;
    page.wait_until("document.querySelector('#log li[data-type=\"close\"][data-abnormal]') !== null")?;
    connect(page, &peer.url("/refuse"), "closed 1006")?;
    page.wait_until(&state("closed 1006", "abnormal"))?;
    page.wait_until(&entry_with("error", "Could not connect"))?;
    connect(page, &peer.url("/close"), "closed 4001")?;
    page.wait_until(&state("closed 4001", "abnormal"))?;
    let colours = "[getComputedStyle(document.querySelector('#state-pill')).color, \
                   getComputedStyle(document.querySelector('.hint')).color]";
    let colours = page.evaluate(colours)?;
    if colours[0] == colours[1] { Err("an abnormal end has no colour".into()) } else { Ok(()) }
}

/// Markup that comes from a peer or from the keyboard is text wherever it is shown.
fn check_markup(page: &mut Page<'_>, peer: &Peer) -> Outcome {
    // The reason of the connection that ended last, in the state and in the log.
    page.wait_until(&format!(
        "document.querySelector('#close-reason-shown').textContent === {}",
        json!(MARKUP)
    ))?;
    page.wait_until(&entry_with("close", MARKUP))?;
    // The address, while it is wrong and once it is right.
    page.type_into("#address", MARKUP)?;
    page.press_enter()?;
    page.wait_until("document.querySelector('#connection-problem').textContent !== ''")?;
    page.type_into("#address", &format!("{}{MARKUP}://", peer.url("/")))?;
    page.press_enter()?;
    page.wait_until("document.querySelector('#connection-problem').textContent !== ''")?;
    // A subprotocol, which the browser refuses and the snippet shows.
    page.evaluate("document.querySelector('#options').open = true")?;
    page.type_into("#subprotocols", MARKUP)?;
    connect(page, &peer.url(&format!("/{MARKUP}")), "closed 4001")?;
    page.wait_until("/subprotocol/.test(document.querySelector('#connection-problem').textContent)")?;
    page.wait_until(&format!("document.querySelector('#snippet').textContent.includes({})", json!(MARKUP)))?;
    page.type_into("#subprotocols", "none")?;
    page.evaluate(
        "document.querySelector('#subprotocols').value = ''; document.querySelector('#options').open = false",
    )?;
    // A message, received and sent, as text and as JSON.
    connect(page, &peer.url(&format!("/{MARKUP}?{MARKUP}")), "open")?;
    page.wait_until(&entry_with("text", MARKUP))?;
    for text in [MARKUP.to_owned(), json!([MARKUP]).to_string(), format!("[{MARKUP}")] {
        page.type_into("#message", &text)?;
        page.click("#send")?;
        page.wait_until(&entry_with("text", &text))?;
    }
    page.wait_until("document.querySelector('img, main b, main script') === null")
}

/// The page connects again only if it is told to, after waits that grow, and stops when it is told to.
fn check_reconnect(page: &mut Page<'_>, peer: &Peer) -> Outcome {
    for (failures, at_least, at_most) in
        [(0, 500, 1000), (1, 1000, 2000), (4, 8000, 16_000), (5, 15_000, 30_000), (5000, 15_000, 30_000)]
    {
        let delays = format!("Array.from({{ length: 200 }}, () => retryDelay({failures}))");
        let kept = page.evaluate(&format!(
            "{delays}.every(delay => delay >= {at_least} && delay <= {at_most}) && new Set({delays}).size > 1"
        ))?;
        expect_eq(&kept, &json!(true), &format!("the wait after {failures} failures"))?;
    }

    let before = peer.dropped();
    connect(page, &peer.url("/drop"), "closed 1006")?;
    expect_eq(&page.evaluate("retryAt")?, &Value::Null, "the next attempt without Reconnect")?;
    page.click("#reconnect")?;
    page.wait_until("/^again in \\d+ s$/.test(document.querySelector('#retry-in').textContent)")?;
    std::thread::sleep(WATCHED);
    let attempts = peer.dropped() - before;
    if !(2..=MAX_ATTEMPTS).contains(&attempts) {
        return Err(format!("{attempts} attempts in {WATCHED:?}").into());
    }
    page.wait_until("retryAt !== null")?;
    page.click("#disconnect")?;
    page.wait_until("retryAt === null && document.querySelector('#disconnect').disabled")?;

    page.evaluate("clearLog()")?;
    connect(page, &peer.url("/flaky"), "open")?;
    // Two connections that are dropped, and the one that is held.
    page.wait_until("document.querySelectorAll('#log li[data-type=\"open\"]').length === 3")?;
    page.wait_until(&state("open", "open"))?;
    // The end that is asked for is the end.
    page.click("#disconnect")?;
    page.wait_until(&state("closed 1000", "closed"))?;
    expect_eq(&page.evaluate("retryAt")?, &Value::Null, "the next attempt after Disconnect")?;
    page.click("#reconnect")
}

/// The log and the field for messages are on one screen, with nothing wider than it.
fn check_layout(page: &mut Page<'_>, peer: &Peer, origin: &str, screenshots: Option<&Path>) -> Outcome {
    page.evaluate("clearLog()")?;
    connect(page, &format!("{origin}/"), "open")?;
    for text in [
        "I have high ground",
        r#"{"type":"message","id":9007199254740993,"from":{"name":"Obi-Wan","side":"light"},"tags":["ground","high"]}"#,
        r#"{"type":"message" "id":1}"#,
    ] {
        page.type_into("#message", text)?;
        page.click("#send")?;
        page.wait_until(&format!(
            "entries.some(({{ direction, payload }}) => direction === 'in' && payload === {})",
            json!(text)
        ))?;
    }
    connect(page, &peer.url("/drop"), "closed 1006")?;
    // As much as the state can show: a code, a long reason, and the wait for the next attempt, which is stopped here.
    page.click("#reconnect")?;
    connect(page, &peer.url("/close"), "closed 4001")?;
    page.evaluate("clearTimeout(retryTimer)")?;
    page.type_into("#message", r#"{"type": "message","#)?;
    page.evaluate("document.activeElement.blur()")?;
    for (name, width, height, scheme, min_log_height) in [
        ("desktop-light", 1280, 800, "light", 300),
        ("desktop-dark", 1280, 800, "dark", 300),
        ("phone-light", 390, 844, "light", 170),
        ("phone-dark", 390, 844, "dark", 170),
        ("phone-with-bars", 390, 664, "light", 120),
        ("phone-landscape", 844, 390, "light", 140),
        ("phone-landscape-small", 667, 375, "dark", 120),
        ("phone-landscape-with-bars", 667, 320, "light", 80),
    ] {
        page.resize(width, height, scheme)?;
        page.evaluate("scrollTo(0, 0); new Promise(requestAnimationFrame).then(() => quiet())")?;
        let layout = page.evaluate(
            "(() => { const at = id => document.querySelector(id).getBoundingClientRect(); \
             const log = at('#log-scroll'), send = at('#send'), field = at('#message'); return { \
             log: log.height, top: log.top, bottom: Math.max(send.bottom, field.bottom), \
             wide: Math.max(...['html', 'header', ...'section form fieldset .pair .repeat'.split(' ')].flatMap(part => \
             [...document.querySelectorAll(part)]).map(part => part.scrollWidth - part.clientWidth)) }; })()",
        )?;
        let number = |name: &str| layout[name].as_f64().unwrap_or(f64::NAN);
        if let Some(folder) = screenshots {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join(format!("{name}.png")), page.screenshot()?)?;
        }
        let fits = number("log") >= f64::from(min_log_height)
            && number("top") >= 0.0
            && number("bottom") <= f64::from(height)
            && number("wide") <= 0.0;
        if !fits {
            return Err(format!("{name}, {width} x {height}: {layout}").into());
        }
    }
    page.click("#reconnect")?;
    page.wait_until("retryAt === null")
}

/// The page loads its style and its script and nothing else, runs no script but that one, and cannot make HTML out of text
/// even if its script tried.
fn check_seal(page: &mut Page<'_>, http: &str) -> Outcome {
    let base = http.trim_end_matches('/');
    let loaded = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name).sort()")?;
    let parts = ["console.css", "console.js"].map(|part| format!("{base}/{part}"));
    expect_eq(&loaded, &json!(parts), "what the page has loaded")?;
    let inline = page.evaluate(
        "(() => { const script = document.createElement('script'); \
         try { script.text = 'window.inlineRan = true'; } catch (error) { return error.name; } \
         document.body.append(script); return window.inlineRan === true; })()",
    )?;
    expect_eq(&inline, &json!("TypeError"), "a script written by the page")?;
    let refused = page.evaluate(
        "(() => { try { document.body.innerHTML = ''; } catch (error) { return error.name; } })()",
    )?;
    expect_eq(&refused, &json!("TypeError"), "setting innerHTML")
}

/// Types an address, connects, and waits for this state.
fn connect(page: &mut Page<'_>, address: &str, state: &str) -> Outcome {
    page.type_into("#address", address)?;
    page.press_enter()?;
    page.wait_until(&format!("document.querySelector('#state').textContent === '{state}'"))
}

/// An expression that is true while the state has this text and this kind.
fn state(text: &str, kind: &str) -> String {
    format!(
        "document.querySelector('#state').textContent === '{text}' && \
         document.querySelector('#state-pill').dataset.state === '{kind}'"
    )
}

/// An expression that is true once an entry of this type holds this text.
fn entry_with(kind: &str, text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#log li[data-type=\"{kind}\"] .payload')].some(payload => \
         payload.textContent.includes({}))",
        json!(text)
    )
}

/// An expression that is true once the log shows this payload as received, with the time it took.
fn received(part: &str, payload: &str) -> String {
    format!(
        "[...document.querySelectorAll('#log li[data-direction=\"in\"]')].some(entry => \
         entry.querySelector('{part}')?.textContent === {} && entry.querySelector('.round-trip') !== null)",
        json!(payload)
    )
}

fn expect_eq(value: &Value, expected: &Value, what: &str) -> Outcome {
    if value == expected { Ok(()) } else { Err(format!("{what}: {value} instead of {expected}").into()) }
}
