"""Every event of every order, from the first: `python follow_the_feed.py [URL] [COUNT]`.

Keep `event.frame.cursor` where you keep what you made of the event: `after=` goes on behind it,
whatever happened meanwhile. The client itself reconnects and resumes.
"""

import sys

from engine.client.session import client_of, run_with_gateway

URL = sys.argv[1] if len(sys.argv) > 1 else ""
"""Empty: the engine that DATA_DIR or PORT names."""
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 10


async def main() -> int:
    async with client_of(URL) as client:
        left = COUNT
        async for event in client.events(after=0):
            print(event.frame.position, event.order_id, event.name)
            left -= 1
            if not left:
                break
    return 0


sys.exit(run_with_gateway(main()))
