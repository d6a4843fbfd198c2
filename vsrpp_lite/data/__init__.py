"""Data sets: a split in memory, the format on disk, the tokenizers of captions, and the embedded scenes."""
