"""A notifier on asyncio that starts a task per message and keeps it, as the documentation of `create_task` asks.

It asks to keep a task until it is done. Here every task stays after that, with its result.

Expected: python-leak of _asyncio.Task held by __main__.Notifier.tasks
"""

import asyncio
import os

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
MESSAGES_PER_ROUND = 20


class Notifier:
    def __init__(self):
        self.tasks = []
        self.sent = 0

    def notify(self, address, text):
        self.tasks.append(asyncio.ensure_future(self._send(address, text)))

    async def _send(self, address, text):
        await asyncio.sleep(0)
        self.sent += 1
        return {"to": address, "bytes": len(text)}


async def main():
    notifier = Notifier()
    for number in range(ROUNDS):
        for place in range(MESSAGES_PER_ROUND):
            notifier.notify(f"user-{number}-{place}", "Your parcel is on its way.")
        await asyncio.sleep(PAUSE_SECONDS)
    print("messages:", notifier.sent)


if __name__ == "__main__":
    asyncio.run(main())
