"""One trainer, `fit`, and the steps that it repeats."""
