"""Variants of one character folded to one form: quotes, dashes, dots, full-width forms, traditional characters.

A fold changes what the vocabulary and the hashed features see of a token; the token's place in the text stays.

Source: Unicode NFKC (UAX #15) for full-width forms and ligatures; OpenCC for traditional characters.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

# the plain form -> the characters that stand for it
_VARIANTS = {
    "'": "‘’‚‛′ʼ‹›`´",
    '"': "“”„‟″«»「」『』〝〞",
    "-": "‐‑‒–−﹣",
    "--": "—―─━",
    "..": "…‥⋯",
    "·": "•‣◦●○■□◆◇▪▫▶►‧・∙⋅･⁃✓✔➢➤",
    "~": "〜～",
    "《": "〈",
    "》": "〉",
}


def _simplified() -> dict[str, str]:
    lines = (Path(__file__).parent / "traditional.txt").read_text("utf-8").splitlines()
    rows = [line for line in lines if not line.startswith("#")]
    return dict(zip("".join(rows[0::2]), "".join(rows[1::2]), strict=True))


_FOLDS = str.maketrans(
    _simplified() | {variant: plain for plain, variants in _VARIANTS.items() for variant in variants}
)


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """``“Ｉ’ｍ”`` -> ``"I'm"``; capitals stay."""
    if text.isascii():
        return text.replace("`", "'")
    return unicodedata.normalize("NFKC", text.translate(_FOLDS)).translate(_FOLDS)
