"""What memory the agent may take: half of what the machine, the container and the process's own limit leave."""

from . import __builtins__, ledger

BYTES_MIN = 64 << 20
PLENTY_BYTES = 1 << 35  # where a limit is not known, or is none
UNLIMITED_BYTES = 1 << 60
GROUPS = "/sys/fs/cgroup"


def limit_bytes():
    """Bytes that one walk may take."""
    left = [available_bytes(), address_space_bytes()] + [group_bytes(*group) for group in groups()]
    return max(min(left) // 2, BYTES_MIN)


def available_bytes():
    for line in ledger.read_file("/proc/meminfo").splitlines():
        if line.startswith(b"MemAvailable:"):
            return int(line.split()[1]) * 1024
    return PLENTY_BYTES


def address_space_bytes():
    """What `ulimit -v` leaves this process."""
    for line in ledger.read_file("/proc/self/limits").splitlines():
        if line.startswith(b"Max address space"):
            limit = line.split()[3]
            if limit.isdigit():
                return max(int(limit) - ledger.system_figures().get("virtual_bytes", 0), 0)
    return PLENTY_BYTES


def groups():
    """(folder, file of the limit, file of what is taken) of this process's control group and those above it."""
    found = []
    for line in ledger.read_file("/proc/self/cgroup").decode("utf-8", "replace").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found.extend(above(GROUPS, path, "memory.max", "memory.current"))
        elif "memory" in controllers.split(","):
            found.extend(above(GROUPS + "/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes"))
    return found


def above(mount, path, *files):
    """The folders from `path` up to the mount; in a container the path may be the host's, and only the mount exist."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return [("/".join([mount, *parts[:depth]]), *files) for depth in range(len(parts), -1, -1)]


def group_bytes(folder, limit_file, taken_file):
    """Bytes that a control group has left; what it only caches counts as left."""
    limit, taken = (ledger.read_file(folder + "/" + name).strip() for name in (limit_file, taken_file))
    if not limit.isdigit() or not taken.isdigit() or int(limit) >= UNLIMITED_BYTES:
        return PLENTY_BYTES
    cached = 0
    for line in ledger.read_file(folder + "/memory.stat").splitlines():
        if line.startswith(b"inactive_file "):
            cached = int(line.split()[1])
    return max(int(limit) - int(taken) + cached, 0)
