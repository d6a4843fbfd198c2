"""The seven systems, one file per paper, and the image encoders that several of them share."""
