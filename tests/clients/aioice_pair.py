"""Two aioice agents that may only use the relay send each other data.

    python aioice_pair.py HOST PORT udp|tcp|tls USERNAME PASSWORD [PAUSE_SECONDS]

The pause is between an allocation and its first permission. Prints one line per direction and ends with 0; anything else
is a failure.
"""

import asyncio
import sys

from aioice import Connection, TransportPolicy

PATIENCE = 20  # seconds, for each of gathering, connecting and one message
MESSAGES = 50


async def exchange(sender: Connection, receiver: Connection, name: str) -> None:
    for number in range(MESSAGES):
        message = f"{name} {number}".encode()
        await sender.send(message)
        received = await asyncio.wait_for(receiver.recv(), PATIENCE)
        assert received == message, f"sent {message!r}, received {received!r}"
    print(f"{name}: {MESSAGES} messages")


async def introduce(one: Connection, other: Connection) -> None:
    await asyncio.wait_for(one.gather_candidates(), PATIENCE)
    types = {candidate.type for candidate in one.local_candidates}
    assert types == {"relay"}, f"candidates of the types {types}, expected relay only"
    for candidate in one.local_candidates:
        await other.add_remote_candidate(candidate)
    await other.add_remote_candidate(None)
    other.remote_username, other.remote_password = one.local_username, one.local_password


async def main(host: str, port: str, transport: str, username: str, password: str, pause: str = "0") -> None:
    agents = [
        Connection(
            ice_controlling=controlling,
            turn_server=(host, int(port)),
            turn_ssl=transport == "tls",
            turn_transport="udp" if transport == "udp" else "tcp",
            turn_username=username,
            turn_password=password,
            transport_policy=TransportPolicy.RELAY,
        )
        for controlling in (True, False)
    ]
    one, other = agents
    await introduce(one, other)
    await introduce(other, one)
    await asyncio.sleep(float(pause))
    await asyncio.wait_for(asyncio.gather(one.connect(), other.connect()), PATIENCE)
    await exchange(one, other, "there")
    await exchange(other, one, "back")
    await asyncio.gather(one.close(), other.close())


asyncio.run(main(*sys.argv[1:]))
