"""Batches of sequences of different lengths, for engines that pad."""

import numpy


def pad(sequences):
    """ids, mask and token types, [sequences, longest]."""
    longest = max(len(sequence) for sequence in sequences)
    ids = numpy.zeros((len(sequences), longest), dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask, numpy.zeros_like(ids)
