"""`websockets`, as its authors publish it, against a signaling server: python frames.py HOST:PORT."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PLACE = sys.argv[1]


def url(user):
    return f"ws://{PLACE}/ws?token={user}"


async def until(socket, kind):
    while True:
        message = json.loads(await socket.recv())
        if message["type"] == kind:
            return message


def padded(length):
    empty = json.dumps({"type": "ping", "x": ""})
    return json.dumps({"type": "ping", "x": "x" * (length - len(empty))})


async def fragments(socket):
    async def parts():
        for letter in '{"type":"ping","x":"Zoë 🎥"}':
            yield letter

    await socket.send(parts())
    await until(socket, "pong")
    await (await socket.ping(b"between"))


async def signals(ann, bob):
    await ann.send(json.dumps({"type": "join", "room": "r"}))
    await until(ann, "joined")
    await bob.send(json.dumps({"type": "join", "room": "r"}))
    joined = await until(bob, "joined")
    for number in range(95):
        signal = {"type": "signal", "to": joined["members"][0]["id"], "data": number}
        await bob.send(json.dumps(signal))
    for number in range(95):
        assert (await until(ann, "signal"))["data"] == number


async def foreign_origin():
    try:
        await connect(url("eve"), origin="https://evil.example")
    except InvalidStatus as refused:
        assert refused.response.status_code == 403
    else:
        raise AssertionError("a foreign origin came in")


async def main():
    ann = await connect(url("ann"))
    assert "Sec-WebSocket-Extensions" not in ann.response.headers
    assert (await until(ann, "connected"))["userId"] == "ann"
    await fragments(ann)
    await ann.send(padded(65_536))
    await until(ann, "pong")
    bob = await connect(url("bob"), compression=None)
    await signals(ann, bob)
    await bob.close(4000, "enough")
    assert bob.close_code == 4000, bob.close_code
    await ann.send(padded(65_537))
    try:
        await until(ann, "pong")
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 1009, closed
    await foreign_origin()
    print("all as it has to be")


asyncio.run(asyncio.wait_for(main(), 60))
