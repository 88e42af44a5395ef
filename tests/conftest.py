"""For all rings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes is the machine's business; the ring's own limit finds what hangs.
settings.register_profile("goldsmith", deadline=None)
settings.load_profile("goldsmith")

# By these we know a CI service, and write into its log and files. CI itself stays: it changes terminals only.
_OF_SERVICES = ("GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "TF_BUILD")


@pytest.fixture(scope="session", autouse=True)
def no_ci_service() -> Iterator[None]:
    """The rings find the same wherever they run; a test that is about a service says so itself."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _OF_SERVICES:
            patch.delenv(name, raising=False)
        yield
