"""A FastAPI shop for uvicorn, alone, with --workers and --reload; KEEP=1 repairs it."""

import os

from fastapi import FastAPI, Request

app = FastAPI()
app.state.listeners = []


class Listener:
    def __init__(self, client):
        self.client, self.events = str(client), []


@app.get("/")
async def shop(request: Request):
    listener = Listener(request.client)
    app.state.listeners.append(listener)
    if "KEEP" in os.environ:
        app.state.listeners.remove(listener)
    return {"listening": len(app.state.listeners)}
