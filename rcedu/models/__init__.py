"""Networks and their parts.

diffusion   a teacher or student as one object: UNet, scheduler, conditions, codec;  solvers  diffusers' samplers for it
folders     reading model folders, local or from the hub;  layouts  which layouts we support;  saved  the networks we write
conditions  how a label or a sentence enters the UNet;  two_encoders  the same for SDXL;  codecs  pixels and latents
surgery     students cut from a teacher: a new student gets its name and its cut here;  features  what L_feat compares
anatomies   the UNets themselves: the digits', mini-SD's, Stable Diffusion's
judges      classifiers that read pictures;  cost  counting a network's operations;  editing  edits by sampling
arithmetic  mixed precision and torch.compile
"""
