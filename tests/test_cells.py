"""The table of cells: what it says of each is true of the Keras layer, and every place that computes has each cell."""

import dataclasses

import pytest

from textgen.cells import CELLS
from textgen.config import ModelConfig
from textgen.generation.graph_network import FOLDS, GATES
from textgen.generation.numpy_cells import NUMPY_CELLS
from textgen.model.language_model import LAYERS

E, H = 5, 7


def test_every_arithmetic_and_the_setting_have_every_cell():
    field = next(field for field in dataclasses.fields(ModelConfig) if field.name == "cell")
    for names in (LAYERS, NUMPY_CELLS, GATES, FOLDS, field.metadata["choices"]):
        assert tuple(names) == tuple(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_shapes_and_states_are_those_of_the_keras_layer(name):
    cell, layer = CELLS[name], LAYERS[name](H)
    layer.build((None, None, E))
    assert tuple(layer.cell.kernel.shape) == (E, cell.width(H))
    assert tuple(layer.cell.recurrent_kernel.shape) == (H, cell.width(H))
    assert tuple(layer.cell.bias.shape) == cell.bias_shape(H)
    assert layer.state_size == [H] * cell.num_states


@pytest.mark.parametrize("name", CELLS)
def test_what_is_said_to_run_a_cell_runs_it(name):
    cell, layer = CELLS[name], LAYERS[name](H)
    assert hasattr(layer, "use_cudnn") == cell.on_cudnn
    assert getattr(layer, "uses_scan", lambda: False)() == cell.scanned


def test_keras_opens_the_gate_that_is_called_forget():
    layer = LAYERS["lstm"](H)
    layer.build((None, None, E))
    gates = layer.cell.bias.numpy().reshape(-1, H)
    assert [bool(gate.all()) for gate in gates] == [gate == "forget" for gate in CELLS["lstm"].gates]
    assert [name for name, cell in CELLS.items() if "forget" in cell.gates] == ["lstm"]
