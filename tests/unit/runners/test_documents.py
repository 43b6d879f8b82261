"""The document example, run by the runner over its channel."""

import json

import pytest
from worker import TOP, closing, python_child

FOLDER = TOP / "examples" / "documents"


@pytest.fixture
def child(tmp_path):
    with closing(python_child("documents", cwd=FOLDER, env={"DOCUMENTS_OUT": str(tmp_path / "index")})) as child:
        assert child.frame()["hello"]["tasks"] == ["documents.names", "documents.process", "documents.search"]
        yield child


def test_a_document_goes_through_all_steps(child, tmp_path):
    states, done = child.run_states("documents.process", "bees.txt")
    result = done["result"]
    steps = [meta["step"] for state, meta in states]
    assert {state for state, _ in states} == {"PROGRESS"}
    assert steps == ["extract", "chunk"] + ["embed"] * result["chunks"] + ["store"]
    current = [meta["current"] for _, meta in states]
    assert current == sorted(current) and all(meta["total"] == 4 for _, meta in states)
    document = json.loads((tmp_path / "index" / "bees.txt.json").read_text())
    assert result["title"] == document["title"] == "How bees tell each other where the flowers are"
    assert len(document["chunks"]) == result["chunks"] > 3
    for chunk in document["chunks"]:
        assert abs(sum(x * x for x in chunk["vector"]) - 1) < 1e-3
    # Every sentence is in some chunk.
    text = (FOLDER / "texts" / "bees.txt").read_text().partition("\n")[2]
    assert " ".join(text.split()).endswith(document["chunks"][-1]["text"])
    assert list((tmp_path / "index").iterdir()) == [tmp_path / "index" / "bees.txt.json"]


def test_all_texts_can_be_searched(child):
    names = child.run("documents.names")["result"]
    assert len(names) >= 10
    for name in names:
        assert child.run("documents.process", name, kwargs={"output": "mine"})["result"]["name"] == name
    hits = child.run("documents.search", "why is Greenland so large on the map", kwargs={"output": "mine"})["result"]
    assert len(hits) == 3 and hits[0]["name"] == "maps.txt"
    hits = child.run("documents.search", "the moon and the tide", 1, "mine")["result"]
    assert [hit["name"] for hit in hits] == ["tides.txt"]


@pytest.mark.parametrize("arguments", [["../documents.py"], ["/etc/passwd"], [""], [7], [".hidden"], ["bees.txt", "../x"]])
def test_names_lead_nowhere_else(child, arguments):
    assert child.run("documents.process", *arguments)["error"]["type"] == "ValueError"


def test_a_missing_document_is_an_error(child):
    assert child.run("documents.process", "none.txt")["error"]["type"] == "FileNotFoundError"
