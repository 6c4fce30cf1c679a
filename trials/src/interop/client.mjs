// npm `ws` as the client: client.mjs URL off|deflate|takeover
//
// Prints one line a check: its name, a tab, and `ok` or what was seen.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const [url, compression] = process.argv.slice(2);
const maxLen = 16 << 20;
const timeout = 20_000;

async function open(subprotocols = []) {
  const perMessageDeflate = compression === "off" ? false : { threshold: 0 };
  const socket = new WebSocket(url, subprotocols, { perMessageDeflate });
  socket.setMaxListeners(0); // each message that is waited for adds two
  socket.on("error", () => {}); // is followed by "close", which is looked at
  await Promise.race([
    once(socket, "open"),
    once(socket, "close").then(([code]) => Promise.reject(new Error(`closed with ${code}`))),
  ]);
  return socket;
}

function expect(seen, wanted) {
  if (seen !== wanted) throw new Error(`${seen} instead of ${wanted}`);
}

// The next message, or a failure: `once` alone would wait for ever on a connection that is closed.
async function receive(socket) {
  const [message, isBinary] = await Promise.race([
    once(socket, "message"),
    once(socket, "close").then(([code]) => Promise.reject(new Error(`closed with ${code}`))),
  ]);
  return [message, isBinary];
}

async function expectEcho(socket, ...fragments) {
  const isBinary = typeof fragments[0] !== "string";
  const received = receive(socket);
  fragments.forEach((fragment, index) => {
    socket.send(fragment, { binary: isBinary, fin: index === fragments.length - 1 });
  });
  const whole = Buffer.concat(fragments.map((fragment) => Buffer.from(fragment)));
  const [echo, echoIsBinary] = await received;
  expect(echoIsBinary, isBinary);
  if (!echo.equals(whole)) throw new Error(`${whole.length} bytes came back as other ${echo.length}`);
}

async function expectClose(socket, code) {
  const [seen] = await once(socket, "close");
  expect(seen, code);
}

async function closes(socket, code) {
  const closed = expectClose(socket, code);
  socket.close(code, "over");
  await closed;
}

const text = "Grüße, 世界 👋";
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

const checks = {
  async compression() {
    const socket = await open();
    const deflate = "permessage-deflate";
    const takeover = `${deflate}; client_max_window_bits`;
    const noTakeover = `${deflate}; server_no_context_takeover; client_no_context_takeover`;
    expect(socket.extensions, compression === "off" ? "" : deflate);
    const params = socket._extensions[deflate]?.params ?? {};
    const agreed = [deflate, ...Object.keys(params)].join("; ");
    if (compression !== "off") expect(agreed, compression === "takeover" ? takeover : noTakeover);
    const message = "compressible ".repeat(10_000);
    const before = socket._socket.bytesRead;
    await expectEcho(socket, message);
    const receivedLen = socket._socket.bytesRead - before;
    if (receivedLen < message.length / 10 !== (compression !== "off")) {
      throw new Error(`${message.length} bytes came as ${receivedLen}`);
    }
    await closes(socket, 1000);
  },
  async text() {
    const socket = await open();
    for (const message of ["", "I have high ground", text.repeat(1000), text.repeat(1000)]) {
      await expectEcho(socket, message);
    }
    await closes(socket, 1000);
  },
  async binary() {
    const socket = await open();
    const long = Buffer.concat(Array(1000).fill(everyByte));
    for (const message of [Buffer.alloc(0), everyByte, long, randomBytes(100_000)]) {
      await expectEcho(socket, message);
    }
    await closes(socket, 1000);
  },
  async "16 MiB"() {
    const socket = await open();
    await expectEcho(socket, Buffer.concat([Buffer.alloc(maxLen / 2), randomBytes(maxLen / 2)]));
    await closes(socket, 1000);
  },
  async "16 MiB and a byte: 1009"() {
    const socket = await open();
    const closed = expectClose(socket, 1009);
    socket.send(Buffer.alloc(maxLen + 1));
    await closed;
  },
  async fragments() {
    const socket = await open();
    await expectEcho(socket, text.repeat(100), "", text.repeat(100), "👋");
    await expectEcho(socket, ...Array(100).fill(everyByte));
    await closes(socket, 1000);
  },
  async ping() {
    const socket = await open();
    const pong = once(socket, "pong");
    socket.ping("payload");
    expect((await pong)[0].toString(), "payload");
    await expectEcho(socket, "after the pong");
    await closes(socket, 1000);
  },
  async "close with 1000"() {
    await closes(await open(), 1000);
  },
  async "close with 4001"() {
    await closes(await open(), 4001);
  },
  async "broken frame: 1002"() {
    const socket = await open();
    const closed = expectClose(socket, 1002);
    socket._socket.write(Buffer.from("\x81\x02hi", "latin1")); // not masked
    await closed;
  },
  async "broken text: 1007"() {
    const socket = await open();
    const closed = expectClose(socket, 1007);
    socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    await closed;
  },
  async subprotocol() {
    const socket = await open(["chat.v2", "chat.v1"]);
    expect(socket.protocol, "chat.v2");
    await closes(socket, 1000);
    const without = await open();
    expect(without.protocol, "");
    await closes(without, 1000);
  },
};

for (const [name, check] of Object.entries(checks)) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), timeout);
  });
  const seen = await Promise.race([check(), late]).then(
    () => "ok",
    (error) => String(error),
  );
  clearTimeout(timer);
  console.log(`${name}\t${seen}`);
}
process.exit(); // a check that failed may have left its connection open
