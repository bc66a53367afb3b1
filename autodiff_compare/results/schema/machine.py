"""The columns of a run and of the machines on which its cells were computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

#: The column ``machine`` of a row: `autodiff_compare.results.machines` says what distinguishes two machines.
MachineKey = Annotated[str, "key of the machine on which the row was made; no statistic joins two of them"]


@dataclass(frozen=True)
class Run:
    """One run of the program: its command, code, machine and settings."""

    run_id: Annotated[str, "name of the run's folder"]
    schema_version: Annotated[int, "version of this schema"]
    started_utc: Annotated[str, "start time, ISO 8601, UTC"]
    command: Annotated[str, "the command line"]
    git_commit: Annotated[str, "commit of the code, '+dirty' if files differ from it, empty outside a checkout"]
    code: Annotated[str, "digest of the program's and the user's source files; distinguishes uncommitted states"]
    seed: Annotated[int, "seed of all inputs and directions"]
    hostname: Annotated[str, "name of the machine"]
    cpu_model: Annotated[str, "name of the processor"]
    cpu_count: Annotated[int, "number of processors that the program may use"]
    memory_bytes: Annotated[int | None, "physical memory; empty where the system does not report it"]
    os: Annotated[str, "operating system and release"]
    python: Annotated[str, "Python version"]
    threads: Annotated[int, "threads requested for each backend"]
    device: Annotated[str, "device on which the backends computed: cpu or gpu"]
    onednn: Annotated[
        str,
        "whether TensorFlow computed with oneDNN, which has kernels and rounding of its own: on, off; "
        "'off on' if its workers differ; empty if no worker opened it, and before version 2",
    ]
    rounds: Annotated[int, "timing rounds requested for each launch"]
    versions: Annotated[
        str,
        "JSON: distribution -> version, for every package that can change a result or a timing; distribution@label for "
        "a package of another Python",
    ]
    environment: Annotated[
        str,
        "JSON: variable -> value, for the environment variables of the caller that reached workers and can change a "
        "number: paths of libraries and modules, devices, and those given by --env; empty before version 3",
    ]
    planned_cells: Annotated[
        int | None, "number of cells that the run was asked for; fewer rows in cells.csv: it was interrupted"
    ]


@dataclass(frozen=True)
class MachineRow:
    """A machine on which cells of the run were computed, with its software: times of two keys are never compared.

    Hosts that are alike have one key, and a row each. Before version 5 the only machine is that of the table ``runs``.
    """

    key: Annotated[
        str,
        "digest of all columns but hostname and onednn, with the memory rounded up to a usual size; the column machine "
        "of the other tables refers to it",
    ]
    hostname: Annotated[str, "name of the host"]
    cpu_model: Annotated[str, "name of the processor"]
    cpu_id: Annotated[
        str, "its vendor, family, model and stepping, and a digest of its instruction sets; empty before version 5"
    ]
    cpu_count: Annotated[int, "number of processors that the program may use"]
    affinity: Annotated[
        str,
        "these processors by highest clock rate, where the system tells it, and the number of their cores: "
        "'2 at 4.2 GHz of 8, on 1 core'; empty before version 5",
    ]
    memory_bytes: Annotated[int | None, "physical memory; empty where the system does not report it"]
    accelerators: Annotated[
        str, "models of the NVIDIA accelerators; empty if there are none, 'unknown' before version 5"
    ]
    os: Annotated[str, "operating system and release"]
    python: Annotated[str, "Python version"]
    versions: Annotated[str, "JSON: distribution -> version, as in the table runs"]
    environment: Annotated[str, "JSON: variable -> value, as in the table runs"]
    code: Annotated[str, "digest of the program's source files, without the user's; empty before version 5"]
    onednn: Annotated[str, "whether TensorFlow computed with oneDNN, as in the table runs"] = ""
