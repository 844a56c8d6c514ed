"""Pretraining on made-up clips: what `scripts/pretrain` is made of."""
