"""What a function makes of a secret is a secret, too: `toUpper(parameters('password'))`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from templates.arm.budget import Budget
from templates.arm.definitions import secrets_in
from templates.arm.syntax import Json

_LEAST = 3  # masking every shorter text would tell more than it hides
_GAP = "\0"
_SECRETS_OF_A_STEP = 32


class Secrecy:
    """Finds texts made of secrets. `secrets` is the list of the report: it grows here and elsewhere."""

    def __init__(self, secrets: list[str], budget: Budget) -> None:
        self._secrets = secrets
        self._budget = budget
        self._read = 0
        self._known: dict[str, None] = {}

    def note(self, arguments: list[Json], value: Json) -> None:
        """Add what of `value`, made of `arguments` by a function, could give a secret away.

        Texts in which the secret still stands as it is are hidden already, and what stood beside it in an
        argument (`split(concat('user:', …), ':')`) is none. Raises ExpressionError when it is too much work.
        """
        if not self._secrets or value is None or isinstance(value, bool):
            return
        known = self._up_to_date()
        used = [secret for text in self._texts(arguments) for secret in known if secret in text]
        if not used:
            return
        rests = [_without(text, used) for text in self._texts(arguments)]
        for text in dict.fromkeys(self._texts(value)):
            is_hidden = any(secret in text for secret in used)
            if len(text) >= _LEAST and not is_hidden and not any(text in rest for rest in rests):
                self._secrets.append(text)

    def _up_to_date(self) -> Iterable[str]:
        new, self._read = self._secrets[self._read :], len(self._secrets)
        self._known.update(dict.fromkeys(text for text in new if len(text) >= _LEAST))
        return self._known

    def _texts(self, value: Json) -> Iterator[str]:
        """Every text in a value, and every number that counts as one; each is paid for."""
        left = [value]
        while left:
            item = left.pop()
            if isinstance(item, list):
                left += item
            elif isinstance(item, dict):
                # Looking into what nobody has asked for yet would compute it (lazy.py).
                left += () if getattr(item, "is_pending", False) else item.values()
            else:
                for text in secrets_in(item):
                    self._budget.spend(1 + len(self._known) * (1 + len(text) // 1024) // _SECRETS_OF_A_STEP)
                    yield text


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _GAP)
    return text
