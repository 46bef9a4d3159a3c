"""Networks and their parts.

diffusion   a teacher or student as one object: UNet, scheduler, conditions, codec;  solvers  diffusers' samplers for it
folders     model folders, here or on the hub, and how their parts are read;  layouts  which of them we know;  saved  our own
conditions  how a label or a sentence enters;  two_encoders  how one enters SDXL;  codecs  pixels and latents
surgery     students cut out of a teacher. A new student gets its name and its cut here;  features  what L_feat compares
anatomies   the UNets themselves: the digits', mini-SD's, Stable Diffusion's
judges      who reads pictures;  cost  what a network costs, counted;  editing  edits by sampling
arithmetic  in which numbers a network computes, and whether compiled
"""
