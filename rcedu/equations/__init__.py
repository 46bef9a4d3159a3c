"""The formulas of both papers, in torch alone: no files, no plots, nothing else of ours."""
