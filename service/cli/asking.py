"""`gatescope list`, `predict` and `inspect`."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from gatescope import Result, Tensor
from gatescope.operations import selection

from ..wire.schemas import Direction, OffsetUnit, Reduction, TensorName
from .arguments import UsageError, as_type, index, one_of, timesteps
from .rows import predict_file
from .shared import ask, client_of, mean_and_spread, numbers, text_of
from .terminal import bar, check_writable, print_json

_MOVES = 3  # units shown for each token: those of the hidden state that changed most
_FILES = {".npz": "application/x-npz", ".safetensors": "application/vnd.safetensors"}
_SELECTION = ("layers", "directions", "timesteps", "units")
_FLAGS = {
    "preactivations": "add the z before each gate's nonlinearity",
    "prefix_predictions": "add the label of the text cut after each token (classifiers)",
    "embedding": "add x_t as it enters layer 0",
    "token_scores": "add emissions and marginals of every tag (NER)",
}


def add_asking(commands: Any) -> None:
    listing = commands.add_parser(
        "list",
        help="the models of a running server",
        description="The loaded models, the default one marked by *, and those that could not be loaded, by !.",
        epilog="example:\n  gatescope list --url http://127.0.0.1:9000",
    )
    ask(listing, model=False).set_defaults(run=_list)
    _add_predict(commands)
    _add_inspect(commands)


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="labels or entities of a text, or of a file of texts",
        description="Ask a running server for the labels or entities of a text, or of every text of a file.",
        epilog="examples:\n  gatescope predict --model en-ner-bilstm 'John Smith lives in London.'\n"
        "  gatescope predict --file reviews.csv --out labels.csv",
    )
    predict.add_texts(least=0)
    files = predict.add_argument_group("files")
    files.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help=".jsonl (an object a line), .csv (with a header), else a text a line",
    )
    files.add_argument("--column", default="text", metavar="NAME", help="the field that holds the text")
    files.add_argument("--out", type=Path, metavar="FILE", help="results: .jsonl or .csv; standard output by default")
    files.add_argument("--batch-size", type=as_type(index), default=32, metavar="N", help="texts in one request")
    predict.add_argument(
        "--top-k", type=as_type(index), metavar="K", help="classifiers: the K best labels; default all"
    )
    predict.add_argument("--offset-unit", choices=get_args(OffsetUnit), default="code_point", help="what offsets count")
    ask(predict).set_defaults(run=_predict)


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="what the gates do at each token",
        description="For each token: the forget gate's mean and spread over its units, and the hidden state's units "
        "that it moved most. With --tensors: each tensor's mean and spread; with --units: those units' values.",
        epilog='example:\n  gatescope inspect --model en-sentiment-lstm --units 0 1 2 "not bad at all"',
    )
    inspect.add_texts()
    select = inspect.add_argument_group("selection")
    names = get_args(TensorName)
    inspect.add_list("--tensors", select, one_of(names), metavar="NAME", help=f"of {', '.join(names)}")
    inspect.add_list("--units", select, index, metavar="N", help="from 0; default: all")
    inspect.add_list("--layers", select, index, metavar="N", help="from 0; default: all")
    directions = get_args(Direction)
    inspect.add_list(
        "--directions", select, one_of(directions), metavar="NAME", help=f"of {', '.join(directions)}; default: all"
    )
    select.add_argument("--timesteps", type=as_type(timesteps), metavar="START:STOP:STRIDE", help="default: all")
    more = inspect.add_argument_group("more, in the answer's JSON")
    reductions = get_args(Reduction)
    inspect.add_list("--reduce", more, one_of(reductions), metavar="NAME", help=f"of {', '.join(reductions)}")
    for name, note in _FLAGS.items():
        more.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=note)
    more.add_argument("--offset-unit", choices=get_args(OffsetUnit), default="code_point", help="what offsets count")
    more.add_argument("--decimals", type=as_type(index), metavar="N", help="0 to 9, of tensors; default: 6")
    more.add_argument("--out", type=Path, metavar="FILE", help="write raw float32 instead: .npz or .safetensors")
    ask(inspect).set_defaults(run=_inspect)


def _list(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        listed = client.models()
    if options.json:
        print_json(listed.raw)
        return 0
    for m in listed.models:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in list(m.metrics.items())[:1])
        size = f"{m.layers} x {'+'.join(d[0] for d in m.directions)} x {m.units}"
        print(f"{'*' if m.default else ' '} {m.name:22} {m.cell:4} {m.language} {m.task:20} {size:12} {figures}")
    for broken in listed.broken:
        print(f"! {broken.name:22} {broken.reason}")
    return 0


def _predict(options: argparse.Namespace) -> int:
    chosen = {"offset_unit": options.offset_unit} | ({} if options.top_k is None else {"top_k": options.top_k})
    if (options.file is None) == (options.text is None):
        raise UsageError("predict takes a text or --file, one of the two (`gatescope predict --help` shows how)")
    if options.file is not None:
        return predict_file(options, chosen)
    if options.out is not None:
        raise UsageError("--out is for the results of --file: leave it out, or give --file instead of a text")
    with client_of(options) as client:
        answer = client.predict(text_of(options), options.model, **chosen)
        names = {} if options.json else client.model(answer.model.name).label_names
    if options.json:
        print_json(answer.raw)
        return 0
    _print_prediction(answer.results[0], names)
    return 0


def _print_prediction(result: Result, names: Mapping[str, str]) -> None:
    for label in result.labels or ():
        print(f"{label.score:.4f}  {label.label}  {names.get(label.label, '')}".rstrip())
    for entity in result.entities or ():
        print(f"{entity.score:.4f}  {entity.label:5} {entity.text}  [{entity.start}:{entity.end}]")
    if result.entities == ():
        print("no entity")


def _inspect(options: argparse.Namespace) -> int:
    chosen = _chosen(options)
    if options.out is not None:
        return _inspect_into_file(options, chosen)
    as_json = bool(options.json or options.reduce or _flags(options))
    is_summary = not (options.tensors or options.units or as_json)
    with client_of(options) as client:
        text = text_of(options)
        if is_summary or (options.units and not options.tensors and not options.json):
            tensors = client.model(options.model).tensors
            chosen["tensors"] = [name for name in ("hidden_state", "forget_gate") if name in tensors]
        if is_summary:  # what a token moved is seen from the step before it
            chosen.pop("timesteps", None)
        answer = client.inspect(text, options.model, binary=not as_json, **chosen)
    if as_json:
        print_json(answer.raw)
        return 0
    result = answer.results[0]
    print(f"{answer.model.name}: {_brief(result)}")
    if is_summary:
        _print_summary(result, options.timesteps or slice(None))
    else:
        _print_tensors(result, by_unit=bool(options.units))
    if result.certificate:
        print(f"largest difference from float64: {result.certificate.recurrence_max_abs_error:.1e}")
    return 0


def _inspect_into_file(options: argparse.Namespace, chosen: dict[str, Any]) -> int:
    media_type = _FILES.get(options.out.suffix)
    if media_type is None:
        raise UsageError(f"--out is {str(options.out)!r}: a name that ends in {' or '.join(_FILES)} is allowed")
    path = check_writable(options.out)
    with client_of(options) as client:
        content = client.file("inspect", text_of(options), media_type, options.model, options=_fields(chosen))
    path.write_bytes(content)
    print(f"{path}: {len(content)} bytes")
    return 0


def _flags(options: argparse.Namespace) -> dict[str, bool]:
    return {name: True for name in _FLAGS if getattr(options, name)}


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Client.inspect` that the options set."""
    names = ("tensors", "reduce", "decimals", *_SELECTION)
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return given | _flags(options) | {"offset_unit": options.offset_unit}


def _fields(chosen: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request with these arguments of `Client.inspect`."""
    select = selection(**{name: chosen.get(name) for name in _SELECTION})
    return {name: value for name, value in chosen.items() if name not in _SELECTION} | {"select": select}


def _brief(result: Result) -> str:
    if result.labels is not None:
        return ", ".join(f"{label.label} {label.score:.3f}" for label in result.labels[:3])
    return ", ".join(f"{e.label} {e.text} {e.score:.3f}" for e in result.entities or ()) or "no entity"


def _columns(result: Result) -> list[tuple[str, dict[str, list[list[float]]]]]:
    """For each layer and direction its heading, and for each tensor its values [timestep][unit]."""
    assert result.selection is not None
    return [
        (
            f"layer {layer}, {direction}",
            {name: _rows(tensor, layer, direction) for name, tensor in result.tensors.items()},
        )
        for layer in result.selection.layers
        for direction in result.selection.directions
    ]


def _rows(tensor: Tensor, layer: int, direction: str) -> list[list[float]]:
    rows: list[list[float]] = tensor.sel(layer=layer, direction=direction).values.tolist()
    return rows


def _print_summary(result: Result, shown: slice) -> None:
    """For each token the forget gate, where there is one, and the units of the hidden state that it moved most."""
    assert result.selection is not None
    assert result.token_list is not None
    tokens = list(enumerate(result.token_list))[shown]
    for (heading, values), direction in zip(
        _columns(result), result.selection.directions * len(result.selection.layers), strict=True
    ):
        gate = values.get("forget_gate")
        print(f"{heading}: {'forget gate, mean ± spread; ' if gate else ''}units that moved most (#unit change)")
        for t, token in tokens:
            moves = "  ".join(f"#{unit} {change:+.2f}" for unit, change in _moves(values["hidden_state"], t, direction))
            print(f"  {_gate_cells(gate[t]) if gate else ''}{moves:34}  {token.text}")


def _gate_cells(gate: list[float]) -> str:
    mean, spread = mean_and_spread(gate)
    return f"{bar(mean, 10)} {mean:.2f} ± {spread:.2f}  "


def _moves(states: list[list[float]], t: int, direction: str) -> list[tuple[int, float]]:
    """(unit, change) of the units that token t moved most, from the token that was read before it, or from zeros."""
    before = t - 1 if direction == "forward" else t + 1
    previous = states[before] if 0 <= before < len(states) else [0.0] * len(states[t])
    changes = enumerate(now - then for now, then in zip(states[t], previous, strict=True))
    return sorted(changes, key=lambda move: -abs(move[1]))[:_MOVES]


def _print_tensors(result: Result, by_unit: bool) -> None:
    assert result.selection is not None
    assert result.token_list is not None
    for heading, values in _columns(result):
        for name, steps in values.items():
            print(f"{name}, {heading}{'' if by_unit else ': mean ± spread over its units'}")
            if by_unit:
                print("  " + " ".join(f"{f'#{unit}':>6}" for unit in result.selection.units))
            for t, row in zip(result.selection.timesteps, steps, strict=True):
                mean, spread = mean_and_spread(row)
                cells = numbers(row) if by_unit else f"{bar(mean)} {mean:+.3f} ± {spread:.3f}"
                print(f"  {cells}  {result.token_list[t].text}")
