"""Pictures for notebooks, where matplotlib is installed."""

from typing import Any

from .answers import Result

_RANGES = {"hidden_state": (-1.0, 1.0), "cell_gate": (-1.0, 1.0)}  # of a tanh; a gate is 0 to 1


# where a text is Chinese, the first of these that is installed
_CHINESE = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei", "SimHei")


def _families() -> list[str]:
    """Fonts for tokens' texts: one that has Chinese, where there is one, behind matplotlib's own."""
    from matplotlib import font_manager, rcParams

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [*rcParams["font.sans-serif"][:1], *(name for name in _CHINESE if name in installed)]


def heat_map(result: Result, tensor: str | None, layer: int, direction: str) -> Any:
    """One tensor of a result, units against tokens, on a fixed scale where it has bounds."""
    import matplotlib.pyplot as plt

    name = tensor or ("forget_gate" if "forget_gate" in result.tensors else "hidden_state")
    shown = result[name].sel(layer=layer, direction=direction)
    low, high = _RANGES.get(name, (0.0, 1.0)) if name.endswith(("_gate", "hidden_state")) else (None, None)
    steps = result.selection.timesteps if result.selection else ()
    _, axes = plt.subplots(figsize=(max(4.0, 0.28 * len(steps)), 4.0), layout="constrained")
    colours = "RdBu_r" if low is None or low < 0 else "viridis"
    image = axes.imshow(shown.values.T, aspect="auto", vmin=low, vmax=high, cmap=colours, interpolation="nearest")
    texts = [result.token_list[t].text for t in steps] if result.token_list else [str(t) for t in steps]
    axes.set_xticks(range(len(steps)), texts, rotation=0 if max(map(len, texts), default=0) < 3 else 60)
    for label in axes.get_xticklabels():
        label.set_fontfamily(_families())
    axes.set_ylabel("unit")
    axes.set_title(f"{name}, layer {layer}, {direction}")
    axes.figure.colorbar(image, ax=axes)
    return axes
