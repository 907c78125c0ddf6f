"""Many orders in one request, good ones and a bad one: `python batch.py [URL]`."""

import asyncio
import os
import sys

from engine.client import Client, NewOrder

URL = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{os.environ.get('PORT', '3000')}"


async def main() -> None:
    orders = [NewOrder("SOL", "USDC", f"{number}.5") for number in range(1, 4)]
    async with Client(URL, os.environ.get("API_KEY", "")) as client:
        for result in await client.submit_batch([*orders, NewOrder("SOL", "SOL", "1")]):
            print(result.status, result.problem.code if result.problem else result.order_id)


asyncio.run(main())
