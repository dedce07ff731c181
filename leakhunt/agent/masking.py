"""Secrets on a command line, hidden before it is stored or shown: by what options are called, by what they look like.

Hidden are values of options and assignments named as secrets are (`--password X`, `API_TOKEN=X`, `"secret": "X"`),
passwords in URLs (`postgres://user:X@host`), what follows "Bearer" and "Basic", and long texts that look random. Rather
too much is hidden than too little: nothing depends on a command line but its reader.
"""

from . import __builtins__

HIDDEN = "***"

_NAMES = frozenset(("pass", "pwd", "pw", "pat", "auth", "authorization", "cookie", "jwt", "secrets", "credentials"))
_ENDINGS = ("password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "accesskey", "secretkey",
            "privatekey", "signingkey", "authkey", "credential", "accountkey", "connectionstring")  # fmt: skip
_SCHEMES = frozenset(("bearer", "basic"))
_BEFORE_A_SECRET = ("authorization:", ":bearer", ":basic")
_RANDOM_LENGTH = 20
_ENDS_A_VALUE = " \t\r\n,;&)}]|<>"


def masked(words):
    """The words of a command line, as a list, with its secrets hidden."""
    found, hides_next = [], False
    for word in words:
        name, equals, value = word.partition("=")
        lower, is_option = word.lower(), word.startswith("-")
        if hides_next and lower in _SCHEMES:
            found.append(word)
            continue
        is_named = is_option and " " not in name and "\n" not in name and _is_secret(name)
        if hides_next and not is_option:
            found.append(HIDDEN)
        elif is_named and value:
            found.append(name + equals + HIDDEN)
        else:
            found.append(masked_text(word))
        hides_next = (is_named and not equals) or lower == "bearer" or lower.endswith(_BEFORE_A_SECRET)
    return found


def masked_line(line):
    """As `masked`, for words that were joined by blanks."""
    return masked_text(" ".join(masked(line.split(" "))))


def masked_text(text):
    """Any text, with its secrets hidden."""
    return _without_random(_without_assigned(_without_urls(text)))


def _is_secret(name):
    """Whether an option or a variable of this name holds a secret: by its last word, "no-" apart."""
    words = name.lower().strip("-\"'").replace("_", "-").replace(".", "-").split("-")
    if words[0] in ("no", "without"):
        return False
    return words[-1] in _NAMES or "".join(words).endswith(_ENDINGS)


def _without_urls(text):
    """scheme://user:password@host without the password; all up to the last @: a password may hold any."""
    found, rest = "", text
    while True:
        before, scheme, after = rest.partition("://")
        if not scheme:
            return found + rest
        end = next((place for place, letter in enumerate(after) if letter in " \t\r\n\"'"), len(after))
        address, rest = after[:end], after[end:]
        begin, is_there, host = address.rpartition("@")
        user, colon, _ = begin.partition(":")
        if is_there and colon:
            address = user + ":" + HIDDEN + "@" + host
        found += before + scheme + address


def _without_assigned(text):
    """name=value, name: value and "name": "value" without the value where the name is that of a secret."""
    found, place = [], 0
    while place < len(text):
        begin = place
        while place < len(text) and (text[place].isalnum() or text[place] in "_-"):
            place += 1
        if begin == place:
            found.append(text[place])
            place += 1
            continue
        name = text[begin:place]
        found.append(name)
        value = _value_after(text, place) if _is_secret(name) or name.lower() in _SCHEMES else None
        if value is None and name.lower() in _SCHEMES and text[place : place + 1] == " ":
            value = place + 1
        if value is not None:
            end = _end_of_value(text, value)
            if end > value:
                found += [text[place:value], HIDDEN]
                place = end
    return "".join(found)


def _value_after(text, place):
    """Where the value begins that is assigned to the name before `place`; None when nothing is."""
    for step in ("\"'", " ", "=:", " ", "\"'"):
        begin = place
        while place < len(text) and text[place] in step and (step != "\"'" or place == begin):
            place += 1
        if step == "=:" and place == begin:
            return None
    return place


def _end_of_value(text, place):
    quote = text[place - 1] if text[place - 1 : place] in ("'", '"') else ""
    begin = place
    while place < len(text) and (text[place] != quote if quote else text[place] not in _ENDS_A_VALUE + "\"'"):
        place += 1
    if text[begin:place].lower() in _SCHEMES and text[place : place + 1] == " ":
        return _end_of_value(text, place + 1)
    return place


def _without_random(text):
    """Long runs of letters and digits that look random: the kind of character changes all the time."""
    found, run = [], []
    for letter in text + "\n":
        if letter.isalnum() or letter in "_-+":
            run.append(letter)
            continue
        found.append(HIDDEN if _is_random(run) else "".join(run))
        found.append(letter)
        run = []
    return "".join(found)[:-1]


def _is_random(run):
    if len(run) < _RANDOM_LENGTH:
        return False
    changes = groups = 0
    last = ""
    for letter in run:
        kind = "digit" if letter.isdigit() else "upper" if letter.isupper() else "lower" if letter.isalpha() else ""
        if last and kind and kind != last:
            changes += 1
            groups += kind == "digit"
        last = kind
    return (groups >= 2 and 7 * changes >= len(run)) or (groups == 1 and 3 * changes >= len(run))
