from __future__ import annotations

from distributors.conftest import finished, said, services

__all__ = ["finished", "said", "services"]
