"""A limit order that waits, is amended, and is called off: `python limit_and_cancel.py [URL]`."""

import sys

from engine.client import NewOrder, RefusedError
from engine.client.session import client_of, run_with_gateway

URL = sys.argv[1] if len(sys.argv) > 1 else ""
"""Empty: the engine that DATA_DIR or PORT names."""


async def main() -> int:
    async with client_of(URL) as client:
        limit = NewOrder("SOL", "USDC", "1.5", type="limit", target_price="1000")
        order_id = (await client.submit(limit)).order_id
        async for event in client.follow(order_id):
            if event.status == "watching":
                break  # it rests, and can be amended
        order = await client.order(order_id)
        order = await client.amend(order_id, order.version, {"targetPrice": "900"})
        print(f"{order.status} at {order.target_price}")
        print((await client.cancel(order_id, reason="changed my mind")).status)
        try:
            await client.amend(order_id, order.version, {"targetPrice": "800"})
        except RefusedError as refused:
            print(f"refused: {refused.code}")
    return 0


sys.exit(run_with_gateway(main()))
