"""The formulas of both papers, in plain torch: no files, no plots, no imports from the rest of the package.

noise                x_t = alpha_t x0 + sigma_t eps, and conversions between eps, x0 and v
random_conditioning  p(t); the swap, `randomize`; `drop_condition`. A new p(t) starts here and gets a name in
                     training/swap_schedules
losses               L_out, L_feat, L_task, and the features they compare
guidance             classifier-free guidance, and w as an input of the network
sampling             DDIM: sampling, encoding, inpainting; the stochastic sampler; consistency sampling
progressive          halving: the time grids, and two teacher steps as one target
mixtures             a toy on a line for which all of this is known in closed form
"""
