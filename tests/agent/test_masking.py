"""What of a command line is hidden, and what is not."""

from __future__ import annotations

import string
import uuid
from random import Random

import pytest

from leakhunt.agent.masking import HIDDEN, masked, masked_line, masked_text

SECRET = "hunter2"


@pytest.mark.parametrize(
    "words",
    [
        ["--password=hunter2"], ["--password", "hunter2"], ["--db-password", "hunter2"], ["--DB_PASSWORD=hunter2"],
        ["-password", "hunter2"], ["--api-key", "hunter2"], ["--apiKey=hunter2"], ["--auth-token", "hunter2"],
        ["--client-secret=hunter2"], ["--aws.secret.key", "hunter2"], ["--pwd", "hunter2"], ["--pass=hunter2"],
        ["--passphrase", "hunter2"], ["--jwt", "hunter2"], ["PGPASSWORD=hunter2"], ["API_TOKEN=hunter2"],
        ["postgres://shop:hunter2@db/shop"], ["--url=redis://:hunter2@cache:6379/0"], ["amqp://u:a/hunter2@b@host//"],
        ["https://host/?user=a&token=hunter2&x=1"], ["-H", "Authorization: Bearer hunter2"],
        ["-H", "authorization:basic hunter2"], ["Authorization:", "hunter2"], ["Bearer", "hunter2"],
        ["-c", "connect(user='a', password='hunter2')"], ["-c", 'x = {"secret": "hunter2", "b": 1}'],
        ["-c", "token = 'hunter2'\nrun()"], ["--config", '{"db": {"password":"hunter2"}}'],
        ["--dsn", "host=db user=a password=hunter2 dbname=x"], ["Server=db;Password=hunter2;Database=x"],
        ["--set", "mail.password=hunter2"], ["--account-key", "hunter2"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_secret_is_hidden(words: list[str]) -> None:
    found = masked(["python", "app.py", *words, "--verbose"])
    assert SECRET not in " ".join(found) and HIDDEN in " ".join(found)
    assert (found[:2], found[-1], len(found)) == (["python", "app.py"], "--verbose", 3 + len(words))
    assert SECRET not in masked_line(" ".join(words))
    assert masked(found) == found, "hiding twice hides no more"


HEX, BASE64 = "0123456789abcdef", f"{string.ascii_letters}{string.digits}-_"


@pytest.mark.parametrize(
    ("before", "alphabet", "length", "after"),
    [("", HEX, 40, ""), ("", BASE64, 43, ""), ("", BASE64, 32, "=="), ("ghp_", HEX, 36, ""), ("sk-", BASE64, 40, "")],
    ids=["hex", "base64", "padded", "ghp", "sk"],
)
def test_a_long_random_text_is_hidden(before: str, alphabet: str, length: int, after: str) -> None:
    dice = Random(1)
    made = [before + "".join(dice.choices(alphabet, k=length)) + after for _ in range(1000)]
    assert sum(text in masked_text(f"--session={text}") for text in made) <= 20


def test_the_number_of_a_session_is_hidden() -> None:
    made = [str(uuid.UUID(int=Random(seed).getrandbits(128), version=4)) for seed in range(1000)]
    assert sum(text in masked_text(f"--session={text}") for text in made) <= 20


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "http.server", "8000"], ["--port=8080", "--host", "0.0.0.0"], ["gunicorn", "app:main", "-w", "4"],
        ["--max-tokens", "4096"], ["--tokenizer", "gpt2"], ["--password-file", "/run/secrets/db"], ["--no-auth", "x.py"],
        ["--out", "leakhunt-run-20261121-181122"], ["/usr/lib/python3/site-packages/uvicorn/__main__.py"],
        ["--wheel", "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl"], ["postgres://shop@db:5432/shop"],
        ["http://host:8080/path?page=2"], ["--keyword", "primary"], ["manage.py", "runserver", "--noreload"],
        ["-c", "import time\nwhile True: time.sleep(1)"], ["--passes", "3"], ["--author", "someone"],
        ["libpython3.11.so.1.0"], ["--compare", "one", "two"], ["--secret"], ["--password", "--verbose"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_no_secret_stays(words: list[str]) -> None:
    assert masked(["python", *words]) == ["python", *words]


def test_any_text_is_taken() -> None:
    for text in (
        "",
        "=",
        "://",
        "a://@",
        "password",
        "password=",
        "'password'",
        "bearer ",
        "\udcff\0\n",
        "token:" * 1000,
    ):
        assert isinstance(masked_text(text), str)
        assert isinstance(masked([text, text]), list)
    assert len(masked_text("x=" + "a" * (1 << 20))) == (1 << 20) + 2
