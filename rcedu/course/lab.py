"""What `rcedu lab` opens: a copy of the notebooks to work in, so that whatever is saved there, the committed ones stay."""

from pathlib import Path

from nbformat import read
from nbformat.sign import NotebookNotary

from rcedu.colab import CHECKOUT
from rcedu.system.files import atomic_path, read_json, sha256, write_json, write_text

COPIED = ".copied.json"  # name -> SHA-256 of what was put there


def working_copy(folder: Path, source: Path = CHECKOUT / "notebooks") -> list[str]:
    """Copy the notebooks and the pages they link to, without their .py; what its reader has changed in `folder` is kept.

    The rest follows the checkout. Jupyter is told to trust what is copied: so the explorers move before anything was run.
    Returns what was kept although the checkout has a newer one.
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
        write_text(settings, 'formats = "ipynb"\n')  # else jupytext, where it is there, writes a .py beside each
    return older
