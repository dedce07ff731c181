"""What `--values` stores of a program's data, and that without it nothing is stored."""

from __future__ import annotations

from .target import Target, said

PROGRAM = """
class Secret(str):
    def __repr__(self):
        print("ran code of the program 1")
        return "no"
class Order:
    def __init__(self):
        self.customer = CUSTOMERS[0]
CUSTOMERS = ["ada-" + str(os.getpid()), "x" * 500, 1 << 400, 2.5, b"raw", Secret("hidden")]
orders = {("order-" + str(number)): Order() for number in range(3)}
for index, value in enumerate(CUSTOMERS):
    print("customer", id(value))
for key in orders:
    print("key", id(key))
print("pid", os.getpid())
take()
sys.stdout.flush()
os._exit(0)
"""


def test_short_texts_of_strings_bytes_and_numbers_are_stored_when_asked_for(target: Target) -> None:
    ran = target.run(PROGRAM, values=True)
    numbers = list(said(ran))
    told = ran.heaps[0].value_by_address
    pid = dict(numbers)["pid"]
    ada, long, huge, half, raw, secret = (number for word, number in numbers if word == "customer")
    assert (told[ada], told[half], told[raw]) == (f"'ada-{pid}'", "2.5", "b'raw'")
    assert told[long] == f"'{'x' * 80}'... (500)"
    assert told[huge] == "<int of 401 bits>"
    assert secret not in told  # a class of the program's own: its repr is the program's code
    assert [told[number] for word, number in numbers if word == "key"] == ["'order-0'", "'order-1'", "'order-2'"]
    assert "ran code of the program" not in ran.out


def test_no_value_is_stored_otherwise(target: Target) -> None:
    ran = target.run(PROGRAM)
    (snapshot,) = ran.processes[0].snapshots
    data = snapshot.read_bytes()
    assert not ran.heaps[0].snapshot.has("value.address")
    assert b"order-1" not in data and f"ada-{dict(said(ran))['pid']}".encode() not in data
