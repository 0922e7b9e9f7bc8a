"""Weights that others trained, brought to an encryption with public pictures, which need no protection.

In: a PEViT converted from a plain model, settings, and public pictures that may be seen plain. Out: the same
model with a patch embedding fitted to encrypted patches (`refit`), and the loss by which it learns to see in
encrypted pictures what its teacher sees in the plain ones (`distillation`). No private picture has a place
here, and nothing on the builder's side (`models`, `training`) reaches this room, for it reads plain ones.
"""
