import numpy as np
import pytest
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from cxr_jax.data import builders
from tfds_builders.build import build
from tfds_builders.common import records
from tfds_builders.phantom import write_release

RAW = tfds.decode.DeserializeMethod.RAW_BYTES


@pytest.fixture(scope="module")
def masked_data(tmp_path_factory):
    """data_dir of the one dataset with two images per record."""
    folder = tmp_path_factory.mktemp("radiography")
    write_release("covid_radiography", folder / "release", 12, size=64)
    build(
        "covid_radiography/segmentation",
        folder / "release",
        folder / "data",
        quiet=True,
    )
    return folder / "data"


@pytest.mark.parametrize(
    "name, data_dir",
    [
        ("brixia/256", "brixia_data"),
        ("covidgr/256", "covidgr_data"),
        ("covid_radiography/segmentation", "masked_data"),
    ],
)
def test_tables_and_images_match_tfds(name, data_dir, request):
    builder = builders.open_builder(name, str(request.getfixturevalue(data_dir)))
    layout = records.layout(builder.info.features)
    stored = builder.as_data_source("all", deserialize_method=RAW)
    skip = {name: tfds.decode.SkipDecoding() for name in layout.pictures}
    theirs = list(builder.as_data_source("all", decoders=skip))
    assert "image" in layout.pictures
    assert ("mask" in layout.pictures) == ("segmentation" in name)
    for record, example in zip(stored, theirs, strict=True):
        found = records.pictures(record, layout.pictures)
        assert found == {name: example[name] for name in layout.pictures}
    table = records.table(stored, layout.columns)
    assert {*table, *layout.pictures} == set(theirs[0])
    for column, found in table.items():
        expected = np.asarray([example[column] for example in theirs])
        if isinstance(found, list):
            expected = np.char.decode(expected.astype(bytes))
            assert found == expected.tolist()
        else:
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype


def test_bytes_that_are_not_a_record_are_refused():
    columns = {"fold": tfds.features.Scalar(np.int32).get_serialized_info()}
    assert records.table([example(fold=3), example(fold=-1)], columns)[
        "fold"
    ].tolist() == [3, -1]
    with pytest.raises(IndexError):
        records.table([example(other=3)], columns)
    with pytest.raises(IndexError):
        records.pictures(example(other=3), ("image",))
    with pytest.raises(DecodeError):
        records.table([example(fold=3)[:-1]], columns)


def example(**numbers):
    built = tf_example_pb2.Example()
    for name, number in numbers.items():
        built.features.feature[name].int64_list.value.append(number)
    return built.SerializeToString()
