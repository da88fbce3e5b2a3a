"""Close the process of the PDF parser with what the system offers: Landlock, seccomp, a network of its own.

Each layer is put on where it is there; none is needed. `close` says which ones are on, and `promises` what they are
good for. They hold for threads and programs that are started later, and nothing takes them off.

Landlock leaves three things that can be read: programs and libraries, Python's packages, and this package. Papers come
in an anonymous file in memory (`inbox`), so that no folder of the user's has to be open. seccomp refuses what no parser
needs: every socket, opening for writing, changing a file's name, mode or owner, and looking into other processes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import shutil
import struct
import sys
import sysconfig
from pathlib import Path, PosixPath

_NEW_USER_AND_NETWORK = 0x10000000 | 0x40000000  # CLONE_NEWUSER | CLONE_NEWNET
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h

_OPEN_FILES = "/proc/self/fd/"

OUT_OF_MEMORY = 77
"""The exit status of a child that found no memory even to say so."""

LANDLOCK = "Landlock"
SECCOMP = "seccomp"
NETWORK = "network namespace"
CAPABILITIES = "no capabilities"


class InboxPath(PosixPath):
    """The inbox under the name by which the child opens it: a link that leads to no other name."""

    def resolve(self, strict: bool = False) -> InboxPath:  # noqa: ARG002, FBT001, FBT002 - pathlib's own arguments
        """The path as it is."""
        return self


def inbox() -> int | None:
    """A descriptor of a file in memory for `deliver`; None where the system has none that a child can open again."""
    if sys.platform != "linux" or not Path(_OPEN_FILES).is_dir():
        return None
    try:
        return os.memfd_create("paper")
    except OSError:
        return None


def deliver(path: Path, into: int) -> str:
    """Copy the file into the inbox; return the path under which the child reads it."""
    with path.open("rb") as file:
        os.ftruncate(into, 0)
        os.lseek(into, 0, os.SEEK_SET)
        while piece := file.read(1 << 20):
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(into, rest) :]
    return f"{_OPEN_FILES}{into}"


def as_path(name: str) -> Path:
    """The path that `deliver` returned, or any other, for code that takes paths."""
    return InboxPath(name) if name.startswith(_OPEN_FILES) else Path(name)


def close(*, has_inbox: bool) -> list[str]:
    """Put on every layer that is there; return their names. The process must have one thread only.

    Tesseract may still be started, where it is installed; it runs under the same rules.

    Args:
        has_inbox: whether papers come in an inbox; under Landlock no other file of the user's can be read.
    """
    if sys.platform != "linux":
        return []
    on = []
    libc = ctypes.CDLL(None, use_errno=True)
    program = shutil.which("tesseract")
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return []
    for name, layer in (
        (NETWORK, lambda: libc.unshare(_NEW_USER_AND_NETWORK) == 0),
        (LANDLOCK, lambda: has_inbox and _landlock(libc, program)),
        (CAPABILITIES, lambda: _no_capabilities(libc)),
        (SECCOMP, lambda: _seccomp(libc, programs=program is not None)),
    ):
        try:
            if layer():
                on.append(name)
        except (OSError, AttributeError, ValueError):  # an old C library, a system that we do not know
            continue
    return on


def promises(on: list[str]) -> dict[str, bool]:
    """What the layers keep a malicious PDF from, as sentences; False where no layer does."""
    return {
        "It cannot write, rename or delete files.": LANDLOCK in on or SECCOMP in on,
        "It cannot read your files, only this PDF and the system's programs and fonts.": LANDLOCK in on,
        "It cannot reach the network.": SECCOMP in on or NETWORK in on,
        "It cannot speak to other programs on this machine.": SECCOMP in on,
        "It cannot look into other programs.": LANDLOCK in on,
        "It cannot start programs, except Tesseract under the same rules.": LANDLOCK in on,
    }


# ---- Landlock (linux/landlock.h) ------------------------------------------------------------------------------------

_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights over files that a version knows."""

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_PATH_BENEATH = 1


def _landlock(libc: ctypes.CDLL, program: str | None) -> bool:
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    handled = _RIGHTS[max(known for known in _RIGHTS if known <= version)]
    # files; from version 4 on TCP's bind and connect; from 6 on abstract sockets and signals to others
    attributes = struct.pack("QQQ", handled, 3, 3)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        rules = dict.fromkeys(_readable(program), _READ_FILE | _READ_DIR)
        rules |= {path: rules.get(path, _READ_FILE) | _EXECUTE for path in _executable(program)}
        for path, rights in rules.items():
            _allow(libc, ruleset, path, rights)
        return bool(libc.syscall(_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this system
        return
    try:
        if not path.is_dir():
            rights &= ~_READ_DIR
        libc.syscall(_ADD, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _readable(program: str | None) -> set[Path]:
    """Programs, libraries and fonts of the system; Python's packages and ours; what Tesseract brings."""
    names = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/etc/ld.so.cache"]
    names += ["/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom", str(Path(__file__).parent)]
    names += [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    names += [str(Path(sysconfig.get_path("stdlib")).parent)]  # with the libraries that Python's own modules load
    names += [name for name in sys.path if Path(name).name in {"site-packages", "dist-packages", "lib-dynload"}]
    names += [os.environ[name] for name in ("TESSDATA_PREFIX",) if os.environ.get(name)]
    if program:
        prefix = Path(program).resolve().parents[1]
        names += [str(prefix / "lib"), str(prefix / "share")]
    return {Path(name).resolve() for name in names}


def _executable(program: str | None) -> set[Path]:
    """Tesseract and the loader that it names; everything that can be read, where it is a script."""
    if program is None:
        return set()
    real = Path(program).resolve()
    with real.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"#!"):
        return {path for path in _readable(program) if path.is_dir()} | {real}
    loaders = re.findall(rb"/[\x21-\x7e]*/ld[\x21-\x7e]*\.so[\x21-\x7e]*", head)
    return {real, *(Path(os.fsdecode(loader)).resolve() for loader in loaders)}


# ---- capabilities ---------------------------------------------------------------------------------------------------


def _no_capabilities(libc: ctypes.CDLL) -> bool:
    """Drop all: those of root, and those over the network namespace."""
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    return bool(libc.capset(header, bytes(24)) == 0)


# ---- seccomp --------------------------------------------------------------------------------------------------------

DENIED = """
    socket socketpair bind listen accept accept4 connect sendto sendmsg sendmmsg
    ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd kcmp
    mknodat mkdirat unlinkat symlinkat linkat renameat renameat2 truncate fchmod fchmodat fchmodat2 fchownat fchown
    utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
    rename mkdir rmdir creat link unlink symlink chmod chown lchown mknod utime utimes futimesat
    mount umount2 pivot_root chroot unshare setns open_tree move_mount fsopen fsconfig fsmount mount_setattr
    bpf perf_event_open userfaultfd keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register
    open_by_handle_at init_module finit_module delete_module kexec_load reboot swapon acct settimeofday sethostname
""".split()
PROGRAMS = "fork vfork execve execveat".split()
"""Denied as well where there is no program to start."""

_COMMON = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "pidfd_open": 434, "clone3": 435, "openat2": 437,
    "pidfd_getfd": 438, "mount_setattr": 442, "fchmodat2": 452,
}  # fmt: skip
_X86_64 = _COMMON | {
    "open": 2, "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "sendmsg": 46, "bind": 49, "listen": 50,
    "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "truncate": 76, "rename": 82, "mkdir": 83,
    "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92,
    "fchown": 93, "lchown": 94, "ptrace": 101, "utime": 132, "mknod": 133, "pivot_root": 155, "chroot": 161,
    "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169, "sethostname": 170,
    "init_module": 175, "delete_module": 176, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "utimes": 235, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "openat": 257, "mkdirat": 258, "mknodat": 259, "fchownat": 260,
    "futimesat": 261, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268,
    "unshare": 272, "utimensat": 280, "accept4": 288, "perf_event_open": 298, "prlimit64": 302,
    "open_by_handle_at": 304, "sendmmsg": 307, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
    "kcmp": 312, "finit_module": 313, "renameat2": 316, "bpf": 321, "execveat": 322, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = _COMMON | {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "umount2": 39,
    "mount": 40, "pivot_root": 41, "truncate": 45, "chroot": 51, "fchmod": 52, "fchmodat": 53, "fchownat": 54,
    "fchown": 55, "openat": 56, "utimensat": 88, "acct": 89, "unshare": 97, "kexec_load": 104, "init_module": 105,
    "delete_module": 106, "ptrace": 117, "reboot": 142, "sethostname": 161, "settimeofday": 170, "socket": 198,
    "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "sendto": 206, "sendmsg": 211,
    "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "execve": 221, "swapon": 224,
    "perf_event_open": 241, "accept4": 242, "prlimit64": 261, "open_by_handle_at": 265, "setns": 268,
    "sendmmsg": 269, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273,
    "renameat2": 276, "bpf": 280, "execveat": 281, "userfaultfd": 282,
}  # fmt: skip
MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}  # linux/audit.h

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # SECCOMP_RET_…
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # linux/bpf_common.h, 32 bits at a time
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_THREAD, _NAMESPACES = 0x00010000, 0x7E020000  # CLONE_THREAD; every CLONE_NEW…


def _argument(number: int) -> int:
    return 16 + 8 * number  # struct seccomp_data, the lower half


def _filter(machine: str, *, programs: bool) -> bytes:
    """The filter as the kernel reads it: forbidden calls fail with EPERM, so that a library may do without."""
    audit, numbers = MACHINES[machine]
    refuse = _ERRNO | errno.EPERM
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, refuse),  # another architecture's calls
        (_LOAD, 0, 0, 0), (_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, refuse),  # x32's
    ]  # fmt: skip

    def fail(name: str, value: int = errno.EPERM) -> None:
        if name in numbers:
            code.extend([(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ERRNO | value)])

    def fail_where(name: str, argument: int, mask: int, *, set_: bool) -> None:
        """Refuse the call where the argument has, or has not, any of the bits."""
        if name in numbers:
            code.extend([
                (_EQUAL, 0, 5, numbers[name]), (_LOAD, 0, 0, _argument(argument)), (_AND, 0, 0, mask),
                (_EQUAL, 0, 1, 0) if set_ else (_EQUAL, 1, 0, 0),
                (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, refuse),
            ])  # fmt: skip

    for name in (*DENIED, *(() if programs else PROGRAMS)):
        fail(name)
    fail("openat2", errno.ENOSYS)  # their flags lie in memory, where a filter cannot look; the older calls serve
    fail("clone3", errno.ENOSYS)
    fail_where("open", 1, _WRITING, set_=True)
    fail_where("openat", 2, _WRITING, set_=True)
    fail_where("prlimit64", 0, 0xFFFFFFFF, set_=True)  # of another process
    if programs:
        fail_where("clone", 0, _NAMESPACES, set_=True)
    else:
        fail_where("clone", 0, _THREAD, set_=False)
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *one) for one in code)


def _seccomp(libc: ctypes.CDLL, *, programs: bool) -> bool:
    machine = platform.machine()
    if machine not in MACHINES or sys.maxsize < 2**32:
        return False
    code = ctypes.create_string_buffer(_filter(machine, programs=programs))
    program = struct.pack("HxxxxxxP", (len(code) - 1) // 8, ctypes.addressof(code))  # struct sock_fprog
    return bool(libc.prctl(_SECCOMP, _FILTER, program, 0, 0) == 0)
