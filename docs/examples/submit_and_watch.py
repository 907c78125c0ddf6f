"""Submit one order and watch it to its end: `python submit_and_watch.py [URL]`."""

import asyncio
import os
import sys

from engine.client import Client, NewOrder

URL = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{os.environ.get('PORT', '3000')}"


async def main() -> None:
    async with Client(URL, os.environ.get("API_KEY", "")) as client:
        accepted = await client.submit(NewOrder("SOL", "USDC", "1.5", slippage_bps=30))
        async for event in client.follow(accepted.order_id):
            print(f"{event.status:<10} {event.name}")
        order = await client.order(accepted.order_id)
        if order.status == "confirmed":
            print(f"{order.amount_in} {order.token_in} gave {order.amount_out} {order.token_out}")
        else:
            sys.exit(f"{order.status}: {order.reason}")


asyncio.run(main())
