"""rcedu: teach and reproduce random conditioning and guided step distillation.

Rings, from the inside out (an inner ring never imports an outer one):

0. equations  noise, random_conditioning, losses, guidance, sampling, progressive
1. things     files, data, conditions, codecs, pools, models, classifier, students, stable_diffusion, cache, ranks,
              captioned_digits, attribute_judge, prompt_writers
2. running    training, checkpoints, distillation, guided_distillation, recipes, unseen_digit, recognition, schedules,
              conditioning, metrics, report, provenance, mini_sd, mini_sd_anatomy, mini_sd_training, mini_sd_making, text_data,
              text_students, text_tables, images, domains, few_steps, few_step_training, few_step_tables,
              few_step_figures, small_and_fast, small_and_fast_figures, editing, edits, edit_tables, edit_figures,
              edit_frames, strokes, plots, diagrams, panels, widgets, notebooks, formulas, cli, pipeline_commands,
              text_commands, few_step_commands, speed_commands, notebook_commands, side_by_side, workers, anatomy,
              latency, benchmark, usual_loop, race, colab, assignments, times, checks (a folder: a module an
              assignment)
"""

__version__ = "0.1.0"
