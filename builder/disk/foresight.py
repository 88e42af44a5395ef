"""Asking an image many things at once: a look into it costs a process, a question costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from builder.disk.mounted import MountedImage

_MOST_ROUNDS = 12
"""More than any chain of looks that depend on each other; what comes after is looked at one by one."""

Answer = TypeVar("Answer")


class Looks:
    """The files as far as they are known; what is not is as good as absent, but noted."""

    def __init__(self, image: MountedImage) -> None:
        self._image = image
        self._files: dict[str, bytes | None] = {}
        self._directories: dict[str, list[str] | None] = {}
        self._new_files: set[str] = set()
        self._new_directories: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """The content of a file; None when there is none, or it is not known yet."""
        if path not in self._files:
            self._new_files.add(path)
        return self._files.get(path)

    def listdir(self, path: str) -> list[str] | None:
        """The names in a directory; None when there is none, or it is not known yet."""
        if path not in self._directories:
            self._new_directories.add(path)
        return self._directories.get(path)

    def learn(self) -> bool:
        """Look up what was asked for and not known. False when there was nothing of the kind."""
        files, directories = sorted(self._new_files), sorted(self._new_directories)
        if not files and not directories:
            return False
        self._image.foresee(files, directories)
        self._files.update({path: self._image.read(path) for path in files})
        self._directories.update({path: self._image.listdir(path) for path in directories})
        self._new_files.clear()
        self._new_directories.clear()
        return True


def ask(image: MountedImage, question: Callable[[Looks | MountedImage], Answer]) -> Answer:
    """What `question`, which only looks and remembers nothing, says of the image.

    It is asked until it looks for nothing unknown, so its last answer is about what is really there.
    """
    looks = Looks(image)
    for _ in range(_MOST_ROUNDS):
        answer = question(looks)
        if not looks.learn():
            return answer
    return question(image)
