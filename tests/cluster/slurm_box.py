"""A real Slurm in one box: Debian's ``slurm-wlm`` and ``munge`` with one node, this machine, on the loopback interface.

``python -m tests.cluster.slurm_box`` installs the packages where it may, starts the daemons with a configuration in a
folder of their own, submits a job and ends them again. Nothing of the system's own configuration is read or changed.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

_DAEMONS = ("munged", "slurmctld", "slurmd")
_PACKAGES = ("slurm-wlm", "munge")
#: Seconds until a daemon answers, and until the node can take jobs.
_START_S = 60.0
_CONFIGURATION = """\
ClusterName=box
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=5
KillWait=5
ReturnToService=2
NodeName={name} NodeAddr=127.0.0.1 CPUs={processors} State=UNKNOWN
PartitionName=main Nodes={name} Default=YES MaxTime=60 State=UP
"""


class NoSlurmError(Exception):
    """Raised if no Slurm can be started here; the message is the reason."""


def installed() -> bool:
    """Return whether the daemons are installed."""
    return all(map(_found, _DAEMONS))


def _found(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def install() -> None:
    """Install the packages.

    Raises
    ------
    NoSlurmError
        If this user may not, the system is none with apt, or it fails.
    """
    if installed():
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise NoSlurmError(f"{' and '.join(_PACKAGES)} are not installed, and this user cannot install them by apt")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update",), ("install", "-y", "--no-install-recommends", *_PACKAGES)):
        done = subprocess.run(
            ["apt-get", "-q", *words], capture_output=True, text=True, env=environment, check=False, timeout=300
        )
        if done.returncode and words[0] == "install":
            raise NoSlurmError(f"apt-get install failed: {done.stderr.strip()[-200:]}")


@contextlib.contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Yield the environment variables of commands that speak to a Slurm of one node, which runs meanwhile.

    Raises
    ------
    NoSlurmError
        If it does not start.
    """
    if os.geteuid():
        raise NoSlurmError("slurmctld and slurmd are started by root only, which this user is not")
    with tempfile.TemporaryDirectory(prefix="slurm-box-") as text, contextlib.ExitStack() as started:
        folder = pathlib.Path(text)
        environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        _configure(folder)
        munge = [f"--{name}={folder / file}" for name, file in _MUNGE_FILES.items()]
        for command in (
            [_found("munged"), "--foreground", "--force", "--num-threads=1", *munge],
            [_found("slurmctld"), "-D", "-c"],
            [_found("slurmd"), "-D", "-N", platform.node().partition(".")[0]],
        ):
            started.enter_context(_running([str(word) for word in command], folder, environment))
            if "munged" in str(command[0]):
                _until(lambda: (folder / "munge.socket").exists(), folder)
        _until(lambda: "idle" in _told(["sinfo", "-h", "-o", "%t"], environment), folder)
        yield environment


_MUNGE_FILES = {
    "socket": "munge.socket",
    "key-file": "munge.key",
    "pid-file": "munge.pid",
    "log-file": "munge.log",
    "seed-file": "munge.seed",
}


def _configure(folder: pathlib.Path) -> None:
    folder.chmod(0o755)
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    controller, node = _free_ports(2)
    text = _CONFIGURATION.format(
        name=platform.node().partition(".")[0],
        folder=folder,
        controller=controller,
        node=node,
        processors=len(os.sched_getaffinity(0)),
    )
    (folder / "slurm.conf").write_text(text)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


@contextlib.contextmanager
def _running(command: list[str], folder: pathlib.Path, environment: dict[str, str]) -> Iterator[None]:
    with (folder / f"{pathlib.Path(command[0]).name}.out").open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _told(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=_START_S
    ).stdout.strip()


def _until(condition: object, folder: pathlib.Path) -> None:
    deadline = time.monotonic() + _START_S
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            said = [line for path in sorted(folder.glob("*.out")) for line in path.read_text().splitlines()[-3:]]
            raise NoSlurmError(f"the daemons of Slurm do not start here: {' | '.join(said)[-600:]}")
        time.sleep(0.2)


def main() -> int:
    """Install and start a Slurm, and print what a job of it says."""
    try:
        install()
        with slurm() as environment:
            done = subprocess.run(["srun", "hostname"], capture_output=True, text=True, env=environment, check=False)
    except NoSlurmError as error:
        print(error)
        return 3
    print(done.stdout + done.stderr, end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
