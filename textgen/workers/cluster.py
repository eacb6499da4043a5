"""Which process of a cluster this one is, and where its chief listens.

`TF_CONFIG` is what Kubeflow, Vertex AI and Ray Train set: the addresses of all, the chief's first. `srun` sets
variables for each task of a step; there the chief is on the first node, and its port follows from the numbers of the
job and the step. The addresses of the others are told when they come.
"""

import dataclasses
import json
import os
import re
import secrets
from collections.abc import Mapping
from typing import Any

from textgen.config import WorkersConfig
from textgen.errors import SettingError
from textgen.messages import counted, shown

CHIEFS, WORKER = ("chief", "master"), "worker"
ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(?P<port>[1-9][0-9]{0,4})")
LOCAL = "TEXTGEN_WORKER"  # what a process that --workers started finds out from
FIRST_PORT, NUM_PORTS = 20_000, 12_000  # of the chief under srun; below those that systems hand out


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes that train together, as one of them knows them."""

    index: int  # of this process; 0 is the chief
    count: int
    chief: tuple[str, int]  # host and port where it listens; port 0 is any
    addresses: tuple[str, ...] = ()  # of all, host:port, where they are known before they come
    local_index: int = 0  # of this process among those of its machine
    key: str = ""  # that a worker has to know
    is_local: bool = False  # whether the chief has started the others, on this machine

    def name_of(self, index: int) -> str:
        """How a worker is called in a message."""
        place = f" ({shown(self.addresses[index])})" if self.addresses else ""
        return f"worker {index}{place}" if index else f"the chief{place}"

    def rows_of(self, batch_size: int) -> list[range]:
        """The rows of a batch that each process has. Raises SettingError where there are more processes than rows."""
        if self.count > batch_size:
            raise SettingError(
                f"a batch of {counted(batch_size, 'row')} cannot be cut over {self.count} workers. "
                f"Raise `batch_size`, or take at most {counted(batch_size, 'worker')}"
            )
        ends = [batch_size * (index + 1) // self.count for index in range(self.count)]
        return [range(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]

    def described(self, batch_size: int) -> str:
        """A line that says who trains."""
        counts = sorted({len(rows) for rows in self.rows_of(batch_size)})
        each = " or ".join(map(str, counts))
        return f"{self.count} workers train this model, each with {each} of the {batch_size} rows of a batch"

    def to_json(self, index: int) -> str:
        """What the worker `index`, started by a local chief, is told; `find_cluster` reads it."""
        return json.dumps({"index": index, "count": self.count, "port": self.chief[1], "key": self.key})


def find_cluster(config: WorkersConfig, environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that this process is of; None where it trains alone.

    Raises:
        SettingError: `TF_CONFIG` or the variables of `srun` are not what they should be, or contradict `workers`.
    """
    if LOCAL in environment:
        try:
            told = json.loads(environment[LOCAL])
            chief = ("127.0.0.1", int(told["port"]))
            return Cluster(int(told["index"]), int(told["count"]), chief, (), int(told["index"]), told["key"], True)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SettingError(f"{LOCAL} is for the processes that `workers` starts; do not set it") from None
    for source, read in (("TF_CONFIG", _from_tf_config), ("srun", _from_srun)):
        found = read(environment)
        if found is not None and found.count > 1:
            if config.workers not in (None, found.count):
                raise SettingError(
                    f"`workers={config.workers}` contradicts {source}, which names {found.count} workers"
                )
            return found
    if config.workers in (None, 1):
        return None
    return Cluster(0, config.workers, ("127.0.0.1", 0), key=secrets.token_hex(16), is_local=True)


def _from_tf_config(environment: Mapping[str, str]) -> Cluster | None:
    text = environment.get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise SettingError(f"TF_CONFIG is not JSON: {shown(problem)}") from None
    cluster, task = _object(document, "TF_CONFIG").get("cluster"), document.get("task")
    if not cluster:
        return None
    cluster, task = _object(cluster, "its cluster"), _object(task, "its task")
    if others := sorted(role for role in set(cluster) - {*CHIEFS, WORKER} if cluster[role]):
        raise SettingError(f"TF_CONFIG names {shown(others[0])}; textgen has a chief and workers only")
    places = [(role, number) for role in (*CHIEFS, WORKER) for number in range(len(_addresses(cluster, role)))]
    addresses = [address for role in (*CHIEFS, WORKER) for address in _addresses(cluster, role)]
    role, number = task.get("type"), task.get("index")
    named = [f"{role} {number}" for role, number in places]
    if f"{role} {number}" not in named:
        known = ", ".join(named[:8]) + (" ..." if len(named) > 8 else "")
        raise SettingError(
            f"TF_CONFIG says that this is {shown(role)} {shown(number)}, which its cluster does not name. "
            f"There are: {known}"
        )
    if len(set(addresses)) < len(addresses):
        raise SettingError("TF_CONFIG names an address twice")
    index = named.index(f"{role} {number}")
    hosts = [_split(address)[0] for address in addresses]
    return Cluster(index, len(addresses), _split(addresses[0]), tuple(addresses), hosts[:index].count(hosts[index]))


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingError(
            f'TF_CONFIG must be like {{"cluster": {{...}}, "task": {{...}}}}. Received as {what}: {shown(value)}'
        )
    return value


def _addresses(cluster: Mapping[str, Any], role: str) -> list[str]:
    found = cluster.get(role, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise SettingError(f"TF_CONFIG must list the addresses of {role}. Received: {shown(found)}")
    for address in found:
        _split(address)
    return found


def _split(address: str) -> tuple[str, int]:
    match = ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65_535 or not _can_be_looked_up(match["host"]):
        raise SettingError(f"TF_CONFIG must have addresses like host:port. Received: {shown(address)}")
    return match["host"].strip("[]"), int(match["port"])


def _can_be_looked_up(host: str) -> bool:
    try:
        host.encode("idna")  # as Python does
    except UnicodeError:
        return False
    return True


def _from_srun(environment: Mapping[str, str]) -> Cluster | None:
    """None outside of a step of several tasks: in a batch script these variables are those of the script itself."""
    names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_JOB_ID", "SLURM_STEP_ID")
    if "SLURM_STEP_NUM_TASKS" not in environment or "SLURM_STEP_NODELIST" not in environment:
        return None
    numbers = [environment.get(name, "") for name in names]
    if not all(number.isdecimal() and len(number) < 19 for number in numbers):
        given = ", ".join(f"{name}={shown(number)}" for name, number in zip(names, numbers, strict=True))
        raise SettingError(f"these variables of srun must be whole numbers. Received: {given}")
    index, count, local_index, job, step = map(int, numbers)
    if index >= count:
        raise SettingError(f"srun says that this is task {index} of {count}, which are counted from 0")
    port = FIRST_PORT + (16 * job + step) % NUM_PORTS
    return Cluster(index, count, (_first_host(environment["SLURM_STEP_NODELIST"]), port), (), local_index)


def _first_host(nodes: str) -> str:
    """The first of the nodes that srun lists, as in `n[07-09,12],m3` or `rack[1-2]n[3-4]`."""
    match = re.match(r"((?:[\w.-]|\[\d[\d,-]*\])+)(?:,|$)", nodes)
    host = "" if match is None else re.sub(r"\[(\d+)[^]]*\]", r"\1", match[1])
    if not host or not _can_be_looked_up(host):
        raise SettingError(f"SLURM_STEP_NODELIST must list nodes. Received: {shown(nodes)}")
    return host
