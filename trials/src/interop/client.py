"""python `websockets` as the client: client.py URL off|deflate|takeover

Prints one line a check: its name, a tab, and `ok` or what was seen.
"""

import asyncio
import os
import sys

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import PerMessageDeflate

URL, COMPRESSION = sys.argv[1:]
MAX_LEN = 16 << 20
TIMEOUT = 20


class Connection(ClientConnection):
    """Counts what comes over the wire."""

    received_len = 0

    def data_received(self, data):
        self.received_len += len(data)
        super().data_received(data)


def open_connection(**options):
    return connect(
        URL,
        compression=None if COMPRESSION == "off" else "deflate",
        create_connection=Connection,
        max_size=None,
        proxy=None,
        **options,
    )


def expect(seen, wanted):
    if seen != wanted:
        raise AssertionError(f"{seen!r:.100} instead of {wanted!r:.100}")


async def expect_echo(connection, message, **options):
    await connection.send(message, **options)
    whole = message if isinstance(message, (str, bytes)) else type(message[0])().join(message)
    echo = await connection.recv()
    if echo != whole:
        raise AssertionError(f"{type(echo).__name__} of {len(echo)} for {type(whole).__name__} of {len(whole)}")


# Where the server ends the connection there is no `async with`: at its end it may abort a transport that is gone
# already, and asyncio of Python 3.11 fails there.
async def expect_close(connection, code):
    try:
        expect(await connection.recv(), f"a close with {code}")
    except ConnectionClosed as closed:
        expect(closed.rcvd and closed.rcvd.code, code)


async def compression():
    async with open_connection() as connection:
        agreed = connection.protocol.extensions
        if COMPRESSION == "off":
            expect(agreed, [])
        else:
            expect([type(extension) for extension in agreed], [PerMessageDeflate])
            takeover = COMPRESSION == "takeover"
            expect(agreed[0].remote_no_context_takeover, not takeover)
        message = "compressible " * 10_000
        before = connection.received_len
        await expect_echo(connection, message)
        received_len = connection.received_len - before
        if (received_len < len(message) / 10) != (COMPRESSION != "off"):
            raise AssertionError(f"{len(message)} bytes came as {received_len}")


async def text():
    async with open_connection() as connection:
        for message in ["", "I have high ground", "Grüße, 世界 👋" * 1000, "Grüße, 世界 👋" * 1000]:
            await expect_echo(connection, message)


async def binary():
    async with open_connection() as connection:
        for message in [b"", bytes(range(256)), bytes(range(256)) * 1000, os.urandom(100_000)]:
            await expect_echo(connection, message)


async def largest():
    async with open_connection() as connection:
        await expect_echo(connection, bytes(MAX_LEN // 2) + os.urandom(MAX_LEN // 2))


async def too_large():
    connection = await open_connection()
    try:
        await connection.send(bytes(MAX_LEN + 1))
    except ConnectionClosed:
        pass  # it need not be read to its end; what matters is what `recv` says
    await expect_close(connection, 1009)


async def fragments():
    async with open_connection() as connection:
        await expect_echo(connection, ["Grüße, " * 100, "", "世界 " * 100, "👋"])
        await expect_echo(connection, [bytes(range(256)) * 4] * 100)


async def ping():
    async with open_connection() as connection:
        await (await connection.ping(b"\x00payload\xff"))
        await expect_echo(connection, "after the pong")


async def close(code):
    async with open_connection() as connection:
        await connection.close(code, "over")
        expect(connection.close_code, code)


async def broken_frame():
    connection = await open_connection()
    connection.transport.write(b"\x81\x02hi")  # not masked
    await expect_close(connection, 1002)


async def broken_text():
    connection = await open_connection()
    await connection.send(b"\xff\xfe", text=True)
    await expect_close(connection, 1007)


async def subprotocol():
    async with open_connection(subprotocols=["chat.v2", "chat.v1"]) as connection:
        expect(connection.subprotocol, "chat.v2")
    async with open_connection() as connection:
        expect(connection.subprotocol, None)


async def main():
    for name, check in {
        "compression": compression,
        "text": text,
        "binary": binary,
        "16 MiB": largest,
        "16 MiB and a byte: 1009": too_large,
        "fragments": fragments,
        "ping": ping,
        "close with 1000": lambda: close(1000),
        "close with 4001": lambda: close(4001),
        "broken frame: 1002": broken_frame,
        "broken text: 1007": broken_text,
        "subprotocol": subprotocol,
    }.items():
        try:
            await asyncio.wait_for(check(), TIMEOUT)
            seen = "ok"
        except Exception as error:
            seen = f"{type(error).__name__}: {error}".replace("\n", " ")
        print(f"{name}\t{seen}")


asyncio.run(main())
