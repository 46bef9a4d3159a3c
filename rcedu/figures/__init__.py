"""Everything that is drawn: plots, diagrams, explorers."""
