"""Training loops one can read top to bottom, schedules, samplers and checkpoints with exact resume.

Randomness is stateless: what step k does follows from (seed, k) alone, so a run that resumes at
step k repeats the uninterrupted run bit for bit on one kind of processor and thread count.
"""
