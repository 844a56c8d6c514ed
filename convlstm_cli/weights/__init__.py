"""The shipped weights, each with a card: seed, clips, steps, hours, machine, figures; a run named `pretrained`.

Owns the names, files and cards of the weights, and what `pretrained` means where a RUN is taken.
May import runs, nn and the base modules; nothing of training, scoring or the terminal."""

NAME = "pretrained"
"""What the shipped weights are called where a RUN is taken. Here, so that `--help` can use it without torch."""
MEMBERS = "-members"
"""What is added to names of weights for those of networks that read noise, and so forecast members."""
