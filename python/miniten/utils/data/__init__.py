"""Datasets, samplers, splits and the loader.

Every draw comes from a generator of its own, keyed by (seed, epoch). Where no seed is given one is drawn, once, from the
generator that miniten.manual_seed sets.
"""

from miniten.utils.data._collate import collate
from miniten.utils.data._datasets import ArrayDataset, ConcatDataset, Dataset, IterableDataset, Subset, TransformDataset
from miniten.utils.data._files import CSVDataset, ImageFolder, MemmapDataset
from miniten.utils.data._loader import DataLoader
from miniten.utils.data._samplers import (
    BatchSampler, RandomSampler, Sampler, SequentialSampler, StratifiedSampler, SubsetSampler, WeightedRandomSampler,
)
from miniten.utils.data._splits import KFold, random_split, train_test_split

__all__ = [
    "ArrayDataset", "BatchSampler", "CSVDataset", "ConcatDataset", "DataLoader", "Dataset", "ImageFolder", "IterableDataset", "KFold", "MemmapDataset",
    "RandomSampler", "Sampler", "SequentialSampler", "StratifiedSampler", "Subset", "SubsetSampler", "TransformDataset", "WeightedRandomSampler", "collate",
    "random_split", "train_test_split",
]
