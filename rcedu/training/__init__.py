"""One trainer, `fit`, and the steps that it repeats.

random_conditioning_step  smaller: distillation with random conditioning
guided_steps              faster: stage 1, halving, consistency
teacher_step              plain denoising
draws                     what is random in a step, whoever computes it
swap_schedules            p(t) by name: a new one is one more line of FAMILIES
checkpoints               a run on disk;  logs  what one sees of it;  plan  what it will take, before it starts
"""
