"""An "Example:" of a docstring is shown as code, as "Examples:" is; an extension of griffe."""

import griffe


class Examples(griffe.Extension):
    """Rename the section before it is read."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Griffe calls it with everything that it finds."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
