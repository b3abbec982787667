"""The generated pages are those the code gives, and what the documents name exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rooftune.rewrite.order import all_steps

ROOT = Path(__file__).parents[1]


def test_reference_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr + "\nrun: python docs/generate.py"


def test_links_of_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_rule_is_in_the_reference_with_its_examples() -> None:
    page = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    parts = dict(zip(*[iter(re.split(r"^### (\w+)$", page, flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert parts.keys() == all_steps().keys()
    for name, step in all_steps().items():
        assert step.title in parts[name]
        shown = [1 if example.refused or not example.after.strip() else 2 for example in step.examples]
        assert parts[name].count("```text") == sum(shown), name
