"""Images: files, sizes, geometry, colour and filters."""

from miniten.utils.vision._functions import (
    adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, affine, autocontrast, canny,
    canny_edge_detection, center_crop, crop, denormalize, encode_image, flip_horizontal, flip_vertical,
    gaussian_blur, histogram_equalize, invert, load_image, normalize, otsu_threshold, pad, perspective, posterize,
    random_brightness, random_contrast, random_crop, random_flip, resize, rotate, save_image, sobel, sobel_filter,
    solarize, threshold, to_grayscale,
)

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_hue", "adjust_saturation", "affine", "autocontrast", "canny", "canny_edge_detection",
    "center_crop", "crop", "denormalize", "encode_image", "flip_horizontal", "flip_vertical", "gaussian_blur", "histogram_equalize", "invert",
    "load_image", "normalize", "otsu_threshold", "pad", "perspective", "posterize", "random_brightness", "random_contrast", "random_crop",
    "random_flip", "resize", "rotate", "save_image", "sobel", "sobel_filter", "solarize", "threshold", "to_grayscale",
]
