"""What an attacker gets back from encrypted images.

In: encrypted images, their settings, and what else the attacker is said to hold; models come as arguments.
Out: `base.AttackResult`s with reconstructions and scores. One folder a way: `jigsaw`, `trained`, `mixing`,
`tones`, `gradients`; `linkage` needs no reconstruction, `membership` attacks a trained model.
"""
