"""Our kernel once over, for `compute-sanitizer`: both cells, ragged, alone and together, every way of recording."""

import torch

from models.network.network import Architecture, build
from models.runtime.cuda.runner import CudaRunner, runner_on_card
from models.text.features import Feature


def main() -> None:
    device = torch.device("cuda", 0)
    for units in (64, 128, 256):
        for cell in ("lstm", "rnn"):
            features = (Feature("token", 2, 20),)
            network = build(Architecture("text-classification", cell, features, units, 1, ("forward", "reverse"), 2))
            network.reset()
            runner = runner_on_card(network.to(device).eval().requires_grad_(False), device)
            if not isinstance(runner, CudaRunner):
                raise SystemExit("our kernel does not run on this card: the log says why")
            for texts in (1, 3, 200):
                lengths = torch.arange(1, texts + 1).clamp(max=9)
                x = torch.randn(texts, int(lengths.max()), 20)
                for recording in ("nothing", "gates", "everything"):
                    run, _ = runner.run_inputs(x, lengths, recording)
                    assert run.top.isfinite().all()
    torch.cuda.synchronize()
    print("our kernel ran")


if __name__ == "__main__":
    main()
