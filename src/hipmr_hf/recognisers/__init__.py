"""What somebody recognises in a picture: faces, words, the scene; by recognisers that saw plain ones only.

In: pictures as uint8 arrays, plain, encrypted, or as an attacker put them together again. Out: answers, and
beside the plain picture and chance how many of them are left. The libraries come with the extra
`recognisers`, work offline, and are loaded when a recogniser is made; scenes take the folder of any backbone.
"""

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .base import Box, Line, Recogniser
    from .evidence import Evidence, FaceEvidence, SceneEvidence, WordEvidence
    from .faces import FaceDescriber, FaceFinder
    from .scenes import SceneDescriber
    from .sizes import Sizes, measure_sizes, size_warnings
    from .words import WordReader

_MODULES = {
    **dict.fromkeys(("Box", "Line", "Recogniser"), "base"),
    **dict.fromkeys(("Evidence", "FaceEvidence", "SceneEvidence", "WordEvidence"), "evidence"),
    **dict.fromkeys(("FaceDescriber", "FaceFinder"), "faces"),
    **dict.fromkeys(("Sizes", "measure_sizes", "size_warnings"), "sizes"),
    "SceneDescriber": "scenes",
    "WordReader": "words",
}

__all__ = [
    "Box",
    "Evidence",
    "FaceDescriber",
    "FaceEvidence",
    "FaceFinder",
    "Line",
    "Recogniser",
    "SceneDescriber",
    "SceneEvidence",
    "Sizes",
    "WordEvidence",
    "WordReader",
    "measure_sizes",
    "size_warnings",
]

__getattr__, _ = lazy_names(__name__, _MODULES)
