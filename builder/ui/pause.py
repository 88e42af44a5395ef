"""Holding the live display still while a question or a shell has the terminal."""

from __future__ import annotations

from typing import Protocol


class Pausable(Protocol):
    """A face that redraws the screen by itself."""

    def pause(self) -> None:
        """Stop redrawing and give the cursor back."""

    def resume(self) -> None:
        """Redraw again."""


_faces: list[Pausable] = []


def register(face: Pausable) -> None:
    """`face` is on the screen from now on."""
    _faces.append(face)


def unregister(face: Pausable) -> None:
    """`face` is gone."""
    if face in _faces:
        _faces.remove(face)


def pause() -> None:
    """Hold every live display still until `resume`; may be called again meanwhile."""
    for face in list(_faces):
        face.pause()


def resume() -> None:
    """Let every live display move again."""
    for face in list(_faces):
        face.resume()
