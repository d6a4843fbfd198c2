"""Lesson 5. The caption loss: a decoder must be able to write the sentence from V* alone.

This is VSRN's text generation (ICCV 2019, section 3.4), which VSR++ keeps:

    L_gen = - sum_t log p(y_t | y_1 ... y_{t-1}, V*)          summed over a caption's words, mean over captions

A GRU reads V* into states E (B, R, H). A decoder GRU gets the true previous word (teacher forcing) and attends to E:

    e_r = w2 . tanh(W1 [E_r ; h])     a = softmax_r e     c = sum_r a_r E_r
    h'  = GRU([embedding(y_{t-1}) ; c], h)                log p = log_softmax(W_out h')

Three savings change no number. W1 is split, so that its product with E is computed once per caption and not once per
step. Captions are sorted by length, and a finished caption leaves the batch. The projection to the vocabulary is
computed only where there is a word to predict.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vsrpp_lite.global_alignment import in_full_precision, read
from vsrpp_lite.matcher import Comparison, Loss, evaluating


class CaptionDecoder(Loss):
    """The caption loss: the negative log-likelihood of the true caption, given V*.

    Raises:
        ValueError: the hidden size is below 1.
    """

    half_precision = True

    def __init__(self, vocabulary_size: int, word_size: int, embed_size: int, hidden_size: int, dropout: float = 0.2):
        super().__init__()
        if hidden_size < 1:
            raise ValueError(f"caption is {hidden_size}; expected the size of the caption decoder's state, at least 1")
        self.squeeze = nn.Linear(embed_size, hidden_size)
        self.reader = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.embedding = nn.Embedding(vocabulary_size, word_size)
        self.attend_regions = nn.Linear(hidden_size, hidden_size)  # the half of W1 for E
        self.attend_state = nn.Linear(hidden_size, hidden_size, bias=False)  # the half of W1 for h
        self.attend_score = nn.Linear(hidden_size, 1, bias=False)  # w2
        self.cell = nn.GRUCell(word_size + hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, vocabulary_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        """Return L_gen of a batch, from its encoded images and its true captions."""
        images, batch = comparison.images, comparison.batch
        return self.loss(images.fragments, images.mask, batch.tokens, batch.token_mask)

    def loss(
        self,
        regions: Float[Tensor, "B R D"],
        region_mask: Bool[Tensor, "B R"],
        tokens: Int[Tensor, "B W"],
        token_mask: Bool[Tensor, "B W"],
    ) -> Float[Tensor, ""]:
        """Return L_gen, the mean over captions. Tokens run from `<start>` to `<end>`; the first is not predicted."""
        lengths = token_mask.sum(1) - 1
        # with the longest caption first, the captions that still have a word to predict at step t are the first ones
        order = lengths.argsort(descending=True, stable=True)
        regions, region_mask, tokens = regions[order], region_mask[order], tokens[order]
        alive = (torch.arange(int(lengths.max()), device=lengths.device)[:, None] < lengths).sum(1).tolist()

        states, hidden = self.read(regions, region_mask)
        keys = self.attend_regions(states)
        outputs = []
        for word, count in zip(self.dropout(self.embedding(tokens)).unbind(1), alive, strict=False):
            if count < len(hidden):  # finished captions leave the batch
                hidden, states, keys = hidden[:count], states[:count], keys[:count]
                region_mask = region_mask[:count]
            hidden = self.step(word[:count], hidden, states, keys, region_mask)
            outputs.append(hidden)
        targets = torch.cat([tokens[:count, step + 1] for step, count in enumerate(alive)])
        return cross_entropy(self.output(torch.cat(outputs)), targets, reduction="sum") / len(tokens)

    def read(
        self, regions: Float[Tensor, "B R D"], mask: Bool[Tensor, "B R"]
    ) -> tuple[Float[Tensor, "B R H"], Float[Tensor, "B H"]]:
        """Return E and the decoder's first state."""
        return read(self.reader, self.dropout(self.squeeze(regions)), mask)

    def step(
        self,
        word: Float[Tensor, "B word"],
        hidden: Float[Tensor, "B H"],
        states: Float[Tensor, "B R H"],
        keys: Float[Tensor, "B R H"],
        mask: Bool[Tensor, "B R"],
    ) -> Float[Tensor, "B H"]:
        """Return h': attend to the regions, then read the previous word. `keys` is E times its half of W1."""
        energy = self.attend_score(torch.tanh(keys + self.attend_state(hidden)[:, None])).squeeze(2)
        attention = energy.masked_fill(~mask, -torch.inf).softmax(1)
        context = (attention[:, None] @ states).squeeze(1)
        return in_full_precision(self.cell, torch.cat([word, self.dropout(context)], 1), hidden)

    @torch.no_grad()
    def write(
        self, regions: Float[Tensor, "B R D"], mask: Bool[Tensor, "B R"], *, start: int, end: int, longest: int = 20
    ) -> list[list[int]]:
        """Write a caption for each image, with the likeliest word at each step. Return ids without start and end."""
        written = []
        with evaluating(self):  # dropout would make it another sentence each time
            states, hidden = self.read(regions, mask)
            keys = self.attend_regions(states)
            word = torch.full((len(regions),), start, device=regions.device)
            for _ in range(longest):
                hidden = self.step(self.embedding(word), hidden, states, keys, mask)
                word = self.output(hidden).argmax(1)
                written.append(word)
        rows = torch.stack(written, 1).tolist()
        return [row[: row.index(end)] if end in row else row for row in rows]
