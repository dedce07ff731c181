"""The twin of finished_tasks.py: a task that is done takes itself out.

Expected: healthy
"""

import asyncio
import os

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
MESSAGES_PER_ROUND = 20


class Notifier:
    def __init__(self):
        self.tasks = set()
        self.sent = 0

    def notify(self, address, text):
        task = asyncio.ensure_future(self._send(address, text))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

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
