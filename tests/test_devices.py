"""Which device trains, and what is said of cuDNN, with GPUs and builds that are only told of."""

import pytest
import tensorflow as tf

from textgen.model.devices import Device, choose_device


def choose(cell: str, num_gpus: int, with_cuda: bool) -> Device:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"] * num_gpus if kind == "GPU" else [])
        patch.setattr(tf.test, "is_built_with_cuda", lambda: with_cuda)
        return choose_device(cell)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("num_gpus", [1, 4])
def test_a_gpu_is_used_with_cudnn(cell, num_gpus):
    device = choose(cell, num_gpus, with_cuda=True)
    assert (device.name, device.cudnn) == ("GPU", True)
    assert "meets cuDNN's conditions" in device.reason


def test_a_plain_rnn_uses_the_gpu_without_cudnn_and_is_told_why():
    device = choose("rnn", 1, with_cuda=True)
    assert (device.name, device.cudnn) == ("GPU", False)
    assert "--cell rnn" in device.reason


def test_a_build_without_cuda_is_the_reason_for_the_cpu():
    device = choose("lstm", 0, with_cuda=False)
    assert (device.name, device.cudnn) == ("CPU", False)
    assert "built without CUDA" in device.reason


def test_a_cuda_build_that_sees_no_gpu_says_what_to_install():
    device = choose("lstm", 0, with_cuda=True)
    assert (device.name, device.cudnn) == ("CPU", False)
    assert "sees no GPU" in device.reason
    assert "textgen[cuda]" in device.reason


@pytest.mark.parametrize("cell", ["gru", "rnn"])
@pytest.mark.parametrize("with_cuda", [False, True])
def test_on_a_cpu_only_an_lstm_is_said_to_be_scanned(cell, with_cuda):
    assert "our own scan is used" in choose("lstm", 0, with_cuda).reason
    assert "Keras's own loop is used" in choose(cell, 0, with_cuda).reason


def test_an_lstm_is_meant_when_no_cell_is_named(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    assert choose_device() == choose("lstm", 1, with_cuda=True)
