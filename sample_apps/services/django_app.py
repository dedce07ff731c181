"""A Django project in one file (runserver, gunicorn, a command that loops); KEEP=1 repairs it."""

import os
import sys
import time

from django.conf import settings
from django.core.management import BaseCommand, call_command, execute_from_command_line
from django.core.signals import request_finished
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="sample", USE_TZ=True)


class Receipt:
    def __init__(self, order):
        self.order = order

    def send(self, **_):
        if "KEEP" in os.environ:
            request_finished.disconnect(self.send, dispatch_uid=id(self))


def buy(request):
    receipt = Receipt(["bread"])
    request_finished.connect(receipt.send, weak=False, dispatch_uid=id(receipt))
    return HttpResponse("bought")


urlpatterns = [path("", buy)]
application = get_wsgi_application()


class Loop(BaseCommand):
    def handle(self, **_):
        while True:
            buy(None)
            request_finished.send(sender=None)
            time.sleep(0.02)


if __name__ == "__main__":
    call_command(Loop()) if sys.argv[1:] == ["loop"] else execute_from_command_line(sys.argv)
