"""Data sets: a split in memory, the one format on disk, captions to token ids, the embedded scenes."""
