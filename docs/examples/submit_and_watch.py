"""Submit one order and watch it to its end: `python submit_and_watch.py [URL]`."""

import sys

from engine.client import NewOrder
from engine.client.session import client_of, run_with_gateway

URL = sys.argv[1] if len(sys.argv) > 1 else ""
"""Empty: the engine that DATA_DIR or PORT names."""


async def main() -> int:
    async with client_of(URL) as client:
        accepted = await client.submit(NewOrder("SOL", "USDC", "1.5", slippage_bps=30))
        async for event in client.follow(accepted.order_id):
            print(f"{event.status:<10} {event.name}")
        order = await client.order(accepted.order_id)
        if order.status == "confirmed":
            print(f"{order.amount_in} {order.token_in} gave {order.amount_out} {order.token_out}")
        else:
            print(f"{order.status}: {order.reason}", file=sys.stderr)
            return 1
    return 0


sys.exit(run_with_gateway(main()))
