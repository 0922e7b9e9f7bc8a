"""From a picture as Pillow or numpy has it to upright RGB pixels that carry nothing else.

Client and owner share this room, so that both take a picture, or refuse it, alike: `encryption` hands it the
image that it is given, `images` the one that it opened from a file. It opens no files itself.
"""
