"""Figures, drawn from records and tensors that exist already.

plots      curves, points with intervals, grids of pictures: for any experiment
diagrams   UNets;  panels  explorers as still pictures;  explorers  pictures with sliders, with their code in explorers.js
*_figures  figures of a single experiment: a new figure goes here, unless others can use it from `plots`
"""
