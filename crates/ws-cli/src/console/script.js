"use strict";

// The log forgets its oldest entries beyond these, so that a long session stays small.
const MAX_ENTRIES = 500;
const MAX_HELD_BYTES = 64 * 1024 * 1024;
// What an entry shows at first, and what "Show all" stops at: a page slows down with more.
const EXCERPT_CHARS = 500;
const EXCERPT_LINES = 12;
const EXCERPT_BYTES = 128;
const MAX_SHOWN = 1024 * 1024;
// Longest message that is read as JSON without being asked for, in characters: a flood of them stays cheap.
const MAX_CHECKED = 64 * 1024;
// JSON up to this width stays on one line. Indentation has an end, or brackets alone would make megabytes of spaces.
const MAX_INLINE = 60;
const MAX_INDENTED_DEPTH = 32;
// RFC 6455 §5.5: a control frame carries at most 125 bytes, and two of them are the close code.
const MAX_REASON_LEN = 123;
const MAX_RECALLED = 50;
const QUIET_MS = 25;
// The wait before the next attempt doubles from the first to the last, until a connection has held for a while.
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;
const STABLE_MS = 5000;
const MIN_REPEAT_MS = 10;
const MAX_REPEAT_MS = 24 * 60 * 60 * 1000;
// A repeated message is left out while more than this waits in the browser for a server that does not read.
const MAX_BUFFERED_BYTES = 1024 * 1024;
// Browsers read what is downloaded after the click that asks for it.
const DOWNLOAD_MS = 60_000;

// RFC 6455 §7.4.1 and the registry that it opened.
const CLOSE_CODES = {
  1000: "normal closure",
  1001: "going away: the server is stopping, or the page was left",
  1002: "protocol error",
  1003: "unsupported data: this type of message is not accepted",
  1005: "no code: the close frame carried none",
  1006: "abnormal: the connection ended without a close frame",
  1007: "invalid payload, such as text that is not UTF-8",
  1008: "policy violation",
  1009: "message too big",
  1010: "an extension that the client needs was not negotiated",
  1011: "internal error in the server",
  1012: "the service restarts",
  1013: "try again later",
  1014: "bad gateway",
  1015: "the TLS handshake failed",
  3000: "unauthorized",
  3003: "forbidden",
  3008: "timeout",
};

const $ = (id) => document.getElementById(id);
const utf8 = new TextEncoder();

const FIELDS = { text: "message", binary: "binary-hex", file: "file" };

let mode = "text";

// Address

const origin = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}`;
const SCHEMES = { ws: "ws", wss: "wss", http: "ws", https: "wss" };

// The WebSocket URL (RFC 6455 §3) that was typed, perhaps in a short form. Throws what is wrong with it.
function resolveAddress(typed) {
  const text = typed.trim();
  if (text === "") throw new Error("An address is needed, such as ws://localhost:9999/chat.");
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) || [];
  let whole;
  if (scheme) {
    const known = SCHEMES[scheme.toLowerCase()];
    if (!known) throw new Error(`${scheme}:// is not a WebSocket address: it begins with ws:// or wss://.`);
    if (!/^[^\s/?#]+([/?#]|$)/.test(rest)) throw new Error("The address has no host, or one with a space.");
    whole = `${known}://${rest}`;
  } else if (/^(\/(?!\/)|\?)/.test(text)) {
    whole = text.startsWith("/") ? origin + text : `${origin}/${text}`;
  } else if (isHost(text)) {
    whole = origin.slice(0, origin.indexOf("//") + 2) + text;
  } else {
    throw new Error("This is neither an address nor a path: an address begins with ws:// or wss://, a path with /.");
  }
  // RFC 6455 §3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used".
  if (whole.includes("#")) throw new Error("A WebSocket address has no fragment (#). In a path, # is written %23.");
  let url;
  try {
    url = new URL(whole);
  } catch {
    throw new Error("This address is not valid: look at the host and the port.");
  }
  if (url.pathname.includes("://")) throw new Error("The path holds a second address. In a path, :// is written %3A//.");
  return url.href;
}

// Whether a text without a scheme begins with a host: one with a port, a name with a dot, localhost or [IPv6].
function isHost(text) {
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[^\s/?#@:[\]]+)(:\d+)?(?:[/?#]|$)/i.exec(text) || [];
  return Boolean(host) && (Boolean(port) || /[.[]|^localhost$/i.test(host));
}

function showAddress() {
  let resolved = null;
  try {
    resolved = resolveAddress($("address").value);
  } catch {
    // Reported on Connect, and not while it is typed.
  }
  const typed = $("address").value.trim();
  $("address-hint").textContent = resolved && resolved !== typed && resolved !== `${typed}/` ? `→ ${resolved}` : "";
  if (resolved) showSnippet(resolved);
}

function subprotocols() {
  return $("subprotocols").value.split(",").map((name) => name.trim()).filter(Boolean);
}

// Connection

let socket = null;
// What the socket connects to, and what the next one will: { address, names }.
let target = null;
// How the last connection ended: { code, reason, abnormal }.
let ended = null;
// The code with which this page asked for the end, if it did.
let askedCode = null;
// When the page connects again, if it waits for that.
let retryAt = null;
let retryTimer;
let failures = 0;

function isLive() {
  return socket !== null && socket.readyState !== WebSocket.CLOSED;
}

// Connects to the address in the field, instead of what is connected so far.
function connect() {
  let wanted;
  try {
    wanted = { address: resolveAddress($("address").value), names: subprotocols() };
  } catch (error) {
    $("address").setAttribute("aria-invalid", true);
    report($("connection-problem"), error.message);
    return;
  }
  if (isLive() && isTarget(wanted)) return;
  failures = 0;
  open(wanted);
}

function isTarget({ address, names }) {
  return target !== null && target.address === address && target.names.join() === names.join();
}

function open(wanted) {
  stopWaiting();
  let opening;
  try {
    opening = new WebSocket(wanted.address, wanted.names);
  } catch (error) {
    const isMixed = error.name === "SecurityError" && location.protocol === "https:";
    const why = isMixed ? "from a page that came over https:// it connects only to wss://." : error.message;
    report($("connection-problem"), `The browser refuses this: ${why}`);
    showState();
    return;
  }
  report($("connection-problem"), "");
  if (isLive()) leave();
  socket = opening;
  target = wanted;
  askedCode = null;
  const startedAt = performance.now();
  let openedAt = null;
  opening.binaryType = "arraybuffer";
  $("connected-to").textContent = wanted.address;
  showState();

  opening.onopen = () => {
    openedAt = performance.now();
    let text = `Connected to ${wanted.address}`;
    if (opening.protocol) text += `, subprotocol ${opening.protocol}`;
    if (opening.extensions) text += `, ${opening.extensions}`;
    append({ direction: "note", type: "open", payload: text, about: `in ${duration(openedAt - startedAt)}` });
    showState();
    focusMessage();
  };
  opening.onmessage = ({ data }) => {
    const receivedAt = performance.now();
    const payload = typeof data === "string" ? data : new Uint8Array(data);
    receive(payload, receivedAt);
  };
  opening.onclose = ({ code, reason, wasClean }) => {
    const heldMs = openedAt === null ? null : performance.now() - openedAt;
    if (heldMs >= STABLE_MS) failures = 0;
    const isCancelled = heldMs === null && askedCode !== null;
    const isOrderly = wasClean && [1000, 1001, 1005, askedCode].includes(code);
    ended = { code, reason, abnormal: !isOrderly && !isCancelled };
    if (askedCode === null && $("reconnect").checked) waitToRetry();
    const again = retryAt === null ? "" : `\nThe next attempt is in ${duration(retryAt - performance.now())}.`;
    if (heldMs === null && !isCancelled) {
      append({ direction: "note", type: "error", payload: refusalText(wanted.address) + again, code });
    } else {
      const about = heldMs === null ? "" : `after ${duration(heldMs)}`;
      const payload = closeText(code, reason) + again;
      append({ direction: "note", type: "close", payload, about, code, reason, abnormal: ended.abnormal });
    }
    stopRepeating("The connection ended");
    unanswered.clear();
    showState();
  };
}

// The browser tells a page that a connection failed, but never why.
function refusalText(address) {
  if (failures > 1) return `Could not connect to ${address}, attempt ${failures}`;
  const origin = location.origin;
  return `Could not connect to ${address}\nThe browser does not say why. Perhaps nothing listens there, or the server refuses pages from ${origin}.`;
}

// Ends a connection in favour of the next one: what still comes from it is not waited for.
function leave() {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close(1000);
  stopRepeating("The connection ended");
  unanswered.clear();
  const payload = `Left ${target.address} for another address`;
  append({ direction: "note", type: "close", payload, code: 1000 });
}

function disconnect() {
  if (retryAt !== null) {
    stopWaiting();
    showState();
    return;
  }
  const code = $("close-code").value.trim();
  const reason = $("close-reason").value;
  const codeAllowed = code === "" || code === "1000" || /^[34]\d{3}$/.test(code);
  const reasonAllowed = utf8.encode(reason).length <= MAX_REASON_LEN;
  let problem = "";
  if (!reasonAllowed) problem = `A reason has at most ${MAX_REASON_LEN} bytes.`;
  else if (!codeAllowed) problem = `A page cannot close with the code ${code}.`;
  else if (code === "" && reason !== "") problem = "A reason needs a code.";
  $("close-code").setAttribute("aria-invalid", problem !== "" && reasonAllowed);
  $("close-reason").setAttribute("aria-invalid", !reasonAllowed);
  report($("connection-problem"), problem);
  if (problem) {
    $("options").open = true;
    return;
  }
  askedCode = code === "" ? 1005 : Number(code);
  if (code === "") socket.close();
  else socket.close(Number(code), reason);
  showState();
}

// Half of the wait is random, so that pages which lost one server do not come back to it together.
function retryDelay(failures) {
  return Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS) * (0.5 + Math.random() / 2);
}

function waitToRetry() {
  retryAt = performance.now() + retryDelay(failures);
  failures += 1;
  countDown();
}

function countDown() {
  const left = retryAt - performance.now();
  if (left <= 0) {
    open(target);
    return;
  }
  retryTimer = setTimeout(countDown, Math.min(left, 1000));
  showState();
}

// Timers are slow in a hidden tab, and waiting is pointless once the network is back.
function retryNow() {
  if (retryAt === null || document.hidden) return;
  stopWaiting();
  open(target);
}

function stopWaiting() {
  clearTimeout(retryTimer);
  retryAt = null;
}

function closeText(code, reason) {
  const range = code >= 4000 ? "private to the application" : code >= 3000 ? "registered by a library" : "unknown code";
  const text = `Closed with ${code}: ${CLOSE_CODES[code] ?? range}`;
  return reason ? `${text}\nReason: ${reason}` : text;
}

function showState() {
  const state = ["connecting", "open", "closing", "closed"][socket ? socket.readyState : WebSocket.CLOSED];
  const end = state === "closed" ? ended : null;
  const waiting = retryAt !== null;
  const focused = document.activeElement;
  $("state").textContent = end ? `closed ${end.code}` : state;
  $("close-reason-shown").textContent = end ? end.reason : "";
  const left = waiting ? `${Math.ceil((retryAt - performance.now()) / 1000)} s` : "";
  $("retry-in").replaceChildren(...(waiting ? [element("span", "visually-hidden", "again in "), left] : []));
  $("state-pill").dataset.state = end && end.abnormal ? "abnormal" : state;
  $("state-pill").title = end ? closeText(end.code, end.reason) : "";
  $("disconnect").disabled = state === "closing" || (state === "closed" && !waiting);
  $("send").disabled = state !== "open";
  showConnect();
  // A button that is disabled loses the keyboard; hand it to what comes next.
  if (focused === $("disconnect") && focused.disabled && state === "closed") $("connect").focus();
}

function showConnect() {
  let wanted = null;
  try {
    wanted = { address: resolveAddress($("address").value), names: subprotocols() };
  } catch {
    // An address that is wrong is reported on Connect.
  }
  $("connect").disabled = isLive() && wanted !== null && isTarget(wanted);
}

// Takes the keyboard to the message, unless somebody is busy elsewhere. On a phone, it would cover the page.
function focusMessage() {
  const isBusy = ![document.body, $("address"), $("connect")].includes(document.activeElement);
  if (!isBusy && !matchMedia("(pointer: coarse)").matches) $(FIELDS[mode]).focus();
}

// Messages

// Entries of sent messages whose echo is still to come, in the order of sending.
const unanswered = new Set();

function receive(payload, receivedAt) {
  const entry = { direction: "in", type: typeOf(payload), payload };
  // An echo comes back in order, so the first equal message is the one; anything else is no reply.
  for (const sent of unanswered) {
    if (equal(sent.payload, payload)) {
      unanswered.delete(sent);
      entry.roundTrip = receivedAt - sent.sentAt;
      break;
    }
  }
  append(entry);
}

function transmit(payload) {
  const entry = { direction: "out", type: typeOf(payload), payload, sentAt: performance.now() };
  socket.send(payload);
  unanswered.add(entry);
  append(entry);
}

function typeOf(payload) {
  return typeof payload === "string" ? "text" : "binary";
}

function equal(a, b) {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

async function send() {
  try {
    requireOpen();
    const sending = socket;
    const everyMs = $("repeat").checked ? repeatInterval() : null;
    const payload = await takePayload();
    report($("send-problem"), "");
    showComposed();
    await quiet();
    if (socket !== sending) throw new Error("Not sent: the connection has changed.");
    requireOpen();
    transmit(payload);
    if (everyMs !== null) startRepeating(payload, everyMs);
  } catch (error) {
    report($("send-problem"), error.message);
  }
}

function requireOpen() {
  if (socket?.readyState !== WebSocket.OPEN) throw new Error("Not connected.");
}

// A message that is sent again and again: { timer, sent, skipped }. Others can be sent meanwhile.
let repeating = null;

function repeatInterval() {
  const text = $("repeat-interval").value.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  const allowed = ms >= MIN_REPEAT_MS && ms <= MAX_REPEAT_MS;
  $("repeat-interval").setAttribute("aria-invalid", !allowed);
  if (!allowed) throw new Error(`The interval is a whole number of ms, from ${MIN_REPEAT_MS} to ${MAX_REPEAT_MS}.`);
  return ms;
}

function startRepeating(payload, everyMs) {
  stopRepeating("");
  const running = { sent: 1, skipped: 0 };
  running.timer = setInterval(() => {
    // Where the interval is shorter than the server is fast, the browser's buffer would grow without an end.
    if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount <= MAX_BUFFERED_BYTES) {
      transmit(payload);
      running.sent += 1;
    } else {
      running.skipped += 1;
    }
    showRepeating();
  }, everyMs);
  repeating = running;
  $("repeat").checked = false;
  showRepeating();
}

function stopRepeating(why) {
  if (!repeating) return;
  clearInterval(repeating.timer);
  if (why) report($("send-problem"), `${why}, and so does the repetition, after ${repeatingText(repeating)}.`);
  repeating = null;
  showRepeating();
}

function showRepeating() {
  const hadFocus = document.activeElement === $("repeat-stop");
  $("repeat-set").hidden = repeating !== null;
  $("repeat-running").hidden = repeating === null;
  if (repeating) $("repeating-count").textContent = `Repeating, ${repeatingText(repeating)}`;
  else if (hadFocus) $("repeat").focus();
}

function repeatingText({ sent, skipped }) {
  return `${sent.toLocaleString("en")} sent${skipped > 0 ? `, ${skipped.toLocaleString("en")} left out` : ""}`;
}

async function takePayload() {
  if (mode === "text") {
    const text = $("message").value;
    remember($("message"));
    return text;
  }
  if (mode === "binary") {
    const payload = parseHex($("binary-hex").value);
    remember($("binary-hex"));
    return payload;
  }
  const [file] = $("file").files;
  if (!file) throw new Error("Choose a file first.");
  return new Uint8Array(await file.arrayBuffer());
}

// A reply waits while the page draws, which takes longer than a round trip on a near network. So that the time
// shown is the server's and not the page's, the page draws before it sends, and again when a reply had its chance.
function quiet() {
  return new Promise((resolve) => setTimeout(resolve, QUIET_MS));
}

function parseHex(text) {
  const digits = text.replace(/0x|[\s,:-]/gi, "");
  const stranger = digits.match(/[^0-9a-f]/iu);
  if (stranger) throw new Error(`“${stranger[0]}” is not a hexadecimal digit.`);
  if (digits.length % 2 === 1) throw new Error("Two digits make a byte, and one is missing.");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function showComposed() {
  showPayloadSize();
  showJsonHint();
}

function showPayloadSize() {
  let text = "";
  if (mode === "text") {
    text = bytes(utf8.encode($("message").value).length);
  } else if (mode === "binary") {
    try {
      text = bytes(parseHex($("binary-hex").value).length);
    } catch {
      text = "not hexadecimal yet";
    }
  } else if ($("file").files.length > 0) {
    text = bytes($("file").files[0].size);
  }
  $("payload-size").textContent = text;
}

// Says whether JSON that is typed is valid, and takes the caret to where it is not.
function showJsonHint() {
  const text = $("message").value;
  const hint = $("json-hint");
  hint.hidden = mode !== "text" || !looksLikeJson(text) || text.length > MAX_CHECKED;
  if (hint.hidden) return;
  const { problem } = readJson(text);
  hint.disabled = problem === null;
  hint.textContent = problem === null ? "Valid JSON" : `Not valid JSON: ${problem.text}`;
}

function showJsonProblem() {
  const { problem } = readJson($("message").value);
  $("message").focus();
  if (problem) $("message").setSelectionRange(problem.at, problem.at + 1);
}

function report(element, problem) {
  element.textContent = problem;
}

// What was sent from a field, for the arrow keys.
const recalled = new Map();

function remember(field) {
  const history = recalled.get(field) ?? { sent: [], at: 0 };
  if (field.value !== "" && history.sent[history.sent.length - 1] !== field.value) history.sent.push(field.value);
  if (history.sent.length > MAX_RECALLED) history.sent.shift();
  history.at = history.sent.length;
  recalled.set(field, history);
  field.value = "";
}

function recall(field, step) {
  const history = recalled.get(field);
  // A text that is being written is not overwritten: only an empty field and a recalled text give way.
  if (!history || (field.value !== "" && field.value !== history.sent[history.at])) return false;
  const at = Math.min(Math.max(history.at + step, 0), history.sent.length);
  if (at === history.at) return false;
  history.at = at;
  field.value = history.sent[at] ?? "";
  showComposed();
  return true;
}

// Log

const entries = [];
let heldBytes = 0;
let droppedCount = 0;
let following = true;
let lastScrollTop = 0;
let drawScheduled = false;
let bytesPerRow = 16;
let totals;

function append(entry) {
  entry.size = typeof entry.payload === "string" ? utf8.encode(entry.payload).length : entry.payload.length;
  entry.loggedAt = new Date();
  entries.push(entry);
  heldBytes += entry.size;
  while (entries.length > MAX_ENTRIES || (heldBytes > MAX_HELD_BYTES && entries.length > 1)) {
    const oldest = entries.shift();
    heldBytes -= oldest.size;
    unanswered.delete(oldest);
    oldest.element?.remove();
    droppedCount += 1;
  }
  count(entry);
  if (entry.direction === "note") draw();
  else scheduleDraw();
}

function count({ direction, size, roundTrip }) {
  if (direction === "note") return;
  const side = direction === "out" ? totals.sent : totals.received;
  side.messages += 1;
  side.bytes += size;
  if (roundTrip !== undefined) {
    totals.roundTrips.push(roundTrip);
    if (totals.roundTrips.length > MAX_ENTRIES) totals.roundTrips.shift();
  }
}

function clearLog() {
  entries.length = 0;
  heldBytes = 0;
  droppedCount = 0;
  following = true;
  totals = { sent: { messages: 0, bytes: 0 }, received: { messages: 0, bytes: 0 }, roundTrips: [] };
  unanswered.clear();
  $("log").replaceChildren();
  scheduleDraw();
}

// What is seen changes at intervals, however many messages arrive: a flood stays cheap, and see quiet().
function scheduleDraw() {
  if (drawScheduled) return;
  drawScheduled = true;
  quiet().then(draw);
}

function draw() {
  drawScheduled = false;
  const view = $("log-scroll");
  let firstFresh = entries.length;
  while (firstFresh > 0 && !entries[firstFresh - 1].element) firstFresh -= 1;
  const fresh = entries.slice(firstFresh);
  for (const entry of fresh) entry.element = entryElement(entry);
  $("log").append(...fresh.map((entry) => entry.element));
  $("totals").textContent = totalsText();
  $("dropped").hidden = droppedCount === 0;
  $("dropped").textContent = `${plural(droppedCount, "earlier entry", "earlier entries")} dropped.`;
  view.classList.toggle("following", following);
  if (following) view.scrollTop = view.scrollHeight;
  $("latest").hidden = following;
}

function totalsText() {
  const { sent, received, roundTrips } = totals;
  if (sent.messages + received.messages === 0) return "";
  let text = `${sent.messages.toLocaleString("en")} sent, ${received.messages.toLocaleString("en")} received`;
  if (roundTrips.length > 0) {
    const sorted = [...roundTrips].sort((a, b) => a - b);
    text += `, median round trip ${duration(sorted[sorted.length >> 1])}`;
  }
  return text;
}

function entryElement(entry) {
  const { direction, type, size, roundTrip, loggedAt } = entry;
  const item = document.createElement("li");
  item.dataset.direction = direction;
  item.dataset.type = type;

  if (entry.abnormal) item.dataset.abnormal = "";

  const word = { in: "Received", out: "Sent" }[direction] ?? { open: "Open", close: "Close", error: "Error" }[type];
  const body = element("div", "body", "");
  body.append(element("div", "payload", ""));
  item.append(element("span", "direction", word), body, element("span", "about", entry.about ?? ""));
  if (direction !== "note") {
    const copy = element("button", "quiet copy", "Copy");
    copy.type = "button";
    copy.addEventListener("click", () => copyText(payloadText(entry), copy));
    item.append(copy);
  }
  if (roundTrip !== undefined) {
    const time = element("span", "round-trip", duration(roundTrip));
    time.title = "Round trip: from sending to this reply";
    item.append(time);
  }
  const time = element("time", "", clock(loggedAt));
  time.dateTime = loggedAt.toISOString();
  item.append(time);

  showPayload(item, entry, false);
  return item;
}

function showPayload(item, entry, expanded) {
  const isText = typeof entry.payload === "string";
  const body = item.querySelector(".body");
  const payload = body.querySelector(".payload");
  const json = readEntry(entry, expanded);
  const text = json && !json.problem ? formatJson(json, expanded ? MAX_SHOWN : EXCERPT_CHARS) : entry.payload;
  const excerpt = isText ? excerptLen(text) : Math.min(text.length, EXCERPT_BYTES);
  const shown = expanded ? Math.min(text.length, MAX_SHOWN) : excerpt;
  payload.classList.toggle("clipped", shown < text.length);
  if (isText) {
    payload.dir = "auto";
    payload.replaceChildren(...marked(text.slice(0, shown), json?.problem));
  } else if (shown > 0) {
    payload.classList.add("dump");
    payload.replaceChildren(...dump(text.subarray(0, shown)));
  }
  entry.expanded = expanded;
  if (entry.direction !== "note") {
    const kind = json && !json.problem ? "JSON" : entry.type;
    item.querySelector(".about").textContent = `${kind}, ${bytes(entry.size)}`;
  }
  body.querySelector(".not-json")?.remove();
  if (json?.problem) payload.after(element("p", "not-json", `Not valid JSON: ${json.problem.text}`));

  let button = body.querySelector("button");
  if (excerpt === text.length) {
    button?.remove();
    return;
  }
  if (!button) {
    button = element("button", "quiet expand", "");
    button.type = "button";
    button.addEventListener("click", () => {
      following = false;
      showPayload(item, entry, !entry.expanded);
      scheduleDraw();
    });
    body.append(button);
  }
  const all = entry.payload.length <= MAX_SHOWN ? `Show all ${bytes(entry.size)}` : `Show the first ${bytes(MAX_SHOWN)}`;
  button.textContent = expanded ? "Show less" : all;
  button.setAttribute("aria-expanded", expanded);
}

// The message as JSON, if it is to be shown so.
function readEntry({ direction, payload }, expanded) {
  const isRead = direction !== "note" && $("format-json").checked && typeof payload === "string"
    && payload.length <= (expanded ? MAX_SHOWN : MAX_CHECKED) && looksLikeJson(payload);
  return isRead ? readJson(payload) : null;
}

// The text, with a mark on the character where it stops to be JSON.
function marked(text, problem) {
  if (!problem || problem.at > text.length) return [text];
  const end = problem.at + String.fromCodePoint(text.codePointAt(problem.at) ?? 0).length;
  const mark = element("mark", "", text.slice(problem.at, end).trim() || "\u00a0");
  return [text.slice(0, problem.at), mark, text.slice(end)];
}

function excerptLen(text) {
  let len = Math.min(text.length, EXCERPT_CHARS);
  let line = -1;
  for (let lines = 0; lines < EXCERPT_LINES; lines += 1) {
    line = text.indexOf("\n", line + 1);
    if (line === -1 || line >= len) break;
    if (lines === EXCERPT_LINES - 1) len = line;
  }
  // Not between the two halves of a character.
  const last = text.charCodeAt(len - 1);
  return len < text.length && last >= 0xd800 && last <= 0xdbff ? len - 1 : len;
}

// Three columns, each one text of many lines: offsets, hexadecimal, printable ASCII.
function dump(payload) {
  const offsets = [];
  const hex = [];
  const ascii = [];
  const digits = payload.length > 0x10000 ? 6 : 4;
  for (let offset = 0; offset < payload.length; offset += bytesPerRow) {
    const row = payload.subarray(offset, offset + bytesPerRow);
    offsets.push(offset.toString(16).padStart(digits, "0"));
    hex.push(toHex(row));
    ascii.push(Array.from(row, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join(""));
  }
  return [
    element("span", "offsets", offsets.join("\n")),
    element("span", "hex", hex.join("\n")),
    element("span", "ascii", ascii.join("\n")),
  ];
}

function fitDumps() {
  const fitting = $("log-scroll").clientWidth >= 915 ? 16 : 8;
  if (fitting === bytesPerRow) return;
  bytesPerRow = fitting;
  for (const entry of entries) {
    if (entry.type === "binary" && entry.element) showPayload(entry.element, entry, entry.expanded);
  }
}

// JSON

function looksLikeJson(text) {
  return /^\s*[[{]/.test(text);
}

// Reads JSON (RFC 8259) into tokens, each as it was written: JSON.parse would round a long number and drop a name that
// comes twice. A problem is where the text stops to be JSON; brackets in brackets cost no stack.
function readJson(text) {
  const json = { text, starts: [], ends: [], closers: [], widths: [], problem: null };
  const openers = [];
  const SPACE = /[ \t\r\n]*/y;
  const WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
  const skip = (pattern, from) => {
    pattern.lastIndex = from;
    return pattern.test(text) ? pattern.lastIndex : from;
  };
  let expected = "value";
  let width = 0;
  let at = skip(SPACE, 0);
  while (!(expected === "end" && at === text.length)) {
    const opener = openers.length > 0 ? text[json.starts[openers[openers.length - 1]]] : "";
    const closer = { "{": "}", "[": "]" }[opener];
    const first = text[at];
    const mayClose = /^(first|next)/.test(expected) && first !== undefined && first === closer;
    const token = json.starts.length;
    let end = at + 1;
    if (mayClose) {
      json.closers[openers.pop()] = token;
      expected = openers.length > 0 ? "next" : "end";
    } else if (expected === "next" && first === ",") {
      expected = opener === "{" ? "name" : "value";
    } else if (expected === "colon" && first === ":") {
      expected = "value";
    } else if (/name/.test(expected) && first === '"') {
      end = stringEnd(text, at);
      expected = "colon";
    } else if (/value/.test(expected) && (first === "{" || first === "[")) {
      openers.push(token);
      expected = first === "{" ? "first name" : "first value";
    } else if (/value/.test(expected) && (first === '"' || skip(WORD, at) > at)) {
      end = first === '"' ? stringEnd(text, at) : skip(WORD, at);
      expected = openers.length > 0 ? "next" : "end";
    } else {
      const wanted = {
        value: "a value",
        name: "a name in quotes",
        "first name": "a name in quotes or “}”",
        "first value": "a value or “]”",
        next: `“,” or “${closer}”`,
        colon: "“:”",
        end: "the end",
      }[expected];
      json.problem = problemAt(text, at, `${wanted} expected`);
    }
    if (typeof end !== "number") json.problem = problemAt(text, end.at, end.problem);
    if (json.problem) return json;
    json.starts.push(at);
    json.ends.push(end);
    width += end - at + (first === "," || first === ":" || first === "{" || first === "}" ? 1 : 0);
    json.widths.push(width);
    at = skip(SPACE, end);
  }
  return json;
}

// Where the string ends that begins here, or else { at, problem }.
function stringEnd(text, start) {
  const PLAIN = /[^"\\\u0000-\u001f]*/y;
  const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
  let at = start + 1;
  for (;;) {
    PLAIN.lastIndex = at;
    PLAIN.test(text);
    at = PLAIN.lastIndex;
    if (text[at] === '"') return at + 1;
    if (at === text.length) return { at, problem: "closing quote expected" };
    if (text[at] !== "\\") return { at, problem: "control character in a string" };
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(text)) return { at, problem: "unknown escape" };
    at = ESCAPE.lastIndex;
  }
}

function problemAt(text, at, what) {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  const column = [...before.slice(before.lastIndexOf("\n") + 1)].length + 1;
  return { at, text: `line ${line}, column ${column}: ${what}` };
}

// What was read, with a line for each member: except for what is short. Stops beyond `maxLen` characters.
function formatJson({ text, starts, ends, closers, widths }, maxLen) {
  let out = "";
  let depth = 0;
  let inlineTo = -1;
  const newLine = () => `\n${"  ".repeat(Math.min(depth, MAX_INDENTED_DEPTH))}`;
  for (let token = 0; token < starts.length && out.length <= maxLen; token += 1) {
    const word = text.slice(starts[token], ends[token]);
    if (word === "{" || word === "[") {
      const closer = closers[token];
      if (widths[closer] - widths[token] <= MAX_INLINE) inlineTo = Math.max(inlineTo, closer);
      if (token > inlineTo) {
        depth += 1;
        out += word + newLine();
      } else if (closer === token + 1) {
        out += word === "{" ? "{}" : "[]";
        token = closer;
      } else {
        out += word === "{" ? "{ " : "[";
      }
    } else if (word === "}" || word === "]") {
      if (token > inlineTo) {
        depth -= 1;
        out += newLine() + word;
      } else {
        out += word === "}" ? " }" : "]";
      }
    } else if (word === ",") {
      out += token > inlineTo ? `,${newLine()}` : ", ";
    } else {
      out += word === ":" ? ": " : word;
    }
  }
  return out;
}

// Copies and files

// The message as it was sent, and bytes as the field for them takes them.
function payloadText({ payload }) {
  return typeof payload === "string" ? payload : toHex(payload);
}

function toHex(payload) {
  return Array.from(payload, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

async function copyText(text, button) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS there is no clipboard outside of localhost; the older way still works there.
    const field = element("textarea", "visually-hidden", "");
    field.value = text;
    document.body.append(field);
    field.select();
    copied = document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = copied ? "Copied" : "Failed";
  $("copy-status").textContent = copied ? "Copied to the clipboard" : "The browser does not let the page copy";
  setTimeout(() => {
    button.textContent = "Copy";
    $("copy-status").textContent = "";
  }, 2000);
}

// Saves the log as lines of JSON, one for each entry.
function saveLog() {
  const lines = entries.map((entry) => JSON.stringify(savedEntry(entry)));
  if (droppedCount > 0) lines.unshift(JSON.stringify({ type: "dropped", entries: droppedCount }));
  const link = element("a", "", "");
  link.href = URL.createObjectURL(new Blob(lines.map((line) => `${line}\n`), { type: "application/x-ndjson" }));
  link.download = `websocket-log-${new Date().toISOString().replace(/[:.]/g, "-")}.jsonl`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), DOWNLOAD_MS);
}

function savedEntry({ direction, type, payload, size, roundTrip, loggedAt, code, reason }) {
  const time = loggedAt.toISOString();
  if (direction === "note") return { time, type, text: payload, code, reason };
  const content = typeof payload === "string" ? { text: payload } : { hex: toHex(payload) };
  const word = { in: "received", out: "sent" }[direction];
  return { time, direction: word, type, size, round_trip_ms: roundTrip, ...content };
}

// Snippet

function showSnippet(address) {
  const names = subprotocols();
  const list = names.length > 0 ? `, ${JSON.stringify(names.length === 1 ? names[0] : names)}` : "";
  const first = element("code", "", "const socket = new WebSocket(");
  first.append(element("span", "url", JSON.stringify(address)), `${list});\n`);
  $("snippet").replaceChildren(
    first,
    element("code", "", "socket.onmessage = ({ data }) => console.log(data);\n"),
    element("code", "", 'socket.onopen = () => socket.send("Hello");\n'),
  );
}

// Words and numbers

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function duration(ms) {
  if (ms < 0.1) return "<0.1 ms";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
}

function bytes(count) {
  if (count < 1024) return `${count} B`;
  const [unit, name] = count < 1024 * 1024 ? [1024, "KiB"] : [1024 * 1024, "MiB"];
  return `${(count / unit).toFixed(1).replace(/\.0$/, "")} ${name}`;
}

function plural(count, one, many) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function clock(date) {
  const two = (number) => String(number).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

// Wiring

function onSubmit(form, action) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

onSubmit("connect-form", connect);
onSubmit("disconnect-form", disconnect);
onSubmit("send-form", send);

for (const field of [$("message"), $("binary-hex")]) {
  field.addEventListener("input", showComposed);
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (!event.repeat) send();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      if (recall(field, event.key === "ArrowUp" ? -1 : 1)) event.preventDefault();
    }
  });
}
$("file").addEventListener("change", showPayloadSize);

$("send-form").addEventListener("change", (event) => {
  if (event.target.name !== "mode") return;
  mode = event.target.value;
  for (const name of Object.keys(FIELDS)) $(`field-${name}`).hidden = name !== mode;
  $("keys").hidden = mode === "file";
  report($("send-problem"), "");
  showComposed();
});
$("repeat-interval").addEventListener("input", () => {
  $("repeat-interval").removeAttribute("aria-invalid");
  $("repeat").checked = true;
});
$("repeat-stop").addEventListener("click", () => stopRepeating(""));
$("json-hint").addEventListener("click", showJsonProblem);

for (const id of ["address", "subprotocols"]) {
  $(id).addEventListener("input", () => {
    $("address").removeAttribute("aria-invalid");
    report($("connection-problem"), "");
    showAddress();
    showConnect();
  });
}
$("reconnect").addEventListener("change", () => {
  if (retryAt !== null) {
    stopWaiting();
  } else if ($("reconnect").checked && ended && askedCode === null && !isLive()) {
    failures = 0;
    waitToRetry();
  }
  showState();
});
addEventListener("online", retryNow);
document.addEventListener("visibilitychange", retryNow);
for (const id of ["close-code", "close-reason"]) {
  $(id).addEventListener("input", () => {
    for (const field of [$("close-code"), $("close-reason")]) field.removeAttribute("aria-invalid");
    report($("connection-problem"), "");
  });
}
$("copy").addEventListener("click", () => copyText($("snippet").textContent, $("copy")));
$("save").addEventListener("click", saveLog);
$("format-json").addEventListener("change", () => {
  for (const entry of entries) if (entry.element) showPayload(entry.element, entry, entry.expanded);
  scheduleDraw();
});
$("clear").addEventListener("click", clearLog);
$("latest").addEventListener("click", () => {
  following = true;
  scheduleDraw();
});
$("log-scroll").addEventListener("scroll", () => {
  const view = $("log-scroll");
  const atEnd = view.scrollTop + view.clientHeight >= view.scrollHeight - 8;
  // New entries move the end away, which is not the reader leaving it: that takes a move upwards.
  if (atEnd) following = true;
  else if (view.scrollTop < lastScrollTop) following = false;
  lastScrollTop = view.scrollTop;
  scheduleDraw();
});
new ResizeObserver(() => {
  fitDumps();
  scheduleDraw();
}).observe($("log-scroll"));

// Only this server's own address: a link to the page must not make it connect elsewhere.
$("address").value = origin + location.pathname + location.search;
$("options").open = matchMedia("(min-width: 60rem)").matches;
clearLog();
showAddress();
connect();
