// A page in a browser as the client. `interop` leaves one line a check in `interopLines`: its name, a tab, and `ok`, or
// `-` where a page has no say, or what was seen.

async function interop(url, compression) {
  const maxLen = 16 << 20;

  async function open(subprotocols = []) {
    const socket = new WebSocket(url, subprotocols);
    socket.binaryType = "arraybuffer";
    await next(socket, "open");
    return socket;
  }

  function next(socket, type) {
    return new Promise((resolve, reject) => {
      socket.addEventListener(type, resolve, { once: true });
      if (type !== "close") {
        socket.addEventListener("close", ({ code }) => reject(new Error(`closed with ${code}`)), { once: true });
      }
    });
  }

  function expect(seen, wanted) {
    if (seen !== wanted) throw new Error(`${seen} instead of ${wanted}`);
  }

  async function expectEcho(socket, message) {
    const received = next(socket, "message");
    socket.send(message);
    const { data } = await received;
    if (typeof message === "string") {
      if (data !== message) throw new Error(`text of ${message.length} came back as other ${data.length}`);
      return;
    }
    const echo = new Uint8Array(data);
    expect(echo.length, message.length);
    if (!echo.every((byte, index) => byte === message[index])) throw new Error("it came back changed");
  }

  async function closes(socket, code) {
    socket.close(code, "over");
    const closed = await next(socket, "close");
    expect(closed.code, code);
    expect(closed.wasClean, true);
  }

  function random(len) {
    const bytes = new Uint8Array(len);
    const atOnce = 65536;
    for (let at = 0; at < len; at += atOnce) crypto.getRandomValues(bytes.subarray(at, at + atOnce));
    return bytes;
  }

  const text = "Grüße, 世界 👋";
  const checks = {
    async compression() {
      const socket = await open();
      expect(
        socket.extensions,
        {
          off: "",
          deflate: "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
          takeover: "permessage-deflate; client_max_window_bits=12",
        }[compression],
      );
      await expectEcho(socket, "compressible ".repeat(10_000));
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
      for (const message of [new Uint8Array(), Uint8Array.from({ length: 256_000 }, (_, i) => i), random(100_000)]) {
        await expectEcho(socket, message);
      }
      await closes(socket, 1000);
    },
    async "16 MiB"() {
      const socket = await open();
      const message = new Uint8Array(maxLen);
      message.set(random(maxLen / 2));
      await expectEcho(socket, message);
      await closes(socket, 1000);
    },
    async "16 MiB and a byte: 1009"() {
      const socket = await open();
      socket.send(new Uint8Array(maxLen + 1));
      const closed = await next(socket, "close");
      // It may not be a clean end: the server need not wait for all of what it will not take.
      expect(closed.code, 1009);
    },
    fragments: null,
    ping: null,
    async "close with 1000"() {
      await closes(await open(), 1000);
    },
    async "close with 4001"() {
      await closes(await open(), 4001);
    },
    "broken frame: 1002": null,
    "broken text: 1007": null,
    async subprotocol() {
      const socket = await open(["chat.v2", "chat.v1"]);
      expect(socket.protocol, "chat.v2");
      await closes(socket, 1000);
    },
  };

  const lines = [];
  for (const [name, check] of Object.entries(checks)) {
    const seen = check === null ? "-" : await check().then(() => "ok", String);
    lines.push(`${name}\t${seen}`);
  }
  window.interopLines = lines;
}
