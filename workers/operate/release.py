"""The number of a server's release."""

import re
from typing import NamedTuple, Self


class Release(NamedTuple):
    """Such as 4.2.1; releases compare by age."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``4.2.1``.

        Raises:
            ValueError: It is something else.
        """
        found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
        if found is None:
            msg = f"{text!r} is no release such as 4.2.1"
            raise ValueError(msg)
        return cls(*map(int, found.groups()))
