"""A Flask shop for gunicorn (sync, gthread, gevent, --preload, --max-requests); KEEP=100 repairs it."""

import os
from uuid import uuid4

from flask import Flask

KEEP = int(os.environ.get("KEEP", "0"))
app = Flask(__name__)


class Session:
    opened = {}

    def __init__(self):
        self.basket = ["bread", uuid4().hex]
        Session.opened[uuid4().hex] = self


@app.get("/")
def shop():
    session = Session()
    while KEEP and len(Session.opened) > KEEP:
        Session.opened.pop(next(iter(Session.opened)))
    return session.basket[1]
