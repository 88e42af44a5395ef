"""From the form of any API version, and from small slips, to the newest form; each step is told.

Walks along the models beside the computed JSON. Strict reading takes what the declared version itself
knew (`shell` in 2018) and refuses the rest; lenient reading warns. What nobody can guess stays as it
is: the models judge it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from templates import history
from templates.lenient.misplaced import bring_home
from templates.lenient.network import modern_network
from templates.lenient.values import Slip, as_list, coerce
from templates.model import ImageTemplate, PlatformImageSource, VnetConfig
from templates.model.steps import ExtensionStep
from templates.model.walk import fields_of, list_item, map_value, models_of, tag_of
from templates.pointer_set import PointerSet
from templates.pointers import join, parent
from templates.repairs import Insert, Rename, Replace

if TYPE_CHECKING:
    from templates.arm.scope import DeploymentScope
    from templates.report import Report


def to_newest(
    data: dict[str, Any], pointer: str, version: str, report: Report, scope: DeploymentScope
) -> dict[str, Any]:
    """`data`, an image template in the form of API version `version`, in that of the newest.

    The report learns every change: a warning (an error where it is strict), the place that a renamed
    field was written at, and the repair that would change the file. `scope` completes the network ids
    of old templates.
    """
    walk = _Walk(version, report, scope)
    data = bring_home(data, pointer, report)
    result = walk.object(ImageTemplate, data, pointer)
    walk.check_identity(result, pointer)
    walk.check_names(result, pointer)
    return result


class _Walk:
    def __init__(self, version: str, report: Report, scope: DeploymentScope) -> None:
        self.version = version
        self.report = report
        self.scope = scope
        self.validating = False
        self.told = PointerSet()  # places newer than the declared version, with all below them

    # -- any value --------------------------------------------------------------------------------

    def value(self, annotation: Any, data: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
        if data is None:  # not computed; that has been reported
            return data
        item = list_item(annotation)
        if item is not None:
            return self._list(item, data, pointer)
        if isinstance(data, dict):
            return self._dict(annotation, data, pointer)
        slip = coerce(annotation, data)
        return data if slip is None else self._slip(pointer, slip, data)

    def _list(self, item: Any, data: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(data, list):
            return [self.value(item, part, join(pointer, index)) for index, part in enumerate(data)]
        wrapped = as_list(item, data)
        if wrapped is None:
            return data
        message = "an array is expected here; taken to be one with this single item"
        self._slip(pointer, Slip("NotAList", message, "write it in [ ]", wrapped), data)
        self.report.alias(join(pointer, 0), pointer)
        return [self.value(item, part, join(pointer, 0)) for part in wrapped]

    def _dict(self, annotation: Any, data: dict[str, Any], pointer: str) -> Any:  # noqa: ANN401
        if models_of(annotation):
            model, data = self._choose(annotation, data, pointer)
            return data if model is None else self.object(model, data, pointer)
        inner = map_value(annotation)
        if inner is None or inner is Any:
            return data
        return {key: self.value(inner, part, join(pointer, key)) for key, part in data.items()}

    def _slip(self, pointer: str, slip: Slip, old: Any) -> Any:  # noqa: ANN401 - any JSON value
        self.report.lenient(slip.code, slip.message, pointer, hint=slip.hint)
        self.report.repairs.append(Replace(self.report.written_at(pointer), old, slip.value))
        return slip.value

    # -- objects ----------------------------------------------------------------------------------

    def object(self, model: type[BaseModel], data: dict[str, Any], pointer: str) -> dict[str, Any]:
        """`data` with the names and values that `model` knows."""
        if model is ExtensionStep:  # somebody else's fields
            return data
        if model is VnetConfig:
            data = modern_network(data, pointer, self.report, self.scope)
        fields = fields_of(model)
        result: dict[str, Any] = {}
        for key, value in data.items():
            at = join(pointer, key)
            name = self._name(model, key, data, at)
            if name is None:
                continue
            if name != key:
                self.report.alias(join(pointer, name), at)
            at = join(pointer, name)
            result[name] = self._field(model, name, value, at) if name in fields else value
        self._check_once_required(model, result, pointer)
        return result

    def _field(self, model: type[BaseModel], name: str, value: Any, at: str) -> Any:  # noqa: ANN401
        before, self.validating = self.validating, self.validating or name == "inVMValidations"
        value = self.value(fields_of(model)[name].annotation, value, at)
        self.validating = before
        return self._check_value(model, name, value, at)

    def _name(self, model: type[BaseModel], key: str, data: dict[str, Any], at: str) -> str | None:
        """The newest name of the field `key`; None where the new one stands beside it."""
        fields = fields_of(model)
        if key in fields:
            since = history.FIELDS.get(model, {}).get(key, "")
            self._check_since(since, f"the field '{key}'", at, key=True)
            return key
        for spelling in history.SPELLINGS.get(model, ()):
            if key.casefold() == spelling.old.casefold():
                return self._rename(key, spelling, data, at)
        same = [name for name in fields if name.casefold() == key.casefold()]
        if not same or same[0] in data:
            return key
        (name,) = same
        message = f"the field is written '{name}', not '{key}'"
        self.report.lenient("WrongCase", message, at, hint=f"write '{name}'", key=True)
        self.report.repairs.append(Rename(self.report.written_at(at), name))
        since = history.FIELDS.get(model, {}).get(name, "")
        self._check_since(since, f"the field '{name}'", at, key=True)
        return name

    def _rename(self, key: str, spelling: history.Spelling, data: dict[str, Any], at: str) -> str | None:
        new = spelling.new
        if new in data:
            message = f"'{key}' is another name of '{new}', which stands beside it"
            self.report.error("ExclusiveFields", message, at, hint=f"keep '{new}'", key=True)
            return None
        known = key == spelling.old and self.version in spelling.native
        if not (known and self.report.strict):
            what = f"is an older name of '{new}'" if spelling.native else f"is taken to be '{new}'"
            self.report.lenient(spelling.code, f"'{key}' {what}", at, hint=f"write '{new}'", key=True)
        self.report.repairs.append(Rename(self.report.written_at(at), new, spelling.native))
        return new

    # -- types --------------------------------------------------------------------------------------

    def _choose(
        self,
        annotation: Any,  # noqa: ANN401 - typing objects have no common type
        data: dict[str, Any],
        pointer: str,
    ) -> tuple[type[BaseModel] | None, dict[str, Any]]:
        """The model that an object means, and the object with the newest form of its tag."""
        models = models_of(annotation)
        if len(models) == 1:
            return models[0], data
        for model in models:
            tag = tag_of(model)
            key = None if tag is None else _key_like(tag[0], data)
            found = None if key is None else data[key]
            if tag and key and isinstance(found, str) and found.casefold() == tag[1].casefold():
                self._check_tag(model, found, tag[1], join(pointer, key))
                return model, {**data, key: tag[1]}
        kind = data.get("type")
        foreign = ExtensionStep in models and isinstance(kind, str) and kind[:2] == "x-"
        return (ExtensionStep if foreign else None), data

    def _check_tag(self, model: type[BaseModel], found: str, right: str, at: str) -> None:
        spelling = history.TYPE_SPELLINGS.get(model)
        native = spelling.native if spelling is not None and found == spelling.old else frozenset()
        if found != right:
            if native and not (self.report.strict and self.version in native):
                message = f"'{found}' is an older spelling of '{right}'"
                self.report.lenient("OldSpelling", message, at, hint=f"write '{right}'")
            elif not native:
                message = f"the type is written '{right}', not '{found}'"
                self.report.lenient("WrongCase", message, at, hint=f"write '{right}'")
            self.report.repairs.append(Replace(self.report.written_at(at), found, right, native))
        if self.version not in native:
            since = history.VALIDATORS if self.validating else history.TYPES
            self._check_since(since.get(model, ""), f"the type '{right}'", at, covers=parent(at))
        gone = history.REMOVED.get(model)
        if gone is not None and self.version >= gone:
            message = (
                f"API version {gone} and later have no type '{right}'; this template is for {self.version}"
            )
            self.report.lenient("RemovedFromApi", message, at)

    # -- what the declared version knows ------------------------------------------------------------

    def _check_since(
        self, since: str, what: str, at: str, *, key: bool = False, covers: str | None = None
    ) -> None:
        """Report what came after the declared version; what lies below `covers` (`at`) is told with it."""
        if since <= self.version or self.told.covers(at):
            return
        self.told.add(at if covers is None else covers)
        message = f"{what} came with API version {since}; this template is for {self.version}"
        hint = f"write a newer apiVersion, {since} at least"
        self.report.lenient("NewerThanApiVersion", message, at, hint=hint, key=key)

    def _check_value(self, model: type[BaseModel], name: str, value: Any, at: str) -> Any:  # noqa: ANN401
        if not isinstance(value, str):
            return value
        if (model, name) == (PlatformImageSource, "version") and value.casefold() == "latest" != value:
            slip = Slip("WrongCase", f"it is written 'latest', not '{value}'", "write 'latest'", "latest")
            value = self._slip(at, slip, value)
        self._check_since(history.VALUES.get((model, name, value), ""), f"the value '{value}'", at)
        return value

    def _check_once_required(self, model: type[BaseModel], data: dict[str, Any], pointer: str) -> None:
        for name, until in history.ONCE_REQUIRED.get(model, {}).items():
            if name not in data and self.version < until:
                message = f"API versions before {until} require '{name}'; this template is for {self.version}"
                hint = f"add it, or write a newer apiVersion, {until} at least"
                self.report.lenient("OnceRequired", message, pointer, hint=hint)

    def check_identity(self, data: dict[str, Any], pointer: str) -> None:
        """Report an identity that is missing where the declared version wants one."""
        if "identity" in data or self.version < history.IDENTITY_REQUIRED:
            return
        message = "the field 'identity' is missing; Azure requires it, here it is not used"
        self.report.lenient("MissingIdentity", message, pointer, hint='add "identity": {"type": "None"}')
        self.report.repairs.append(Insert(self.report.written_at(pointer), "identity", {"type": "None"}))

    def check_names(self, data: dict[str, Any], pointer: str) -> None:
        """Report dots in names that were not allowed in the first API versions."""
        if self.version >= history.DOTS_IN_NAMES:
            return
        properties = data.get("properties")
        targets = properties.get("distribute") if isinstance(properties, dict) else None
        places = [(data.get("name"), join(pointer, "name"))]
        for index, target in enumerate(targets if isinstance(targets, list) else ()):
            if isinstance(target, dict):
                at = join(pointer, "properties", "distribute", index, "runOutputName")
                places.append((target.get("runOutputName"), at))
        for name, at in places:
            if isinstance(name, str) and "." in name:
                self._check_since(history.DOTS_IN_NAMES, "a '.' in a name", at)


def _key_like(name: str, data: dict[str, Any]) -> str | None:
    """The key of `data` that is `name`, or that differs from it in case only."""
    return name if name in data else next((key for key in data if key.casefold() == name), None)
