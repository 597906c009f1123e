"""Images: files, sizes, geometry, colour, filters and the transforms that feed networks."""

from miniten._core import (
    CenterCrop, ColorJitter, Compose, GaussianBlur, Grayscale, Normalize, Pad, RandAugment, RandomAffine, RandomCrop,
    RandomErasing, RandomGrayscale, RandomHorizontalFlip, RandomResizedCrop, RandomRotation, RandomVerticalFlip,
    Resize, ToTensor, Transform,
)
from miniten.utils.vision._functions import (
    adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, affine, autocontrast, canny,
    canny_edge_detection, center_crop, crop, denormalize, encode_image, flip_horizontal, flip_vertical,
    gaussian_blur, histogram_equalize, invert, load_image, normalize, otsu_threshold, pad, perspective, posterize,
    random_brightness, random_contrast, random_crop, random_flip, resize, rotate, save_image, sobel, sobel_filter,
    solarize, threshold, to_grayscale,
)
from miniten.utils.vision._mix import CutMix, MixUp

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "CutMix", "GaussianBlur", "Grayscale", "MixUp", "Normalize", "Pad", "RandAugment", "RandomAffine", "RandomCrop",
    "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomResizedCrop", "RandomRotation", "RandomVerticalFlip", "Resize", "ToTensor",
    "Transform", "adjust_brightness", "adjust_contrast", "adjust_hue", "adjust_saturation", "affine", "autocontrast", "canny", "canny_edge_detection",
    "center_crop", "crop", "denormalize", "encode_image", "flip_horizontal", "flip_vertical", "gaussian_blur", "histogram_equalize", "invert",
    "load_image", "normalize", "otsu_threshold", "pad", "perspective", "posterize", "random_brightness", "random_contrast", "random_crop",
    "random_flip", "resize", "rotate", "save_image", "sobel", "sobel_filter", "solarize", "threshold", "to_grayscale",
]
