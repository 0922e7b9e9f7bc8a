"""One picture in, one picture out.

In: the bytes of any picture file, a PIL image or an array. Out: fresh uint8 pixels that carry nothing else
(`reading.read_image`), the bytes of a fresh file (`writing.encode_image`), and the names of what a file holds
besides pixels (`chunks.foreign_parts`).
"""
