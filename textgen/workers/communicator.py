"""Sums over all workers, by the collectives of TensorFlow's MultiWorkerMirroredStrategy.

The strategy connects the processes and adds, and does nothing else: variables are plain ones that each process has for
itself, the step is ours, and Keras does not know of it.

NOTE: once there is a strategy, TensorFlow hears SIGTERM in the place of Python's handlers, which are set again.
"""

import contextlib
import re
import signal
import threading
from collections.abc import Sequence

import tensorflow as tf

from textgen.errors import WorkerError
from textgen.tensorflow_runtime import hidden_stderr
from textgen.workers.cluster import Cluster
from textgen.workers.guard import guarded

# Where in a graph it was, and what an error of all sums ends with.
NO_SENTENCE = re.compile(r"\[\[.*?\]\]|\[Op:.*?\]|The error could be from a previous operation\. Restart .*")
BROKEN_OFF = "Collective ops is aborted by: "


class Communicator:
    """The connection of this process with all others; TensorFlow must not have computed anything before."""

    def __init__(self, addresses: Sequence[str], cluster: Cluster, timeout: float):
        """Args:
        addresses: of TensorFlow's servers, host:port, one a worker.
        cluster: of this one.
        timeout: seconds; where the others are not connected by then, this process ends.

        Raises:
            WorkerError: the processes cannot be connected.
        """
        self.count = len(addresses)
        said = f"TensorFlow has not connected the workers within {timeout:g} seconds; one has ended, or is not reached"
        try:
            with guarded(timeout, f"textgen: {said}"), hidden_stderr():
                resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
                    tf.train.ClusterSpec({"worker": list(addresses)}),
                    task_type="worker",
                    task_id=cluster.index,
                    rpc_layer="grpc",
                )
                self._strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
                tf.config.list_logical_devices()
        except (tf.errors.OpError, RuntimeError, ValueError) as problem:
            raise WorkerError(f"TensorFlow cannot connect the workers: {last_line(problem)}") from problem
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                with contextlib.suppress(TypeError):  # a handler that is not Python's
                    signal.signal(number, signal.getsignal(number))

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        """The sum of all workers' values, in the graph of a step. The shapes are the same everywhere."""

        def add() -> tf.Tensor:
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))

        return self._strategy.run(add)

    def break_off(self, line: str) -> None:
        """Let sums that wait fail, from another thread."""
        from tensorflow.python.eager import context  # noqa: PLC0415 (no public name; MultiWorkerMirroredStrategy's own)

        with contextlib.suppress(tf.errors.OpError, RuntimeError):
            context.context().abort_collective_ops(tf.errors.UNAVAILABLE, line)


def choose_gpu(cluster: Cluster) -> None:
    """Take the GPU of this worker's number on its machine, before TensorFlow starts. Raises WorkerError."""
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1 or (gpus and cluster.is_local):  # a single one was chosen by srun, or by who made the container
        if cluster.local_index >= len(gpus):
            raise WorkerError(
                f"{cluster.name_of(cluster.index)} has no GPU: there are {len(gpus)}, and one worker a GPU"
            )
        tf.config.set_visible_devices(gpus[cluster.local_index], "GPU")


def last_line(problem: BaseException) -> str:
    """What an error of TensorFlow says where it is plainest: why a sum was broken off, or else its last sentence."""
    lines = [NO_SENTENCE.sub("", line).strip() for line in str(problem).splitlines()]
    if broken_off := next((line for line in lines if line.startswith(BROKEN_OFF)), ""):
        called = re.search(r"/task:(\d+) while calling", str(problem))
        place = f" (while worker {called[1]} was called)" if called else ""
        return broken_off.replace(BROKEN_OFF, "") + place
    return next(filter(None, reversed(lines)), type(problem).__name__)
