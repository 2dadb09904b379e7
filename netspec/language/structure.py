"""Document to FileSpec: the closed structure of one file, before any expression has a value."""

from __future__ import annotations

from netspec.errors import Location, Mistakes, nearest, printable
from netspec.language.document import Document, Node
from netspec.language.entries import BodyReader, check_case, children, is_expression, names
from netspec.language.names import check_name
from netspec.language.spec import VERSION, BlockSpec, Defaults, FileSpec, Names, is_block, is_free
from netspec.layers import LAYER_TYPES
from netspec.layers.validation import written_fields

FILE_KEYS = (
    *("netspec", "name", "include", "params", "inputs", "let", "defaults", "blocks"),
    *("layers", "outputs", "freeze"),
)
INPUT_KEYS = ("shape", "dtype", "default")
INPUTS_REQUIRED = "inputs is required: such as {image: {shape: [batch, 3, 32, 32]}}"
BLOCK_KEYS = ("params", "inputs", "gradient", "let", "layers", "outputs")


def file_spec(document: Document) -> FileSpec:
    """The parts of a file, with the mistakes in its structure."""
    return _FileReader(document).spec()


class _FileReader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.mistakes = Mistakes()
        self.incomplete = False

    def spec(self) -> FileSpec:
        root = children(self.document.root, FILE_KEYS, "a spec", self.mistakes)
        self._check_version(root.get("netspec"))
        parts = {name: self._names(root.get(name), name) for name in ("params", "let", "inputs", "defaults", "blocks")}
        inputs = parts["inputs"]
        broken = frozenset(name for name, named in inputs.items() if not self._is_input(name, named.node))
        if "inputs" in root and root["inputs"].value == {}:
            self.incomplete = True
            self.mistakes.add(INPUTS_REQUIRED, root["inputs"].location)
        defaults = Defaults({type: named.node for type, named in parts["defaults"].items()})
        for type, named in parts["defaults"].items():
            self._check_defaults(type, named.node, named.key)
        body = BodyReader(self.mistakes, defaults)
        blocks = {name: self._block(name, named.key, named.node, body) for name, named in parts["blocks"].items()}
        check_case(((name, named.key) for name, named in parts["blocks"].items()), "blocks, the other", self.mistakes)
        layers = None
        if "layers" in root:
            layers = body.entries(root["layers"])
            self.incomplete |= not layers
        return FileSpec(
            file=self.document.file,
            location=self.document.root.location,
            name=root.get("name"),
            include=self._include(root.get("include")),
            params=parts["params"],
            let=parts["let"],
            blocks={name: block for name, block in blocks.items() if block is not None},
            defaults=defaults,
            inputs=inputs if "inputs" in root else None,
            layers=layers,
            outputs=body.outputs(root["outputs"], training_only=True) if "outputs" in root else None,
            freeze=root.get("freeze"),
            mistakes=self.mistakes,
            broken_inputs=broken,
            incomplete=self.incomplete,
        )

    def _check_version(self, node: Node | None) -> None:
        if node is None:
            message = f"netspec is required: the version of the language, netspec: {VERSION}"
            self.mistakes.add(message, self.document.root.location)
        elif type(node.value) is not int or node.value != VERSION:
            got = f"text '{node.value}'" if isinstance(node.value, str) else str(node.value)
            message = f"netspec: expected version {VERSION} of the language, got {printable(got[:40])}"
            self.mistakes.add(message, node.location)

    def _names(self, node: Node | None, part: str) -> Names:
        found = names(node, part, self.mistakes)
        self.incomplete |= found is None or (node is not None and len(found) < len(node.value))  # type: ignore[arg-type]
        return found or {}

    def _include(self, node: Node | None) -> tuple[Node, ...]:
        if node is None:
            return ()
        if not isinstance(node.value, list) or not all(isinstance(item.value, str) for item in node.value):
            self.mistakes.add("include: expected a list of files such as [resnet50.yaml]", node.location)
            self.incomplete = True
            return ()
        return tuple(node.value)

    def _is_input(self, name: str, node: Node) -> bool:
        """Whether an input's structure is right: a mapping with a shape that is a list."""
        if not isinstance(node.value, dict):
            self.mistakes.add(f"input {name}: expected a mapping such as {{shape: [batch, 3]}}", node.location)
            return False
        shape = children(node, INPUT_KEYS, f"input {name}", self.mistakes).get("shape")
        if shape is None or not (isinstance(shape.value, list) or is_expression(shape)):
            self.mistakes.add(f"input {name}: expected a shape such as [batch, 3]", (shape or node).location)
            return False
        return True

    def _check_defaults(self, type: str, node: Node, key: Location) -> None:
        layer = LAYER_TYPES.get(type)
        if layer is None:
            hint = nearest(type, LAYER_TYPES)
            hint = hint or ("; the defaults of a block are those of its params" if is_block(type) else "")
            self.mistakes.add(f"defaults: unknown layer type {type}{hint}", key)
            return
        if not isinstance(node.value, dict):
            self.mistakes.add(f"defaults of {type}: expected a mapping of its fields", node.location)
            return
        known = [*written_fields(layer), "init"]
        for name in node.value:
            if name not in known and not is_free(name):
                reason = layer.refused.get(name)
                hint = f" is refused: {reason}" if reason else f" is unknown{nearest(name, known)}"
                self.mistakes.add(f"defaults of {type}: field {name}{hint}", node.keys[name])

    def _block(self, name: str, key: Location, node: Node, body: BodyReader) -> BlockSpec | None:
        what = f"block {printable(name[:64])}"
        if not is_block(name):
            self.mistakes.add(f"{what}: a block's name begins with a capital letter; a layer's with a small one", key)
        else:
            with self.mistakes.collect():
                check_name(name, "a block", key)
        if not isinstance(node.value, dict):
            self.mistakes.add(f"{what}: expected a mapping with layers", node.location)
            self.incomplete = True
            return None
        parts = children(node, BLOCK_KEYS, what, self.mistakes)
        params = names(parts.get("params"), f"params of {what}", self.mistakes) or {}
        for param, named in params.items():
            if param in BodyReader.RESERVED:
                message = f"{what}: no param may be called {param}: it is a key of every entry"
                self.mistakes.add(message, named.key)
            elif is_free(param):
                message = f"{what}: no param may be called {param}: it is free for notes in every entry"
                self.mistakes.add(message, named.key)
        gradient = parts.get("gradient")
        if gradient is not None and "inputs" not in parts:
            self.mistakes.add(
                f"{what}: gradient: it has no inputs that something could flow back to", gradient.location
            )
            gradient = None
        return BlockSpec(key, params, body.body(node, parts, what), gradient)
