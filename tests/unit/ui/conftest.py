"""A bus that knows a secret."""

import pytest
from shown_runs import SECRET

from builder.events import EventBus
from builder.redact import Redactor


@pytest.fixture
def bus() -> EventBus:
    redactor = Redactor()
    redactor.add(SECRET)
    return EventBus(redactor)
