// npm `ws` as the server: server.mjs off|deflate|takeover
//
// The path of the request says what it does: /echo, /fragments (an echo in three), /ping (and `pong` as text once it is
// answered), /close (with 4001, after a message).

import { WebSocketServer } from "ws";

const [compression] = process.argv.slice(2);
const noTakeover = { serverNoContextTakeover: true, clientNoContextTakeover: true };
const perMessageDeflate =
  compression === "off" ? false : { threshold: 0, ...(compression === "deflate" ? noTakeover : {}) };

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate });

server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));

server.on("connection", (socket, request) => {
  if (request.url === "/ping") {
    const payload = Buffer.from("\x00payload\xff", "latin1");
    socket.on("pong", (pong) => socket.send(pong.equals(payload) ? "pong" : `another pong: ${pong}`));
    socket.ping(payload);
  }
  socket.on("message", (message, isBinary) => {
    if (request.url === "/fragments") {
      const third = Math.floor(message.length / 3);
      socket.send(message.subarray(0, third), { binary: isBinary, fin: false });
      socket.send(message.subarray(third, 2 * third), { binary: isBinary, fin: false });
      socket.send(message.subarray(2 * third), { binary: isBinary, fin: true });
    } else if (request.url === "/close") {
      socket.close(4001, "over");
    } else {
      socket.send(message, { binary: isBinary });
    }
  });
});
