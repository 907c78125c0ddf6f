"""The documented counts of the vectors, and which folders a run compares."""

import re
from pathlib import Path

import pytest

from stages.pools.families import FAMILIES
from tests.support.pools import vector_sets

DOCUMENT = Path(__file__).resolve().parents[4] / "docs/explanation/pricing-and-routing.md"
FILES = {
    "raydium-cpmm": "cpmm.json",
    "raydium-amm-v4": "ammv4.json",
    "raydium-clmm": "clmm.json",
    "meteora-dlmm": "dlmm.json",
    "meteora-damm-v2": "dammv2.json",
}


def numbers(cell: str) -> list[int]:
    """The terms of a sum: a number that begins the cell or follows a plus."""
    return [int(each.replace(",", "")) for each in re.findall(r"(?:^|\+ )([\d,]+)", cell.strip())]


@pytest.mark.parametrize("family", [each.name for each in FAMILIES])
def test_the_table_of_the_document_counts_the_committed_vectors(family: str) -> None:
    row = re.search(rf"^\| `{family}` \|(.*)\|$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    assert row is not None
    swaps, refused, steps, _recorded = map(numbers, row[1].split("|"))
    folders = vector_sets.searched([vector_sets.COMMITTED])
    reads = [vector_sets.read(folder / FILES[family]) for folder in folders]
    sets = [each["vectors"] for each in reads if each]
    # Sets on account bytes of mainnet come last, and have files of their own shape.
    assert swaps[: len(sets)] == [len(each) for each in sets]
    assert refused[: len(sets)] == [sum(not v["expected"]["ok"] for v in each) for each in sets]
    rows = [vector_sets.sequences(folder, family) for folder in folders]
    counts = [sum(len(each["steps"]) for each in row) for row in rows]
    assert steps == [count for count in counts if count]


def test_a_folder_that_does_not_exist_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else every test would be skipped, and the run would pass."""
    monkeypatch.setattr(vector_sets, "GIVEN", f"{tmp_path}:{tmp_path / 'missing'}")
    with pytest.raises(ValueError, match="missing is not a folder"):
        vector_sets.folders()


def test_files_are_read_from_several_folders_and_their_subfolders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held = [tmp_path / "a", tmp_path / "b" / "of_today"]
    for folder in held:
        folder.mkdir(parents=True)
        (folder / "clmm.json").write_text('{"vectors": []}', encoding="utf-8")
    monkeypatch.setattr(vector_sets, "GIVEN", f"{tmp_path / 'a'},{tmp_path / 'b'}")
    assert vector_sets.with_file("clmm.json") == held
