"""Writing the same examples as the same bytes, whoever read them."""

import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2


class ExampleWriter(tfds.core.ExampleWriter):
    """TFDS's writer, with the features of an example always in one order.

    A serialised map has the order of its hash table, which is another in every
    process; two builds of one release would differ, and no checksum could tell that
    they are the same.
    """

    def write(self, path, examples):
        """Write (key, serialised tf.train.Example) pairs to one file."""
        return super().write(path, ((key, _ordered(data)) for key, data in examples))


def _ordered(serialised: bytes) -> bytes:
    example = tf_example_pb2.Example.FromString(serialised)
    return example.SerializeToString(deterministic=True)
