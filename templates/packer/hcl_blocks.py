"""HCL2 as blocks with places: the one file that knows python-hcl2."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from templates.diagnostics import Location
from templates.packer.document import PackerError

# Its parser takes seconds for a megabyte; no template of Packer's is near that.
MAX_CHARACTERS = 2**20
_HINT = "a Packer template is JSON with 'builders', or HCL2 (.pkr.hcl) with 'source' and 'build'"


@dataclass(eq=False)
class Block:
    """A block: `data` holds its attributes as the parser serialized them (see `Values`)."""

    kind: str
    labels: tuple[str, ...]
    place: Location
    data: dict[str, Any] = field(default_factory=dict)  # what the parser gives
    places: dict[str, Location] = field(default_factory=dict)
    blocks: list[tuple[str, Block]] = field(default_factory=list)

    def index_of(self, inner: Block) -> int:
        """The number of an inner block among those of its kind."""
        return [block for _, block in self.blocks if block.kind == inner.kind].index(inner)


def read_blocks(file: Path, text: str) -> list[Block]:
    """The blocks of a file, in order. Raises PackerError where it is no HCL2."""
    import hcl2
    from lark.exceptions import LarkError, UnexpectedInput

    if len(text) > MAX_CHARACTERS:
        raise PackerError(f"{file}: larger than {MAX_CHARACTERS} characters, this cannot be a template")
    try:
        tree: Any = hcl2.transform(hcl2.parses_to_tree(text), discard_comments=True)
        root = Block("", (), Location(str(file), 1, 1))
        _fill(root, tree.body, file)
    except UnexpectedInput as error:
        line, column = max(error.line, 1), max(error.column, 1)
        message = f"{file}:{line}:{column}: neither JSON nor HCL2: this is not understood here"
        raise PackerError(message, hint=_HINT) from None
    except (LarkError, RuntimeError) as error:  # RecursionError is a RuntimeError
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise PackerError(f"{file}: not understood as HCL2: {reason}", hint=_HINT) from None
    for name in root.data:
        place = root.places[name]
        message = f"{place}: '{name}' stands outside of a block"
        raise PackerError(message, hint="values of variables (.pkrvars.hcl) are given by --var")
    return [block for _, block in root.blocks]


def _fill(block: Block, body: Any, file: Path) -> None:  # noqa: ANN401 - the parser's tree has no types
    from hcl2.rules.base import AttributeRule, BlockRule
    from hcl2.utils import SerializationOptions

    options = SerializationOptions(with_comments=False, explicit_blocks=False, preserve_heredocs=False)
    for child in body.children:
        if isinstance(child, AttributeRule):
            name = str(child.identifier.serialize(options))
            block.data[name] = child.expression.serialize(options)
            block.places[name] = _place(child, file)
        elif isinstance(child, BlockRule):
            kind, *labels = (str(label.serialize(options)) for label in child.labels)
            inner = Block(kind, tuple(label.strip('"') for label in labels), _place(child, file))
            _fill(inner, child.body, file)
            block.blocks.append((kind, inner))


def _place(rule: Any, file: Path) -> Location:  # noqa: ANN401 - the parser's tree has no types
    meta = rule._meta
    return Location(str(file), getattr(meta, "line", 1), getattr(meta, "column", 1))
