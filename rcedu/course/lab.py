"""The copy of the notebooks that `rcedu lab` opens, so that readers' changes do not touch the committed ones."""

from pathlib import Path

from nbformat import read
from nbformat.sign import NotebookNotary

from rcedu.colab import CHECKOUT
from rcedu.system.files import atomic_path, read_json, sha256, write_json, write_text

COPIED = ".copied.json"  # name -> SHA-256 of the copied file


def working_copy(folder: Path, source: Path = CHECKOUT / "notebooks") -> list[str]:
    """Copy the notebooks and the pages they link to, without their .py; keep what the reader has changed in `folder`.

    Everything else follows the checkout. Jupyter is told to trust the copies, so that explorers work before anything is run.
    Returns the files that were kept although the checkout has newer ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copied = read_json(folder / COPIED, {str: str}) if (folder / COPIED).exists() else {}
    older = []
    for path in sorted([*source.glob("*.ipynb"), *source.glob("*.md"), *source.glob("evidence/*.*")]):
        name, digest = path.relative_to(source).as_posix(), sha256(path)
        mine = folder / name
        if mine.exists() and sha256(mine) not in (digest, copied.get(name)):
            older += [name] if copied.get(name) != digest else []
        elif not mine.exists() or copied.get(name) != digest:
            mine.parent.mkdir(exist_ok=True)
            with atomic_path(mine) as temporary:
                temporary.write_bytes(path.read_bytes())
            copied[name] = digest
            if mine.suffix == ".ipynb":
                NotebookNotary().sign(read(mine, as_version=4))
    write_json(folder / COPIED, copied)
    if not (settings := folder / ".jupytext.toml").exists():
        write_text(settings, 'formats = "ipynb"\n')  # or jupytext, if installed, writes a .py beside each
    return older
