"""Everything that is drawn, from records and tensors that are already there: plots, diagrams, explorers."""
