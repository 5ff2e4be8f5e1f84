r"""What the text's own logit says with tokens left out: re-run, so the gates follow too.

occlusion   contribution_s = logit - logit without token s; need not add up
prefix      contribution_s = logit of the text cut after s - logit of the text cut before s; adds up by construction,
            and one pass gives it on a forward network that reads its last state
"""

import numpy as np
from numpy.typing import NDArray

from .arrays import host
from .attribution import Attribution, Options
from .subject import Subject


def occlusion(subject: Subject, options: Options) -> Attribution:
    """A text of one token leaves nothing to run: the logit is then the head's bias."""
    length, logit = len(subject), subject.logit
    without = subject.logits_of_kept([[t for t in range(length) if t != s] for s in range(length)])
    return Attribution("occlusion", subject.output, logit - without, None, logit)


def prefix(subject: Subject, options: Options) -> Attribution:
    """The first token's share begins at the head's bias, the logit of nothing read."""
    cut = np.concatenate([[subject.bias], _logits_of_prefixes(subject)])
    return Attribution("prefix", subject.output, np.diff(cut), float(cut[0]), float(cut[-1]))


def _logits_of_prefixes(subject: Subject) -> NDArray[np.float64]:
    """[time]; of a tagger before its timestep: with that token not read yet."""
    if not subject.runs.reads_prefixes_at_once:
        return subject.logits_of_kept([range(n + 1) for n in range(len(subject))])
    head, index, timestep = subject.network.head, subject.output.index, subject.output.timestep
    states = subject.runs.run.top[0]
    logits: NDArray[np.float64] = host(states @ head.weight[index] + head.bias[index]).astype(np.float64)
    if timestep is not None:
        logits[timestep:] = logits[timestep]  # what a forward network reads later changes no earlier state
    return logits
