import cv2
import numpy as np

from cxr_jax.data import decode


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def test_stretch_fills_the_square_by_area_averaging():
    image = np.arange(8 * 4, dtype=np.uint16).reshape(8, 4) * 1000
    found = decode.image(png(image), 4, "stretch")
    expected = image.reshape(4, 2, 4).mean(axis=1)
    np.testing.assert_allclose(found[..., 0], expected, atol=0.5)
    assert found.dtype == np.uint16


def test_pad_keeps_every_pixel_and_centres_it():
    image = np.full((8, 4), 7, np.uint8)
    found = decode.image(png(image), 8, "pad")[..., 0]
    assert found[:, 2:6].tolist() == image.tolist()
    assert found[:, :2].sum() == found[:, 6:].sum() == 0
