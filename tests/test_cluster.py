"""Which process of a cluster this one is: TF_CONFIG, srun, --workers, and what is wrong with them."""

import json

import pytest

from textgen.config import WorkersConfig
from textgen.errors import SettingError, WorkerError
from textgen.workers.cluster import LOCAL, Cluster, find_cluster

CHIEF_AND_TWO = {"chief": ["a:1"], "worker": ["b:2", "a:3"]}
STEP = {
    "SLURM_PROCID": "0",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_LOCALID": "0",
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "1",
}
STEP |= {"SLURM_STEP_NODELIST": "n1"}


def tf_config(cluster: object, kind: object = "worker", index: object = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def found(environment: dict[str, str], workers: int | None = None):
    return find_cluster(WorkersConfig(workers=workers), environment)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (tf_config(CHIEF_AND_TWO, "chief"), (0, 3, ("a", 1), 0)),
        (tf_config(CHIEF_AND_TWO, "worker", 0), (1, 3, ("a", 1), 0)),
        (tf_config(CHIEF_AND_TWO, "worker", 1), (2, 3, ("a", 1), 1)),
        (tf_config({"worker": ["b:2", "c:3"]}, "worker", 1), (1, 2, ("b", 2), 0)),
        (tf_config({"worker": ["b:2", "b:3"]}, "worker", "1"), (1, 2, ("b", 2), 1)),
        (tf_config({"master": ["m-0.ns.svc:2222"], "worker": ["[::1]:65535"]}), (1, 2, ("m-0.ns.svc", 2222), 0)),
        (tf_config({"worker": ["[::1]:22", "c:3"]}, "worker", 0), (0, 2, ("::1", 22), 0)),
        (STEP, (0, 3, ("n1", 20_113), 0)),
        (STEP | {"SLURM_PROCID": "2", "SLURM_LOCALID": "1"}, (2, 3, ("n1", 20_113), 1)),
        (STEP | {"SLURM_STEP_NODELIST": "gpu-[007-009,12],m3"}, (0, 3, ("gpu-007", 20_113), 0)),
        (STEP | {"SLURM_STEP_NODELIST": "gpu[2]-ib,m3"}, (0, 3, ("gpu2-ib", 20_113), 0)),
        (STEP | {"SLURM_STEP_NODELIST": "m3,gpu[1-2]"}, (0, 3, ("m3", 20_113), 0)),
        (STEP | {"SLURM_STEP_NODELIST": "rack[1-2]n[03,5],m3"}, (0, 3, ("rack1n03", 20_113), 0)),
        (tf_config(CHIEF_AND_TWO | {"ps": [], "evaluator": []}, "worker", 1), (2, 3, ("a", 1), 1)),
    ],
)
def test_a_process_finds_its_place_and_its_chief(environment, expected):
    cluster = found(environment)
    assert (cluster.index, cluster.count, cluster.chief, cluster.local_index) == expected
    assert not cluster.is_local
    assert found(environment, cluster.count) == cluster  # which --workers may repeat


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TF_CONFIG": ""},
        {"TF_CONFIG": "{}"},
        {"TF_CONFIG": '{"environment": "cloud"}'},
        tf_config({"chief": ["localhost:2222"]}, "chief"),
        STEP | {"SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"},  # a batch script, outside of srun
    ],
    ids=str,
)
def test_where_there_are_no_others_a_process_trains_alone(environment):
    assert found(environment) is found(environment, 1) is None


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({LOCAL: "1"}, f"{LOCAL} is for the processes that `workers` starts; do not set it"),
        ({LOCAL: "{}"}, f"{LOCAL} is for the processes that `workers` starts; do not set it"),
        ({"TF_CONFIG": "{'cluster'"}, "TF_CONFIG is not JSON: "),
        ({"TF_CONFIG": "[" * 100_000}, "TF_CONFIG is not JSON: "),
        ({"TF_CONFIG": "[1]"}, "TF_CONFIG must be like "),
        ({"TF_CONFIG": '{"cluster": ["a:1"]}'}, "TF_CONFIG must be like "),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:2"]}}'}, "TF_CONFIG must be like "),
        (
            tf_config(CHIEF_AND_TWO, "worker", 2),
            "TF_CONFIG says that this is worker 2, which its cluster does not name.",
        ),
        (tf_config(CHIEF_AND_TWO, "worker", -1), "TF_CONFIG says that this is worker -1, "),
        (tf_config(CHIEF_AND_TWO, "worker", True), "TF_CONFIG says that this is worker True, "),
        (tf_config(CHIEF_AND_TWO, ["x"], None), "TF_CONFIG says that this is ['x'] None, "),
        (tf_config(CHIEF_AND_TWO, "evaluator"), "TF_CONFIG says that this is evaluator 0, "),
        (tf_config(CHIEF_AND_TWO | {"ps": ["d:4"]}), "TF_CONFIG names ps; textgen has a chief and workers only"),
        (tf_config({"worker": "a:1"}), "TF_CONFIG must list the addresses of worker. Received: a:1"),
        (tf_config({"worker": ["a", "b:1"]}), "TF_CONFIG must have addresses like host:port. Received: a"),
        (tf_config({"worker": ["a:65536", "b:1"]}), "TF_CONFIG must have addresses like host:port. "),
        (tf_config({"worker": ["a..b:1", "b:1"]}), "TF_CONFIG must have addresses like host:port. Received: a..b:1"),
        (tf_config({"worker": ["b:1", f"{'é' * 64}:1"]}), "TF_CONFIG must have addresses like host:port. "),
        (tf_config({"worker": ["http://a:1", "b:1"]}), "TF_CONFIG must have addresses like host:port. "),
        (
            tf_config({"worker": ["a:1\x1b[2J", "b:1"]}),
            "TF_CONFIG must have addresses like host:port. Received: 'a:1\\x1b",
        ),
        (tf_config({"worker": ["a:1", "a:1"]}), "TF_CONFIG names an address twice"),
        (STEP | {"SLURM_PROCID": "3"}, "srun says that this is task 3 of 3, which are counted from 0"),
        (STEP | {"SLURM_JOB_ID": "x"}, "these variables of srun must be whole numbers. Received: SLURM_PROCID=0, "),
        (STEP | {"SLURM_STEP_NODELIST": "[1"}, "SLURM_STEP_NODELIST must list nodes. Received: [1"),
        (STEP | {"SLURM_STEP_NODELIST": "n" * 64}, "SLURM_STEP_NODELIST must list nodes. Received: nnn"),
        (STEP | {"SLURM_STEP_NODELIST": "(null)"}, "SLURM_STEP_NODELIST must list nodes. Received: (null)"),
        (STEP | {"SLURM_STEP_NODELIST": ""}, "SLURM_STEP_NODELIST must list nodes. "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(environment, line):
    with pytest.raises(SettingError) as problem:
        found(environment)
    assert str(problem.value).startswith(line)
    assert str(problem.value).isprintable()


@pytest.mark.parametrize(
    ("gpus", "cluster", "chosen"),
    [
        (0, {"local_index": 3, "is_local": True}, None),
        (1, {"local_index": 0, "is_local": True}, 0),
        (1, {"local_index": 1, "is_local": True}, "worker 1 has no GPU: there are 1, and one worker a GPU"),
        (1, {"local_index": 1}, None),  # srun has chosen it
        (4, {"local_index": 2}, 2),
        (4, {"local_index": 4}, "worker 1 has no GPU: there are 4, and one worker a GPU"),
    ],
)
def test_each_worker_of_a_machine_takes_a_gpu_of_its_own(gpus, cluster, chosen, monkeypatch):
    from textgen.workers import communicator

    taken = []
    monkeypatch.setattr(communicator.tf.config, "list_physical_devices", lambda kind: list(range(gpus)))
    monkeypatch.setattr(communicator.tf.config, "set_visible_devices", lambda gpu, kind: taken.append(gpu))
    cluster = Cluster(1, 9, ("a", 1), **cluster)
    if isinstance(chosen, str):
        with pytest.raises(WorkerError, match=chosen):
            communicator.choose_gpu(cluster)
    else:
        communicator.choose_gpu(cluster)
        assert taken == ([] if chosen is None else [chosen])


def test_the_workers_that_a_user_asks_for_must_be_those_that_there_are():
    with pytest.raises(SettingError, match="`workers=2` contradicts TF_CONFIG, which names 3 workers"):
        found(tf_config(CHIEF_AND_TWO), 2)
    with pytest.raises(SettingError, match="`workers=4` contradicts srun, which names 3 workers"):
        found(STEP, 4)
    for workers in (0, 1025):
        with pytest.raises(SettingError, match="`workers` must be at "):
            WorkersConfig(workers=workers)


def test_a_worker_that_the_chief_starts_knows_what_only_both_know():
    chief = found({}, 3)
    assert (chief.index, chief.count, chief.chief, chief.is_local) == (0, 3, ("127.0.0.1", 0), True)
    worker = found({LOCAL: chief.to_json(2), **tf_config(CHIEF_AND_TWO)})
    assert (worker.index, worker.count, worker.local_index, worker.is_local) == (2, 3, 2, True)
    assert worker.key == chief.key != found({}, 3).key


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "Graph execution error:\n\nCollective ops is aborted by: Collective ops is aborted by: no route\n"
            "Additional GRPC error information from remote target /job:worker/replica:0/task:2 while calling /x:\n"
            "The error could be from a previous operation. Restart your program to reset.\n"
            "\t [[{{node CollectiveReduceV2}}]] [Op:__inference__run_1]",
            "no route (while worker 2 was called)",
        ),
        ("Graph execution error:\n\nout of memory\n\t [[{{node x}}]] [Op:y]", "out of memory"),
        ("", "ValueError"),
    ],
)
def test_an_error_of_tensorflow_is_told_by_its_plainest_line(said, expected):
    from textgen.workers.communicator import last_line

    assert last_line(ValueError(said)) == expected
