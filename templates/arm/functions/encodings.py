"""Functions that encode and decode strings: base64, data URIs, URIs."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote, unquote, urljoin, urlsplit

from templates.arm.functions.objects import parse_json
from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, quoted, text, to_utf8
from templates.arm.syntax import Json


@function("base64", 1)
def _base64(value: Json) -> Json:
    return base64.b64encode(to_utf8(text(value, "the argument of base64()"))).decode()


@function("base64ToString", 1)
def _base64_to_string(value: Json) -> Json:
    return _decoded(text(value, "the argument of base64ToString()"), "base64ToString()")


@function("base64ToJson", 1)
def _base64_to_json(value: Json) -> Json:
    decoded = _decoded(text(value, "the argument of base64ToJson()"), "base64ToJson()")
    return parse_json(decoded, "base64ToJson()")


@function("dataUri", 1)
def _data_uri(value: Json) -> Json:
    encoded = base64.b64encode(to_utf8(text(value, "the argument of dataUri()"))).decode()
    return f"data:text/plain;charset=utf8;base64,{encoded}"


@function("dataUriToString", 1)
def _data_uri_to_string(value: Json) -> Json:
    head, comma, data = text(value, "the argument of dataUriToString()").partition(",")
    if not head.casefold().startswith("data:") or not comma:
        hint = "the form is data:text/plain;charset=utf8;base64,…"
        raise bad("dataUriToString(): this is no data URI", hint=hint)
    if head.casefold().endswith(";base64"):
        return _decoded(unquote(data), "dataUriToString()")
    return unquote(data)


@function("uri", 2)
def _uri(base: Json, relative: Json) -> Json:
    """`relative` as seen from `base`, by the rules of RFC 3986: a last part without a slash is replaced."""
    start, rest = text(base, "the first argument of uri()"), text(relative, "the second argument of uri()")
    try:
        parts = urlsplit(start)
        joined = urljoin(start, rest)
    except ValueError:
        raise bad(f"uri(): {quoted(start)} and {quoted(rest)} make no URI") from None
    if not parts.scheme or not parts.netloc:
        raise bad(f"uri(): {quoted(start)} is no absolute URI", hint="for example https://example.com/files/")
    return joined


@function("uriComponent", 1)
def _uri_component(value: Json) -> Json:
    return quote(to_utf8(text(value, "the argument of uriComponent()")), safe="")


@function("uriComponentToString", 1)
def _uri_component_to_string(value: Json) -> Json:
    return unquote(text(value, "the argument of uriComponentToString()"))


def _decoded(encoded: str, what: str) -> str:
    try:
        data = base64.b64decode("".join(encoded.split()).encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise bad(f"{what}: this is not base64") from None
    return data.decode(errors="replace")  # as .NET does
