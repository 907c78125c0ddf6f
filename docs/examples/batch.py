"""Many orders in one request, good ones and a bad one: `python batch.py [URL]`."""

import sys

from engine.client import NewOrder
from engine.client.session import client_of, run_with_gateway

URL = sys.argv[1] if len(sys.argv) > 1 else ""
"""Empty: the engine that DATA_DIR or PORT names."""


async def main() -> int:
    orders = [NewOrder("SOL", "USDC", f"{number}.5") for number in range(1, 4)]
    async with client_of(URL) as client:
        for result in await client.submit_batch([*orders, NewOrder("SOL", "SOL", "1")]):
            print(result.status, result.problem.code if result.problem else result.order_id)
    return 0


sys.exit(run_with_gateway(main()))
