"""A graph while it is being written: nodes in order, each with a name that says where it belongs.

Numbers that are not weights (axes, sizes, a scale) are `Constant` nodes, so that a graph's
initialisers are the network's weights and nothing else, and their bytes can be counted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trt_nemotron.deploy.compile.elements import ElementType
from trt_nemotron.deploy.compile.spec import Port, WeightSlot

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

OPSET = 22
"""The first that knows Conv in bfloat16: https://onnx.ai/onnx/operators/onnx__Conv.html"""

IR_VERSION = 10
"""The one that belongs to opset 22: https://onnx.ai/onnx/repo-docs/Versioning.html"""


class GraphWriter:
    """Collects nodes; every method that adds one gives the name of its output.

    Args:
        element: type of weights and activations.
    """

    def __init__(self, element: ElementType) -> None:
        self.element = element
        self._nodes: list[NodeProto] = []
        self._scope: list[str] = []
        self._constants: dict[tuple[str, object], str] = {}
        self._taken: dict[str, int] = {}

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names of nodes added within begin with `name`."""
        self._scope.append(name)
        yield
        self._scope.pop()

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output."""
        return self.add_many(op, inputs, 1, **attributes)[0]

    def add_many(
        self, op: str, inputs: Sequence[str], outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node of several outputs."""
        from onnx import helper

        name = self._fresh(op)
        names = [name] if outputs == 1 else [f"{name}.{place}" for place in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, name=name, **attributes))
        return names

    def give(self, value: str, output: str) -> None:
        """Make `value` the graph's output called `output`."""
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [value], [output], name=output))

    def integers(self, *values: int) -> str:
        """A constant vector of integers: sizes, axes."""
        return self._constant(("integers", values), ElementType.I64, [len(values)], values)

    def integer(self, value: int) -> str:
        """A constant integer without dimensions."""
        return self._constant(("integer", value), ElementType.I64, [], [value])

    def real(self, value: float) -> str:
        """A constant f32 number without dimensions."""
        return self._constant(("real", value), ElementType.F32, [], [value])

    def wide(self, value: str) -> str:
        """`value`, which is of the graph's precision, in f32."""
        return value if self.element is ElementType.F32 else self.cast(value, ElementType.F32)

    def narrow(self, value: str) -> str:
        """`value`, which is in f32, in the graph's precision."""
        return value if self.element is ElementType.F32 else self.cast(value, self.element)

    def cast(self, value: str, element: ElementType) -> str:
        """`value` in another type."""
        return self.add("Cast", value, to=element.code)

    def reshape(self, value: str, *sizes: int) -> str:
        """`value` in other dimensions; 0 keeps the size in that place, -1 is what remains."""
        return self.add("Reshape", value, self.integers(*sizes))

    def transpose(self, value: str, *order: int) -> str:
        """`value` with its axes in another order."""
        return self.add("Transpose", value, perm=list(order))

    def unsqueeze(self, value: str, *axes: int) -> str:
        """`value` with new axes of size 1."""
        return self.add("Unsqueeze", value, self.integers(*axes))

    def split(self, value: str, *sizes: int) -> list[str]:
        """Parts of `value` along its last axis."""
        return self.add_many("Split", [value, self.integers(*sizes)], len(sizes), axis=-1)

    def silu(self, value: str) -> str:
        """The activation x * sigmoid(x)."""
        return self.add("Mul", value, self.add("Sigmoid", value))

    def model(
        self,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        weights: Sequence["TensorProto"],
        producer: tuple[str, str],
    ) -> "ModelProto":
        """The whole graph; `producer` is name and version of who made it."""
        from onnx import helper

        graph = helper.make_graph(
            self._nodes,
            "nemotron_h",
            [_value_info(port) for port in inputs],
            [_value_info(port) for port in outputs],
            initializer=list(weights),
        )
        return helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name=producer[0],
            producer_version=producer[1],
        )

    def _constant(
        self, key: tuple[str, object], element: ElementType, sizes: list[int], values: Any
    ) -> str:
        if key not in self._constants:
            from onnx import helper

            name = f"constant.{len(self._constants)}"
            tensor = helper.make_tensor(name, element.code, sizes, values)
            node = helper.make_node("Constant", [], [name], name=name, value=tensor)
            self._nodes.append(node)
            self._constants[key] = name
        return self._constants[key]

    def _fresh(self, op: str) -> str:
        name = ".".join([*self._scope, op])
        number = self._taken.get(name, 0)
        self._taken[name] = number + 1
        return f"{name}_{number}"


def external_tensor(slot: WeightSlot, file_name: str, offset: int) -> "TensorProto":
    """A weight whose bytes lie in `file_name` beside the graph, from `offset` on."""
    from onnx import StringStringEntryProto, TensorProto

    tensor = TensorProto(name=slot.name, data_type=slot.element.code, dims=slot.dimensions)
    tensor.data_location = TensorProto.EXTERNAL
    place = {"location": file_name, "offset": offset, "length": slot.size_bytes}
    for key, value in place.items():
        tensor.external_data.append(StringStringEntryProto(key=key, value=str(value)))
    return tensor


def _value_info(port: Port) -> "ValueInfoProto":
    from onnx import helper

    return helper.make_tensor_value_info(port.name, port.element.code, list(port.dimensions))
