"""How many tokens a text is going to have, before it is read: learned from the texts that each model has read.

Reading a text costs as much as a small model's answer. Under overload most requests are refused, and a server that
reads them first does little else: it answers half of what it could.
"""

_WEIGHT = 0.05  # of the latest request


class Readings:
    """Tokens per character of each model, by its name; a new version of a model begins with the old one's."""

    def __init__(self) -> None:
        self._density: dict[str, float] = {}

    def expected(self, model: str, characters: int) -> int:
        """Tokens in texts of so many characters; 0 before the model has read any."""
        return int(self._density.get(model, 0.0) * characters)

    def learn(self, model: str, characters: int, tokens: int) -> None:
        found = tokens / max(1, characters)
        before = self._density.get(model, found)
        self._density[model] = before + _WEIGHT * (found - before)
