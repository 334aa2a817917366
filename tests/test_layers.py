"""The layers of docs/design.md: a module imports only from layers below its own; siblings do not see each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "headgate"

# From the top down; rooms in one row are siblings.
LAYERS: list[set[str]] = [
    {"cli"},
    {"serve"},
    {"api"},
    {"ci", "scale"},
    {"conduct", "testing"},
    {"report"},
    {"decide"},
    {"execute", "store", "score", "stats", "simulate", "traffic"},
    {"plan", "prices", "result", "shard"},
    {"registry"},
    {"suite"},
    {"errors", "identity"},
]
FLOOR = {room: len(LAYERS) - index for index, layer in enumerate(LAYERS) for room in layer}
FACES = {"__init__", "__main__"}

# Third-party packages and the rooms that may import them.
FENCES = {
    "anyio": {"execute", "conduct"},
    "aiohappyeyeballs": {"execute"},
    "aiohttp": {"execute", "simulate"},
    "httptools": {"execute"},
    "pyreqwest": {"execute"},
    "uvloop": {"conduct"},
    "httpx": {"execute", "conduct", "ci", "registry", "scale"},
    "pyarrow": {"store", "suite.items", "suite.records", "traffic"},
    "obstore": {"store.baselines", "traffic", "scale"},
    "polars": {"store.dataset", "score", "decide", "report", "conduct", "api"},
    "genai_prices": {"prices"},
    "scipy": {"stats"},
    "tenacity": {"conduct", "ci", "registry", "scale"},
    "aiolimiter": {"conduct", "ci", "registry", "scale"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "keyring": {"execute.secret"},
    "rich": {"report", "cli"},
    "typer": {"cli"},
    "jinja2": {"suite", "report"},
    "dotpromptz_handlebars": {"suite.handlebars"},
    "pydantic": {"suite"},
    "yaml": {"suite", "registry", "ci"},
}


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts)


def imports(path: Path, *, typing_too: bool = True) -> list[str]:
    """Return the absolute names that a module imports, anywhere in it."""
    tree = ast.parse(path.read_text())
    if not typing_too:
        tree = _Untyped().visit(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


class _Untyped(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else node


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_module_imports_only_from_below(path):
    room = dotted(path).split(".")[0]
    if room in FACES:
        return
    assert room in FLOOR, f"{room} has no place in docs/design.md"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "headgate" or len(parts) == 1:
            continue
        other = parts[1]
        if other in {room, "__version__"}:
            continue
        assert other in FLOOR, f"{dotted(path)} imports {name}"
        assert FLOOR[other] < FLOOR[room], f"{dotted(path)} imports {name}, which is not below it"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_third_party_package_stays_behind_its_fence(path):
    here = dotted(path)
    for name in imports(path, typing_too=False):
        allowed = FENCES.get(name.split(".")[0])
        if allowed is not None:
            assert any(here == room or here.startswith(room + ".") for room in allowed), f"{here} imports {name}"


def test_no_submodule_bears_the_name_of_a_public_function():
    import headgate

    rooms = {path.stem for path in SRC.iterdir() if path.suffix == ".py"} | {
        path.name for path in SRC.iterdir() if path.is_dir()
    }
    assert rooms & set(headgate.__all__) == {"stats", "testing"}


def test_the_fence_sees_an_import_inside_a_function(tmp_path):
    module = tmp_path / "m.py"
    module.write_text("if TYPE_CHECKING:\n    import polars\ndef f():\n    import pyarrow.parquet\n")
    assert imports(module) == ["polars", "pyarrow.parquet"]
    assert imports(module, typing_too=False) == ["pyarrow.parquet"]
