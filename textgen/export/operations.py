"""Which operations an exported graph may hold: core TensorFlow, on any machine.

The list says what is allowed, not what is forbidden. So an operation that comes in unnoticed is refused: one of cuDNN,
XLA or tensorflow_text, one that reads or writes files.
"""

from collections.abc import Iterator
from pathlib import Path

from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from textgen.errors import ExportError

# Some are of no use yet; a new filter may need them.
ARITHMETIC = """
    Abs AddV2 All Any ArgMax ArgMin BitwiseAnd BitwiseOr BitwiseXor Cast Cumsum Equal Exp Floor FloorMod Greater
    GreaterEqual LeftShift Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Min Minimum Mul
    Neg NotEqual Pow Prod RealDiv RightShift Sign Softmax Sqrt Square Sub Sum Tanh TopKV2 UnsortedSegmentSum
"""
SHAPES = """
    BroadcastTo ConcatV2 Const ExpandDims Fill GatherV2 Identity LowerBound Pack Pad PadV2 Placeholder RaggedGather
    OnesLike PlaceholderWithDefault RaggedTensorToTensor Range Reshape Select SelectV2 Shape Size Split Squeeze
    StridedSlice Tile Transpose Where ZerosLike
"""
# Words are looked up in a table that is inside the graph.
STRINGS = """
    AsString HashTableV2 LookupTableFindV2 LookupTableImportV2 StringJoin StringLength StringToNumber UnicodeDecode
    UnicodeEncode
"""
CONTROL = """
    Assert If NoOp PartitionedCall StatefulPartitionedCall StatelessIf StatelessWhile TensorListReserve
    TensorListResize TensorListSetItem TensorListStack While
"""
# tensorflow_text's, in the graph of a model that normalises: that package has to be imported before it is loaded.
NORMALIZING = frozenset(("CaseFoldUTF8", "NormalizeUTF8"))
# How TensorFlow stores the weights: the saver's own operations, on the SavedModel's own files.
VARIABLES = """
    AssignVariableOp DisableCopyOnRead MergeV2Checkpoints ReadVariableOp RestoreV2 SaveV2 ShardedFilename
    StaticRegexFullMatch VarHandleOp
"""
ALLOWED = frozenset(" ".join((ARITHMETIC, SHAPES, STRINGS, CONTROL, VARIABLES)).split())


def check_operations(saved_model_dir: Path, *, normalizes: bool = False) -> None:
    """Raise ExportError when the graph holds an operation that is not allowed."""
    foreign = sorted(operations_of(saved_model_dir) - ALLOWED - (NORMALIZING if normalizes else set()))
    if foreign:
        raise ExportError(f"the exported graph holds operations that not every TensorFlow has: {', '.join(foreign)}")


def operations_of(saved_model_dir: Path) -> set[str]:
    """Names of all operations in `saved_model.pb`, those of its function library included."""
    document = saved_model_pb2.SavedModel()
    document.ParseFromString((saved_model_dir / "saved_model.pb").read_bytes())
    return {node.op for meta_graph in document.meta_graphs for node in _nodes(meta_graph.graph_def)}


def _nodes(graph_def: graph_pb2.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def
