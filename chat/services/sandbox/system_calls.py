"""The Linux system calls that the sandbox needs and Python does not wrap, through ctypes.

Sources: prctl(2), seccomp(2), landlock(7), the kernel's ``include/uapi`` headers.
"""

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from functools import cache

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CLONE_THREAD = 0x00010000

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
if hasattr(libc, "prctl"):
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def checked(result: int) -> int:
    """``result``, or the OSError behind a negative one."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def set_death_signal(signal_number: int) -> None:
    """This process gets the signal when the thread that forked it ends."""
    checked(libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0))


def set_no_new_privileges() -> None:
    """No set-uid program gives this process or its children more rights; allows seccomp."""
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def enter_empty_network() -> None:
    """A network namespace of its own without any interface up."""
    checked(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET))


def give_back_memory() -> None:
    """Return the heap's free pages to the system, where the C library can (glibc)."""
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def prepare() -> None:
    """What a child would work out again, each for itself."""
    with contextlib.suppress(OSError):
        for may_execute in (False, True):
            seccomp_filter(MACHINE, may_execute=may_execute)
        landlock_version()


# --- Landlock: which files --------------------------------------------------------------------

LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
RULE_PATH_BENEATH = 1
CREATE_RULESET_VERSION = 1

FS_EXECUTE, FS_WRITE_FILE, FS_READ_FILE, FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
FS_REMOVE_FILE, FS_MAKE_REG = 1 << 5, 1 << 8
FS_TRUNCATE = 1 << 14  # ABI 3
# All file rights known to each ABI version: handled rights that no rule grants are denied.
FS_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
FS_RIGHTS_LATEST = (1 << 16) - 1  # ABI 5: ioctl on devices
NET_RIGHTS = 0b11  # ABI 4: bind and connect TCP
SCOPE_RIGHTS = 0b11  # ABI 6: abstract unix sockets, signals

READ = FS_READ_FILE
RUN = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR
WRITE = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_MAKE_REG | FS_REMOVE_FILE | FS_TRUNCATE


@cache
def landlock_version() -> int:
    """The kernel's Landlock ABI version.

    Raises:
        OSError: ENOSYS (not built in) or EOPNOTSUPP (switched off at boot).
    """
    size, flags = ctypes.c_size_t(0), ctypes.c_uint32(CREATE_RULESET_VERSION)
    return checked(libc.syscall(LANDLOCK_CREATE_RULESET, None, size, flags))


def restrict_files(rules: Iterable[tuple[str, int]]) -> None:
    """From now on this process opens only what is at or beneath the given paths.

    ``rules`` are (path, rights); a path that does not exist grants nothing.
    """
    version = landlock_version()
    handled = FS_RIGHTS_BY_ABI.get(version, FS_RIGHTS_LATEST)
    attributes = struct.pack(
        "=QQQ",
        handled,
        NET_RIGHTS if version >= 4 else 0,
        SCOPE_RIGHTS if version >= 6 else 0,
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = checked(
        libc.syscall(
            LANDLOCK_CREATE_RULESET,
            attributes,
            ctypes.c_size_t(size),
            ctypes.c_uint32(0),
        )
    )
    try:
        for path, rights in rules:
            add_path(ruleset, path, rights & handled)
        checked(libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))
    finally:
        os.close(ruleset)


def add_path(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= FS_EXECUTE | FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE
        rule = struct.pack("=Qi", rights, descriptor)
        checked(libc.syscall(LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


# --- seccomp: which system calls --------------------------------------------------------------

MACHINE = platform.machine()
AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Name: (number on x86_64, number on aarch64); None where the architecture has no such call.
DENIED_CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "kill": (62, 129),
    "tkill": (200, 130),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "fork": (57, None),
    "vfork": (58, None),
}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435

EPERM, ENOSYS = 1, 38
RETURN_ALLOW, RETURN_KILL, RETURN_ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
X32_BIT = 0x40000000


@cache
def seccomp_filter(machine: str, *, may_execute: bool) -> bytes:
    """A BPF program: the denied calls fail with EPERM, threads may start, processes may not.

    Raises:
        OSError: ENOSYS when the architecture's numbers are not known here.
    """
    if machine not in AUDIT_ARCHITECTURE:
        raise OSError(ENOSYS, f"no system call numbers for {machine}")
    column = list(AUDIT_ARCHITECTURE).index(machine)
    denied = [numbers[column] for numbers in DENIED_CALLS.values()]
    if not may_execute:
        denied += [59, 322] if machine == "x86_64" else [221, 281]

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    program = [
        step(LOAD, 4),  # seccomp_data.arch
        step(JUMP_EQUAL, AUDIT_ARCHITECTURE[machine], 1, 0),
        step(RETURN, RETURN_KILL),
        step(LOAD, 0),  # seccomp_data.nr
    ]
    if machine == "x86_64":
        program += [step(JUMP_GREATER_EQUAL, X32_BIT, 0, 1), step(RETURN, RETURN_KILL)]
    for number in denied:
        if number is not None:
            program += [step(JUMP_EQUAL, number, 0, 1), step(RETURN, RETURN_ERRNO | EPERM)]
    program += [
        # The flags of clone3 lie in memory, out of reach: libc falls back to clone.
        step(JUMP_EQUAL, CLONE3, 0, 1),
        step(RETURN, RETURN_ERRNO | ENOSYS),
        step(JUMP_EQUAL, CLONE[machine], 0, 3),
        step(LOAD, 16),  # low half of the first argument: clone's flags
        step(JUMP_SET, CLONE_THREAD, 1, 0),
        step(RETURN, RETURN_ERRNO | EPERM),
        step(RETURN, RETURN_ALLOW),
    ]
    return b"".join(program)


def restrict_calls(*, may_execute: bool) -> None:
    """Install the filter for this process and all that it starts.

    Raises:
        OSError: the kernel or the architecture has no seccomp filters.
    """
    program = seccomp_filter(MACHINE, may_execute=may_execute)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    )
    checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0))
