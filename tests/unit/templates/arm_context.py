"""A deployment for expressions: fixed answers, nothing read from a file."""

from __future__ import annotations

from datetime import UTC, datetime

from templates.arm.expressions import Budget, ExpressionError, evaluate

PARAMETERS = {
    "name": "img",
    "list": [1, [2]],
    "obj": {"Key": {"deep": "x"}, "none": None},
    "n": 7,
    "yes": True,
    "half": 2.5,
    "dogs": [
        {"name": "Evie", "age": 5},
        {"name": "Casper", "age": 3},
        {"name": "Indy", "age": 2},
        {"name": "Kira", "age": 8},
    ],
}


class Deployment:
    """The `Context` of the tests; `asked` holds what was asked for, in order."""

    def __init__(self, budget=None, **scope):
        self.budget = budget or Budget()
        self.asked = []
        self.scope = scope

    def note_secrets(self, arguments, value):
        pass

    def parameter(self, name):
        self.asked.append(name)
        if name not in PARAMETERS:
            raise ExpressionError("UnknownParameter", f"there is no parameter '{name}'")
        return PARAMETERS[name]

    def variable(self, name):
        return f"var-{name}"

    def subscription(self):
        return {"id": "/subscriptions/SUB", "subscriptionId": "SUB", "tenantId": "TEN"}

    def resource_group(self):
        if self.scope.get("level") == "subscription":
            raise ExpressionError("NotInScope", "there is no resource group")
        return {"id": "/subscriptions/SUB/resourceGroups/GRP", "name": "GRP", "location": "westus"}

    def tenant(self):
        return {"tenantId": "TEN"}

    def management_group(self):
        return {"name": "MG"}

    def deployment(self):
        return {"name": "DEP"}

    def deployer(self):
        return {"objectId": "ME"}

    def environment(self):
        return {"name": "AzureCloud", "suffixes": {"storage": "core.windows.net"}}

    def utc_now(self):
        return datetime(2019, 3, 5, 17, 53, 18, 250_000, tzinfo=UTC)

    def new_guid(self):
        return "b76a51fc-bd72-4a77-b9a2-3c29e7d2e551"

    def copy_index(self, name, offset):
        loops = {None: 10, "loop": 20}
        if name not in loops:
            raise ExpressionError("UnknownLoop", f"there is no copy loop '{name}'")
        return loops[name] + offset

    def reference(self, target, api_version, *, full):
        return {"target": target, "version": api_version, "full": full}

    def references(self, symbol, *, full):
        return [{"target": symbol, "full": full}]

    def resource_info(self, symbol):
        return {"id": f"/{symbol}", "name": symbol}

    def user_function(self, namespace, name, arguments):
        return f"{namespace}.{name}({arguments})"


def value_of(text, context=None):
    """The value of an expression, written without its brackets."""
    return evaluate(f"[{text}]", context or Deployment())
