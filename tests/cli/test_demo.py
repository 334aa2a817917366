from __future__ import annotations

import json

import headgate as hg
from command_line import call, call_here


def test_the_demo_passes_the_harmless_change_blocks_the_harmful_one_and_can_be_run_again(tmp_path):
    ran = call("demo", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    verdicts = {
        n: json.loads((tmp_path / f"headgate-demo/verdict-{n}.json").read_bytes()) for n in ("harmless", "harmful")
    }
    assert {name: verdict["verdict"] for name, verdict in verdicts.items()} == {"harmless": "pass", "harmful": "fail"}
    assert "--- candidate: harmless\nPASS: " in ran.stdout
    assert "--- candidate: harmful\nFAIL: " in ran.stdout
    assert "headgate-demo/run/results/*.parquet" in ran.stdout
    assert hg.scan(tmp_path / "headgate-demo/run").collect().height == 4500
    assert hg.verify(tmp_path / "headgate-demo/run") == []
    ran = call_here("demo", "--quiet", cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
