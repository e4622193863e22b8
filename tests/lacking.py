"""`python -m tests.lacking landlock seccomp -- COMMAND …`: runs a command on a machine without
these layers of the sandbox.

A seccomp filter makes their system calls fail as they do where the kernel or a container has
them not; it holds for the command and all that it starts.  Nothing in the product is replaced.
"""

import ctypes
import os
import platform
import struct
import sys

from chat.services.sandbox import system_calls as calls

ENOSYS, EINVAL, EPERM = 38, 22, 1
# Name: (number on x86_64, number on aarch64), the first argument or None for any, the error.
REFUSED = {
    "landlock": ((444, 444), None, ENOSYS),
    "network_namespace": ((272, 97), None, EPERM),  # unshare
    "seccomp": ((157, 167), calls.PR_SET_SECCOMP, EINVAL),  # prctl
}


def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def program(names: list[str]) -> bytes:
    column = list(calls.AUDIT_ARCHITECTURE).index(platform.machine())
    steps = []
    for name in names:
        numbers, argument, error = REFUSED[name]
        steps.append(step(calls.LOAD, 0))
        refusal = [step(calls.RETURN, calls.RETURN_ERRNO | error)]
        if argument is not None:  # the low half of the first argument
            refusal = [step(calls.LOAD, 16), step(calls.JUMP_EQUAL, argument, 0, 1), *refusal]
        steps += [step(calls.JUMP_EQUAL, numbers[column], 0, len(refusal)), *refusal]
    return b"".join([*steps, step(calls.RETURN, calls.RETURN_ALLOW)])


def main() -> None:
    split = sys.argv.index("--")
    names, command = sys.argv[1:split], sys.argv[split + 1 :]
    calls.set_no_new_privileges()
    code = program(names)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    )
    address = ctypes.addressof(header)
    calls.checked(calls.libc.prctl(calls.PR_SET_SECCOMP, calls.SECCOMP_MODE_FILTER, address, 0, 0))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
