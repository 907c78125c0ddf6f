"""Every event of every order, from the first: `python follow_the_feed.py [URL] [COUNT]`.

Keep `event.frame.cursor` where you keep what you made of the event: `after=` goes on behind it,
whatever happened meanwhile. The client itself reconnects and resumes.
"""

import asyncio
import os
import sys

from engine.client import Client

URL = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{os.environ.get('PORT', '3000')}"
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 10


async def main() -> None:
    async with Client(URL, os.environ.get("API_KEY", "")) as client:
        left = COUNT
        async for event in client.events(after=0):
            print(event.frame.position, event.order_id, event.name)
            left -= 1
            if not left:
                return


asyncio.run(main())
