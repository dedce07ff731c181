"""One heap: its objects, what refers to them, what they are called and what they keep alive."""
