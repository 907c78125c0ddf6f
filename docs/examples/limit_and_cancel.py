"""A limit order that waits, is amended, and is called off: `python limit_and_cancel.py [URL]`."""

import asyncio
import os
import sys

from engine.client import Client, NewOrder, RefusedError

URL = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{os.environ.get('PORT', '3000')}"


async def main() -> None:
    async with Client(URL, os.environ.get("API_KEY", "")) as client:
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


asyncio.run(main())
