"""One trainer, `fit`, and the steps that it repeats.

random_conditioning_step  smaller: distillation with random conditioning
guided_steps              faster: stage 1, halving, consistency
teacher_step              plain denoising
batches                   the noisy batch that every distillation step starts from
draws                     the randomness of a step, the same on any number of ranks
swap_schedules            p(t) by name: to add one, add a line to FAMILIES
checkpoints               a run on disk;  logs  its table and pictures;  plan  what it will take, before it starts
"""
