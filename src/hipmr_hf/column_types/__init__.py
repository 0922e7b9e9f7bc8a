"""What columns hold, as `datasets` writes it into files, without the second that importing it takes.

In: a schema of Arrow, or features of `datasets`. Out: `features.Features`, whose types have the names, the
fields and the text that they have there. Types that only `datasets` knows stay its own, and load it.
"""
