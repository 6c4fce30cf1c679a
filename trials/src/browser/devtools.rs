//! The browser's DevTools protocol: calls, their answers, and the events in between.

use crate::Outcome;
use crate::client::{Client, Offer};
use crate::programs::poll;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the browser gets for an answer, and a page to do what is expected of it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A browser that is driven.
pub(crate) struct DevTools {
    client: Client,
    last_id: u64,
    /// What was reported since the page was opened.
    events: Vec<Value>,
}

impl DevTools {
    /// Connects to the URL that the browser has named.
    pub(crate) fn connect(url: &str) -> Outcome<Self> {
        let (host, path) =
            url.trim_start_matches("ws://").split_once('/').ok_or("no path in the browser's URL")?;
        let client =
            Client::upgrade(TcpStream::connect(host)?, host, &format!("/{path}"), &Offer::default())?;
        Ok(Self { client, last_id: 0, events: Vec::new() })
    }

    /// Opens a page; the one before it is not looked at any more.
    pub(crate) fn open(&mut self, url: &str) -> Outcome<Page<'_>> {
        let target = self.call(None, "Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call(None, "Target.attachToTarget", &attach)?["sessionId"].clone();
        self.events.clear();
        let mut page = Page { devtools: self, session };
        for domain in ["Log.enable", "Page.enable", "Runtime.enable"] {
            page.call(domain, &json!({}))?;
        }
        let navigation = page.call("Page.navigate", &json!({ "url": url }))?;
        if let Some(error) = navigation["errorText"].as_str() {
            return Err(format!("{url}: {error}").into());
        }
        Ok(page)
    }

    /// Tells the browser to end.
    pub(crate) fn end(&mut self) -> Outcome {
        self.call(None, "Browser.close", &json!({})).map(drop)
    }

    fn call(&mut self, session: Option<&Value>, method: &str, params: &Value) -> Outcome<Value> {
        self.last_id += 1;
        let mut call = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            call["sessionId"] = session.clone();
        }
        self.client.send_text(&call.to_string())?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let text = self.client.receive_text(deadline).map_err(|error| format!("{method}: {error}"))?;
            let mut message: Value = serde_json::from_str(&text)?;
            if message["id"] != self.last_id {
                self.events.push(message);
            } else if message["error"].is_null() {
                return Ok(message["result"].take());
            } else {
                return Err(format!("{method}: {}", message["error"]).into());
            }
        }
    }
}

/// A page in the browser.
pub(crate) struct Page<'a> {
    devtools: &'a mut DevTools,
    session: Value,
}

impl Page<'_> {
    /// The value of an expression in the page; of a promise, once it is settled.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Outcome<Value> {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut evaluated = self.call("Runtime.evaluate", &params)?;
        match &evaluated["exceptionDetails"] {
            Value::Null => Ok(evaluated["result"]["value"].take()),
            exception => Err(format!("{expression} threw {exception}").into()),
        }
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_until(&mut self, expression: &str) -> Outcome {
        let otherwise = format!("the page does not come to: {expression}");
        poll(TIMEOUT, &otherwise, || Ok((self.evaluate(expression)? == true).then_some(())))
    }

    /// Presses and releases the mouse in the middle of an element.
    pub(crate) fn click(&mut self, selector: &str) -> Outcome {
        let middle = self.evaluate(&format!(
            "(() => {{ const element = document.querySelector('{selector}'); \
             element.scrollIntoView({{ block: 'center' }}); const box = element.getBoundingClientRect(); \
             return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }}; }})()"
        ))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": middle["x"], "y": middle["y"], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &event)?;
        }
        Ok(())
    }

    /// Types text into a field, in the place of what is there.
    pub(crate) fn type_into(&mut self, selector: &str, text: &str) -> Outcome {
        self.click(selector)?;
        self.evaluate(&format!("document.querySelector('{selector}').select()"))?;
        self.call("Input.insertText", &json!({ "text": text })).map(drop)
    }

    /// Presses and releases Enter.
    pub(crate) fn press_enter(&mut self) -> Outcome {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
            self.call("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// Gives the page this size, in CSS pixels, and this colour scheme. A small one is a phone's.
    pub(crate) fn resize(&mut self, width: u32, height: u32, scheme: &str) -> Outcome {
        let is_phone = width.min(height) < 600;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media).map(drop)
    }

    /// Lets the page use the clipboard, and download files into this folder.
    pub(crate) fn allow_copies_and_downloads(&mut self, folder: &Path) -> Outcome {
        let clipboard = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        self.devtools.call(None, "Browser.grantPermissions", &clipboard)?;
        let downloads = json!({ "behavior": "allow", "downloadPath": folder });
        self.devtools.call(None, "Browser.setDownloadBehavior", &downloads)?;
        self.call("Page.bringToFront", &json!({})).map(drop)
    }

    /// A picture (PNG) of the page.
    pub(crate) fn screenshot(&mut self) -> Outcome<Vec<u8>> {
        let picture = self.call("Page.captureScreenshot", &json!({ "format": "png" }))?;
        Ok(STANDARD.decode(picture["data"].as_str().unwrap_or(""))?)
    }

    /// Waits until the page writes this text to its console.
    pub(crate) fn wait_for_console(&mut self, text: &str) -> Outcome {
        let is_text = |event: &Value| {
            event["method"] == "Runtime.consoleAPICalled" && event["params"]["args"][0]["value"] == text
        };
        poll(TIMEOUT, &format!("the console does not come to show {text:?}"), || {
            Ok(self.events()?.iter().any(is_text).then_some(()))
        })
    }

    /// Fails when the browser has something to complain about: an exception, an error, a breach of the page's policy.
    pub(crate) fn complaints(&mut self) -> Outcome {
        self.complaints_except(None)
    }

    /// The same, except for errors that begin with this text.
    pub(crate) fn complaints_except(&mut self, expected: Option<&str>) -> Outcome {
        let is_expected = |entry: &Value| {
            expected.is_some_and(|start| entry["text"].as_str().is_some_and(|text| text.starts_with(start)))
        };
        let is_complaint = |event: &&Value| {
            let entry = &event["params"]["entry"];
            event["method"] == "Runtime.exceptionThrown"
                || (event["method"] == "Log.entryAdded" && entry["level"] == "error" && !is_expected(entry))
        };
        match self.events()?.iter().find(is_complaint) {
            Some(complaint) => Err(format!("the browser complains: {}", complaint["params"]).into()),
            None => Ok(()),
        }
    }

    /// All that has been reported. The answer to a call comes after the reports that were before it.
    fn events(&mut self) -> Outcome<&[Value]> {
        self.evaluate("0")?;
        Ok(&self.devtools.events)
    }

    fn call(&mut self, method: &str, params: &Value) -> Outcome<Value> {
        self.devtools.call(Some(&self.session), method, params)
    }
}
