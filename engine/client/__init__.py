"""The Python client of the gateway, which the commands use too.

    async with Client("http://127.0.0.1:3000") as client:
        accepted = await client.submit(NewOrder("SOL", "USDC", "1.5"))
        async for event in client.follow(accepted.order_id):
            print(event.name, event.status)

Answers are the types that the API's documents are made from; amounts are decimal strings, exact.
Fields that this build does not know are skipped.

Imports no process and no command. Public: what is exported here, and `session` for commands.
"""

from engine.client.api import Client
from engine.client.events import Event
from engine.client.refusals import LostError, OutcomeUnknownError, RefusedError, UnreachableError
from engine.client.requests import Filters, NewOrder

__all__ = [
    "Client",
    "Event",
    "Filters",
    "LostError",
    "NewOrder",
    "OutcomeUnknownError",
    "RefusedError",
    "UnreachableError",
]
