"""Everything that is drawn, from records and tensors that are already there.

plots      curves, points with intervals, grids of pictures: for any experiment
diagrams   UNets;  panels  explorers at rest;  explorers  pictures with sliders, and explorers.js, what they do
*_figures  what one experiment alone draws: a new figure goes here, unless `plots` can serve others with it
"""
