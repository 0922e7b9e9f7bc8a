"""What goes to the Hub, and the words that go with it.

In: finished folders, settings and measured figures. Out: dataset and model cards (`cards`), repositories
(`publishing`), models that the Auto classes of transformers know (`auto_classes`).
"""
