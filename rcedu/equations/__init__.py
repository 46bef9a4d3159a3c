"""The formulas of both papers, in torch alone: no files, no plots, nothing else of ours.

noise                x_t = alpha_t x0 + sigma_t eps, and what eps, x0 and v are of one another
random_conditioning  p(t); the swap, `randomize`; `drop_condition`. A new p(t) begins here; its name: training/swap_schedules
losses               L_out, L_feat, L_task, and the features they compare
guidance             classifier-free guidance, and how a network is told w
sampling             DDIM down, up and around a known part; the stochastic sampler; consistency's
progressive          halving: the grids, and two steps of a teacher as one target
mixtures             a toy on a line, in which all of this is known in closed form
"""
