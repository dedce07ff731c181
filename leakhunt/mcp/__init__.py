"""What leakhunt knows of runs, for programs that speak the Model Context Protocol: read-only, and bounded.

folder.py   which files may be read: those below one folder, links resolved
answers.py  the answers as plain values, cut to a size
server.py   the official SDK's server around them
"""
