"""Apache Beam, for releases that are too large for one machine; optional."""

from typing import Any

from tfds_builders.common.errors import InputError


def runner(name: str | None, options: str) -> tuple[Any, Any]:
    """Beam's runner and its options; (None, None) without a runner.

    Args:
      name: as Beam spells it: 'DirectRunner', 'FlinkRunner', 'DataflowRunner', ...
      options: 'direct_num_workers=2,direct_running_mode=multi_processing'.

    Errors: InputError if Beam is not installed or does not know the name.
    """
    if name is None:
        if options:
            raise InputError(
                "--beam_pipeline_options",
                "used without --beam_runner",
                "Choose a runner: --beam_runner=DirectRunner",
            )
        return None, None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners import create_runner
    except ImportError:
        raise InputError(
            "--beam_runner",
            "Apache Beam is not installed",
            "pip install 'cxr_jax[beam]'; on one machine --num_workers does the same.",
        ) from None
    try:
        found = create_runner(name)
    except (ValueError, ImportError) as error:
        raise InputError(
            "--beam_runner", f"{name!r}: {error}", "Use the name of a Beam runner."
        ) from None
    given = [f"--{option}" for option in options.split(",") if option]
    return found, PipelineOptions(given)
