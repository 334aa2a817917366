"""The pages say what is so: their code runs, and what is generated is current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from command_line import call_here

ROOT = Path(__file__).parent.parent


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_python_of_the_readme_runs(tmp_path):
    (code,) = blocks("README.md", "python")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(("PASS", "INCONCLUSIVE"))


def test_the_quickstart_runs(tmp_path):
    """Every headgate line of the quickstart, in order, as a shell would run them."""
    lines = [line for block in blocks("docs/quickstart.md", "sh") for line in block.splitlines()]
    folder = tmp_path
    for line in lines[: lines.index("headgate verify runs/support-bot") + 1]:
        if line.startswith("cd "):
            folder /= line.removeprefix("cd ")
            continue
        command = [sys.executable, "-m", *line.split()]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        assert ran.returncode in ({0, 20} if " gate " in line else {0}), line + ran.stderr


def test_the_python_of_the_operations_page_runs(tmp_path):
    assert call_here("init", "--quiet", cwd=tmp_path).returncode == 0
    (code,) = blocks("docs/operations.md", "python")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"\d+ requests\n$", ran.stdout)


def test_the_python_of_the_cost_page_runs(tmp_path):
    assert call_here("init", "--quiet", cwd=tmp_path).returncode == 0
    (code,) = blocks("docs/cost.md", "python")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    assert re.match(r"\d+ None \[\d", ran.stdout)


def test_a_file_of_scores_is_gated_as_the_page_says(tmp_path):
    rows = "".join(f"q{n},{int(n % 10 < 9)}\n" for n in range(200))
    for name in ("candidate", "baseline"):
        (tmp_path / f"{name}.csv").write_text("item_id,score\n" + rows)
    first = blocks("docs/bring-your-own.md", "sh")[0].split()
    (code,) = blocks("docs/bring-your-own.md", "python")
    for command in (["-m", *first], ["-c", code]):
        ran = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("PASS")


def test_the_python_of_the_page_on_judges_runs(tmp_path):
    (code,) = blocks("docs/judges.md", "python")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    assert re.match(r"40 \([01]\.0, 'simulated'\)", ran.stdout)


def test_the_operations_page_names_every_metric():
    page = (ROOT / "docs" / "operations.md").read_text()
    source = (ROOT / "src" / "headgate" / "report" / "metrics.py").read_text()
    families = re.findall(r"(?:family|gauge)\(\s*\"(\w+)\"", source)
    assert len(families) > 15
    assert [name for name in families if f"`headgate_{name}" not in page] == []


def test_the_command_line_page_is_current():
    script = "import generate_cli; print(generate_cli.cli_page(), end='')"
    environment = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100", "PYTHONPATH": str(ROOT / "docs")}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert ran.stdout == (ROOT / "docs" / "cli.md").read_text()


def test_the_readme_holds_the_two_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert "pip install --quiet . && .venv/bin/headgate demo" in readme
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text()


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs" / "decisions" / "index.md").read_text()
    for page in sorted((ROOT / "docs" / "decisions").glob("0*.md")):
        assert f"({page.name})" in index


def test_the_prompts_page_names_every_ending():
    from headgate.registry.formats import promptfoo
    from headgate.registry.load import READERS

    page = (ROOT / "docs" / "prompts.md").read_text()
    endings = [ending for known, _, _ in READERS for ending in known]
    assert [ending for ending in endings if f"`{ending}`" not in page] == []
    assert [
        ending for ending in promptfoo.NUMBERED if f"{ending}#" not in page and ending not in {".jinja", ".jinja2"}
    ] == []


def test_every_page_link_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_on_github_says_what_is_so(tmp_path):
    page = (ROOT / "docs" / "ci" / "github.md").read_text()
    for line in [line for block in blocks("docs/ci/github.md", "sh") for line in block.splitlines()]:
        if line.startswith("headgate "):
            ran = call_here(*line.split()[1:], cwd=tmp_path)
            assert ran.returncode == 0, line + ran.stderr
    written = {str(path.relative_to(tmp_path / ".github")) for path in (tmp_path / ".github").rglob("*.yml")}
    assert set(re.findall(r"^\| `([\w/-]+\.yml)`", page, re.MULTILINE)) == written
    outputs = re.findall(
        r"^  ([\w-]+):$",
        (ROOT / "action.yml").read_text().partition("\noutputs:")[2].partition("\nruns:")[0],
        re.MULTILINE,
    )
    assert len(outputs) == 9
    assert [name for name in outputs if f"`{name}`" not in page] == []
