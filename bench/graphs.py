"""ONNX Runtime among the contenders: the graph made by hand, so that nothing an exporter adds is timed.

A Gather for each feature, a Concat, and one RNN or LSTM node a layer. ONNX has its gates in the order i, o, f, c and
time as the first axis: the ids are turned before the clock starts.
"""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .contenders import Batch, Contender, Field, Network, weights

FLOAT, INT8 = "ONNX Runtime", "ONNX Runtime int8"
OPSET, IR_VERSION = 17, 8  # what every ONNX Runtime of the last years reads
ABSENT = "onnx and onnxruntime are not in this environment: `python -m bench kernels` makes one that has them"


def with_onnx(field: Field, network: Network) -> Field:
    """The field, and ONNX Runtime in float32 and dynamically quantised; or the sentences that say why not."""
    added, left_out = onnx_runtime(network)
    return Field((*field.contenders, *added), {**field.left_out, **left_out}, field.looked_up)


def onnx_runtime(network: Network) -> tuple[list[Contender], dict[str, str]]:
    if importlib.util.find_spec("onnxruntime") is None:
        return [], dict.fromkeys((FLOAT, INT8), ABSENT)
    if any(f.kind not in ("token", "bigram", "shape") for f in network.architecture.features):
        said = "ONNX has no embedding bag, which a token of several subwords needs"
        return [], dict.fromkeys((FLOAT, INT8), said)
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

    def ready(batch: Batch) -> dict[str, Any]:
        return {kind: ids[:, :, 0].T.contiguous().numpy() for kind, ids in batch.ids.items()}

    def top(answer: list[Any]) -> Tensor:
        states = torch.from_numpy(answer[0])  # [time, direction, batch, unit]
        return states.permute(2, 0, 1, 3).flatten(2)

    return Contender(name, lambda feed: session.run(None, feed), top, exact=exact, ready=ready)


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
    made = helper.make_graph(nodes, "encoder", ids, [out], [tensor(name, of) for name, of in tensors.items()])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


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
    """A layer's weights with the gates in ONNX's order, directions stacked."""
    a = network.architecture

    def ordered(weight: Tensor) -> Tensor:
        if a.cell == "rnn":
            return weight
        i, f, g, o = weight.chunk(4)
        return torch.cat([i, o, f, g])

    its = [weights(network, layer, d) for d in a.directions]
    return {
        f"W{layer}": torch.stack([ordered(w.weight_ih) for w in its]),
        f"R{layer}": torch.stack([ordered(w.weight_hh) for w in its]),
        f"B{layer}": torch.stack([torch.cat([ordered(w.bias_ih), ordered(w.bias_hh)]) for w in its]),
    }


def tensor(name: str, of: Tensor) -> Any:
    from onnx import numpy_helper  # type: ignore[import-not-found, unused-ignore]

    return numpy_helper.from_array(of.detach().contiguous().numpy(), name)


def quantised(model: Any) -> bytes:
    """By ONNX Runtime's own means: the LSTM's weights in int8 beforehand, its inputs as they come."""
    import onnx  # type: ignore[import-not-found, unused-ignore]
    from onnxruntime import quantization  # type: ignore[import-not-found, unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        before, prepared, after = (str(Path(folder) / f"{name}.onnx") for name in ("float", "prepared", "int8"))
        onnx.save(model, before)
        quantization.quant_pre_process(before, prepared)
        quantization.quantize_dynamic(prepared, after, op_types_to_quantize=["LSTM"])
        return Path(after).read_bytes()
