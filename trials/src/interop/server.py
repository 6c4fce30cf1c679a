"""python `websockets` as the server: server.py off|deflate|takeover

The path of the request says what it does: /echo, /fragments (an echo in three), /ping (and `pong` as text once it is
answered), /close (with 4001, after a message).
"""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

(COMPRESSION,) = sys.argv[1:]


async def serve_connection(connection):
    path = connection.request.path
    if path == "/ping":
        await (await connection.ping(b"\x00payload\xff"))
        await connection.send("pong")
    async for message in connection:
        if path == "/fragments":
            third = len(message) // 3
            await connection.send([message[:third], message[third : 2 * third], message[2 * third :]])
        elif path == "/close":
            await connection.close(4001, "over")
        else:
            await connection.send(message)


def first(connection, offers):
    return offers[0] if offers else None


async def main():
    options = {"compression": None} if COMPRESSION == "off" else {"compression": "deflate"}
    if COMPRESSION == "deflate":
        no_takeover = ServerPerMessageDeflateFactory(
            server_no_context_takeover=True, client_no_context_takeover=True, client_max_window_bits=12
        )
        options = {"compression": None, "extensions": [no_takeover]}
    async with serve(
        serve_connection, "127.0.0.1", 0, max_size=None, select_subprotocol=first, **options
    ) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}", flush=True)
        await server.serve_forever()


asyncio.run(main())
