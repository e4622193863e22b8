"""The layers of the sandbox: what each stops, whether this machine has it, and how they are taken
on.  A child has them all before it sees the untrusted file."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from chat.services.sandbox import system_calls

SYSTEM_DIRECTORIES = ("/usr", "/lib", "/lib64", "/bin", "/opt", "/nix/store")
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/proc/self/maps",
    "/sys/devices/system/cpu",
    "/etc/fonts",
)
STATUS = "/proc/self/status"
# What glibc asks the kernel for at least, and a picture in high definition.
ONE_REQUEST_BYTES = 8 * 1024**2
LIBRARY_PAGES_BYTES = 32 * 1024**2
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use; ``output_bytes`` bounds each file that it writes.

    ``work`` begins the names of the settings that these come from: ``MEDIA_WALL_SECONDS``.
    """

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    output_bytes: int
    work: str = "MEDIA"

    def doubled(self) -> "Limits":
        """Twice the time, for a second chance."""
        return replace(self, wall_seconds=self.wall_seconds * 2, cpu_seconds=self.cpu_seconds * 2)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one child may do: read ``source``, write beneath ``directory``, run a tool or not."""

    source: str
    directory: str
    may_execute: bool
    limits: Limits


# What a layer gets that does not depend on the file.
NOTHING = Confinement("", "", may_execute=False, limits=Limits(0, 0, 0, 0))


def shared_bytes() -> tuple[int, int]:
    """Of this process, address space and resident memory: /proc/self/statm counts pages."""
    # As bytes, past Python's layers of files: each is a page to copy in every child.
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    mapped, resident = os.read(statm, 256).split()[:2]
    os.close(statm)
    return int(mapped) * resource.getpagesize(), int(resident) * resource.getpagesize()


def memory_ran_short() -> bool:
    """Whether this child's address space came so near to its limit that a request failed."""
    limit, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return False
    try:
        with open(STATUS, "rb") as file:  # a codec might have to be imported first, which fails
            peak = next(line.split()[1] for line in file if line.startswith(b"VmPeak:"))
    except (OSError, StopIteration):
        return False
    return int(peak) * 1024 > limit - ONE_REQUEST_BYTES


def limit_resources(confinement: Confinement) -> None:
    limits = confinement.limits
    for kind, amount in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(kind, (amount, amount))
    if sys.platform == "linux":  # macOS accepts the call and ignores or refuses it
        amount = limits.memory_bytes
        if not confinement.may_execute:
            # A tool starts from nothing; a task begins with what it shares with the helper, of
            # which what is resident counts, and what becomes so when a library is used.
            mapped, resident = shared_bytes()
            amount += mapped - resident - LIBRARY_PAGES_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (amount, amount))


def end_with_parent(_confinement: Confinement) -> None:
    system_calls.set_death_signal(signal.SIGKILL)


def gain_no_privileges(_confinement: Confinement) -> None:
    system_calls.set_no_new_privileges()


def leave_network(_confinement: Confinement) -> None:
    system_calls.enter_empty_network()


def confine_files(confinement: Confinement) -> None:
    rules = [(path, system_calls.READ | system_calls.FS_WRITE_FILE) for path in DEVICES]
    rules.append((confinement.directory, system_calls.WRITE))
    if confinement.source:
        rules.append((confinement.source, system_calls.READ))
    if not confinement.may_execute:
        rules.append((STATUS, system_calls.READ))
    else:
        rules += [(path, system_calls.RUN) for path in SYSTEM_DIRECTORIES]
        rules += [(path, system_calls.READ | system_calls.FS_READ_DIR) for path in SYSTEM_FILES]
    system_calls.restrict_files(rules)


def confine_calls(confinement: Confinement) -> None:
    system_calls.restrict_calls(may_execute=confinement.may_execute)


class Stage(Enum):
    """When a layer is taken on, as early as it can be."""

    HELPER = "by the helper, for all of its children"
    FORK = "by a child, before it knows its file"
    FILE = "by a child, for its file"


@dataclass(frozen=True, slots=True)
class Layer:
    """``apply`` raises OSError where the machine lacks the layer; order matters (see LAYERS)."""

    name: str
    stops: str
    apply: Callable[[Confinement], None]
    stage: Stage = Stage.FILE


# Within a stage they are taken on in this order: no new privileges before Landlock and seccomp,
# seccomp last, since it denies what the others need.  The network that the children of a helper
# share has nothing in it; to make one for each, and to clear it away, takes locks of the whole
# kernel, for which children waited up to 19 ms.
LAYERS = (
    Layer("limits", "memory, CPU, file size, open files, core dumps", limit_resources),
    Layer("death_signal", "children of a killed worker", end_with_parent, Stage.FORK),
    Layer("no_new_privileges", "set-uid programs", gain_no_privileges, Stage.FORK),
    Layer("network_namespace", "the network", leave_network, Stage.HELPER),
    Layer("landlock", "files besides this input and this output", confine_files),
    Layer("seccomp", "sockets, signals, ptrace, new processes", confine_calls),
)


def missing_layers(directory: str) -> dict[str, str]:
    """{name: reason} of the layers that this machine does not have, each tried in a child."""
    limits = Limits(wall_seconds=5, cpu_seconds=5, memory_bytes=1024**3, output_bytes=1024**2)
    confinement = Confinement("", directory, may_execute=False, limits=limits)
    return {layer.name: reason for layer in LAYERS if (reason := why_missing(layer, confinement))}


def why_missing(layer: Layer, confinement: Confinement) -> str:
    """Empty when a forked child could take the layer on, else the reason."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        reason = ""
        try:
            if sys.platform == "linux":
                system_calls.set_no_new_privileges()
            layer.apply(confinement)
        except (OSError, AttributeError, ValueError) as error:
            reason = str(error) or type(error).__name__
        os.write(writing, reason.encode()[:500])
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as pipe:
        reason = pipe.read()
    _pid, status = os.waitpid(child, 0)
    return reason or ("" if status == 0 else "taking it on ended the process")


def take_on(names: frozenset[str], stage: Stage, confinement: Confinement = NOTHING) -> None:
    """Take on the named layers of this stage, all of them or an OSError naming the one that
    failed."""
    for layer in LAYERS:
        if layer.name not in names or layer.stage is not stage:
            continue
        try:
            layer.apply(confinement)
        except OSError as error:
            raise OSError(error.errno, f"sandbox layer {layer.name}: {error}") from error
