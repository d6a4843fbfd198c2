"""The seven systems, one file for each paper, and the encoders that several of them share."""
