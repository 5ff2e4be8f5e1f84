"""ONNX Runtime as a contender: the graph is built by hand, so that no exporter's extra nodes are timed.

A Gather for each feature, a Concat, and one RNN or LSTM node for each layer. ONNX orders gates as i, o, f, c and has
time as the first axis: ids are transposed before timing.
"""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .contenders import Batch, Contender, Field, Network, weights

FLOAT, INT8 = "ONNX Runtime", "ONNX Runtime int8"
OPSET, IR_VERSION = 17, 8  # supported by every recent ONNX Runtime
ABSENT = "onnx and onnxruntime are not in this environment: `python -m bench kernels` makes one that has them"


def with_onnx(field: Field, network: Network) -> Field:
    """The field, plus ONNX Runtime in float32 and dynamically quantised, or the reasons why they are left out."""
    added, left_out = onnx_runtime(network)
    return Field((*field.contenders, *added), {**field.left_out, **left_out}, field.looked_up)


def onnx_runtime(network: Network) -> tuple[list[Contender], dict[str, str]]:
    if importlib.util.find_spec("onnxruntime") is None:
        return [], dict.fromkeys((FLOAT, INT8), ABSENT)
    if any(f.kind not in ("token", "bigram", "shape") for f in network.architecture.features):
        reason = "ONNX has no embedding bag, which a token of several subwords needs"
        return [], dict.fromkeys((FLOAT, INT8), reason)
    model = graph(network)
    added = [contender(FLOAT, network, model.SerializeToString(), exact=True)]
    if network.architecture.cell == "rnn":
        return added, {INT8: "ONNX Runtime quantises LSTM nodes, not RNN nodes"}
    return [*added, contender(INT8, network, quantised(model), exact=False)], {}


def contender(name: str, network: Network, model: bytes, exact: bool) -> Contender:
    import onnxruntime  # type: ignore[import-not-found, unused-ignore]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def prepare(batch: Batch) -> dict[str, Any]:
        return {kind: ids[:, :, 0].T.contiguous().numpy() for kind, ids in batch.ids.items()}

    def top(output: list[Any]) -> Tensor:
        states = torch.from_numpy(output[0])  # [time, direction, batch, unit]
        return states.permute(2, 0, 1, 3).flatten(2)

    return Contender(name, lambda feed: session.run(None, feed), top, exact=exact, prepare=prepare)


def graph(network: Network) -> Any:
    """The network's encoder as an ONNX model: ids [time, batch] by feature -> [time, direction, batch, unit]."""
    from onnx import TensorProto, helper  # type: ignore[import-not-found, unused-ignore]

    a = network.architecture
    kinds = [f.kind for f in a.features]
    nodes = [helper.make_node("Gather", [f"table.{k}", k], [f"x.{k}"]) for k in kinds]
    tensors: dict[str, Tensor] = {f"table.{k}": network.embedding.tables[k] for k in kinds}
    nodes.append(helper.make_node("Concat", [f"x.{k}" for k in kinds], ["x0"], axis=2))
    if a.layers > 1:
        tensors["joined"] = torch.tensor([0, 0, -1])  # a layer's output as the next one's input
    for layer in range(a.layers):
        tensors |= stored(network, layer)
        nodes += layer_nodes(network, layer)
    ids = [helper.make_tensor_value_info(k, TensorProto.INT64, ["time", "batch"]) for k in kinds]
    shape = ["time", len(a.directions), "batch", a.units]
    out = helper.make_tensor_value_info(f"y{a.layers - 1}", TensorProto.FLOAT, shape)
    initialisers = [tensor(name, values) for name, values in tensors.items()]
    encoder = helper.make_graph(nodes, "encoder", ids, [out], initialisers)
    return helper.make_model(encoder, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def layer_nodes(network: Network, layer: int) -> list[Any]:
    from onnx import helper  # type: ignore[import-not-found, unused-ignore]

    a = network.architecture
    direction = "bidirectional" if len(a.directions) == 2 else "forward"
    inputs = [f"x{layer}", f"W{layer}", f"R{layer}", f"B{layer}"]
    nodes = [helper.make_node(a.cell.upper(), inputs, [f"y{layer}"], hidden_size=a.units, direction=direction)]
    if layer + 1 < a.layers:  # [time, direction, batch, unit] -> [time, batch, direction * unit]
        nodes.append(helper.make_node("Transpose", [f"y{layer}"], [f"t{layer}"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", [f"t{layer}", "joined"], [f"x{layer + 1}"]))
    return nodes


def stored(network: Network, layer: int) -> dict[str, Tensor]:
    """A layer's weights with gates in ONNX's order and directions stacked."""
    a = network.architecture

    def ordered(weight: Tensor) -> Tensor:
        if a.cell == "rnn":
            return weight
        i, f, g, o = weight.chunk(4)
        return torch.cat([i, o, f, g])

    by_direction = [weights(network, layer, d) for d in a.directions]
    return {
        f"W{layer}": torch.stack([ordered(w.weight_ih) for w in by_direction]),
        f"R{layer}": torch.stack([ordered(w.weight_hh) for w in by_direction]),
        f"B{layer}": torch.stack([torch.cat([ordered(w.bias_ih), ordered(w.bias_hh)]) for w in by_direction]),
    }


def tensor(name: str, values: Tensor) -> Any:
    from onnx import numpy_helper  # type: ignore[import-not-found, unused-ignore]

    return numpy_helper.from_array(values.detach().contiguous().numpy(), name)


def quantised(model: Any) -> bytes:
    """The model after ONNX Runtime's dynamic quantisation: LSTM weights in int8, inputs quantised at run time."""
    import onnx  # type: ignore[import-not-found, unused-ignore]
    from onnxruntime import quantization  # type: ignore[import-not-found, unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        before, prepared, after = (str(Path(folder) / f"{name}.onnx") for name in ("float", "prepared", "int8"))
        onnx.save(model, before)
        quantization.quant_pre_process(before, prepared)
        quantization.quantize_dynamic(prepared, after, op_types_to_quantize=["LSTM"])
        return Path(after).read_bytes()
