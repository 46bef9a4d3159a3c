"""The notebooks with their own solutions, which fold out below the cells that readers fill in."""

import copy
import re

import nbformat

_SOLUTION = re.compile(r"<details>.*?^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def with_solutions(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy in which every cell that is to be filled in (tagged "fill-in") has the solution that folds out below it.

    ValueError for a cell that has none.
    """
    notebook = copy.deepcopy(notebook)
    for place, cell in enumerate(notebook.cells):
        if "fill-in" in cell.metadata.get("tags", ()):
            folded = next((following for following in notebook.cells[place:] if following.cell_type == "markdown"), None)
            solution = folded and _SOLUTION.search(folded.source)
            if not solution:
                raise ValueError(f"no <details> with the solution in ```python follows the cell {cell.source!r}")
            cell.source = solution[1].rstrip()
    return notebook
