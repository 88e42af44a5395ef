"""Microsoft's own client for AIB (azure-mgmt-imagebuilder) and a service for it that is not there.

Its models keep keys that they do not know, so a copy alone would prove nothing: `rebuilt` makes an object
anew from the attributes that the client has, and `misfits` looks at the types it declares for them.
"""

from __future__ import annotations

import enum
import functools
import io
import json
import typing

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from azure.core.serialization import attribute_list, is_generated_model
from azure.mgmt.imagebuilder import ImageBuilderClient, models


class Azure(requests.adapters.BaseAdapter):
    """A service that holds one template: answers GET with it, keeps what PUT brings."""

    def __init__(self):
        super().__init__()
        self.held = ""

    def send(self, request, **_options):
        if request.method == "PUT":
            self.held = request.body
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 200, request, request.url
        answer.headers["Content-Type"] = "application/json"
        answer.raw = io.BytesIO(self.held.encode())
        return answer

    def close(self):
        pass


class Nobody:
    """A credential."""

    def get_token(self, *_scopes, **_options):
        return AccessToken("x", 2**40)


@functools.cache
def service():
    """The client, and the service it talks to: no network."""
    azure, session = Azure(), requests.Session()
    session.mount("https://", azure)
    transport = RequestsTransport(session=session, session_owner=False)
    return ImageBuilderClient(Nobody(), "SUB", transport=transport).virtual_machine_image_templates, azure


def received(data):
    """What the client makes of our JSON, as the service's answer."""
    client, azure = service()
    azure.held = json.dumps(data)
    return client.get("GRP", "golden")


def sent(template):
    """What the client sends for a template of its own."""
    client, azure = service()
    client.begin_create_or_update("GRP", "golden", template, polling=False)
    return json.loads(azure.held)


def rebuilt(value):
    """The same object from nothing but the attributes of the client's models."""
    if is_generated_model(value):
        known = {name: rebuilt(getattr(value, name)) for name in attribute_list(value)}
        return type(value)(**{name: item for name, item in known.items() if item is not None})
    if isinstance(value, list):
        return [rebuilt(item) for item in value]
    if isinstance(value, dict):
        return {key: rebuilt(item) for key, item in value.items()}
    return value


def misfits(value, hint, place=""):
    """Places of values that are not of the type that the client's models declare."""
    if typing.get_origin(hint) is typing.Union:
        choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
        # `Union[str, SomeEnum]`: any text for the client, but one of the enum's for the service.
        words = [c for c in choices if isinstance(c, type) and issubclass(c, enum.Enum)]
        if words:
            return [] if value in [word.value for word in words[0]] else [place]
        return misfits(value, choices[0], place)
    if typing.get_origin(hint) is typing.Literal:
        return [] if value in typing.get_args(hint) else [place]
    if is_generated_model(value):
        hints = typing.get_type_hints(type(value), localns={"_models": models})
        found = [] if isinstance(value, hint) else [place]
        for name, inner in hints.items():
            item = None if name.startswith("_") else getattr(value, name)
            found += misfits(item, inner, f"{place}.{name}") if item is not None else []
        return found
    if typing.get_origin(hint) is list:
        (inner,) = typing.get_args(hint)
        return [bad for i, item in enumerate(value) for bad in misfits(item, inner, f"{place}[{i}]")]
    if typing.get_origin(hint) is dict:
        _, inner = typing.get_args(hint)
        return [bad for key, item in value.items() for bad in misfits(item, inner, f"{place}[{key!r}]")]
    return [] if type(value) is hint else [place]


def told(value, seen=None):
    """(class, attribute) of everything that an object says."""
    seen = set() if seen is None else seen
    if is_generated_model(value):
        for name in attribute_list(value):
            if getattr(value, name) is not None:
                seen.add((type(value), name))
                told(getattr(value, name), seen)
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            told(item, seen)
    return seen
