"""The flags of --mode=serve; `cxr_jax.main` adopts them, with --bundle and --port."""

from __future__ import annotations

import pathlib

from absl import flags

from cxr_jax.serve import options as options_lib
from cxr_jax.serve.options import Keeping, Limits, Options, Tls
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

_DEFAULT, _LIMITS, _KEEPING = (
    Options(pathlib.Path(), pathlib.Path()),
    Limits(),
    Keeping(),
)
_WITH = "With --mode=serve: "


def _text(name: str, default: str, words: str):
    return flags.DEFINE_string(name, default, _WITH + words)


def _whole(name: str, default: int, words: str, lowest: int = 0):
    return flags.DEFINE_integer(name, default, _WITH + words, lower_bound=lowest)


def _real(name: str, default: float, words: str, lowest: float = 0.0):
    return flags.DEFINE_float(name, default, _WITH + words, lower_bound=lowest)


_SPOOL = _text(
    "spool", "", "a folder for this node alone: what came, until it is sent."
)
_OUT = _text("out", "", "a folder for the results; or --send_to.")
_SEND_TO = _text(
    "send_to",
    "",
    "AET@HOST:PORT of the node, or the URL of the DICOMweb, that is given the results.",
)
_SEND_TLS = flags.DEFINE_bool(
    "send_tls", False, _WITH + "results are sent over TLS, with the files of --tls_*."
)
_KINDS = flags.DEFINE_list(
    "kinds",
    list(_DEFAULT.kinds),
    _WITH + "the results: sr (structured report), sc (picture), pdf (page).",
)
_AET = _text("aet", _DEFAULT.aet, "the AE title of this node.")
_HOST = _text("host", _DEFAULT.host, "the address it listens on; 0.0.0.0 for all.")
_CALLING = flags.DEFINE_list("calling", [], _WITH + "AE titles that may call; all.")
_PEERS = flags.DEFINE_list(
    "peers",
    [],
    _WITH + "addresses and networks that may call, as 10.0.0.5,10.1.0.0/16; without it "
    "this machine alone.",
)
_CERTIFICATE = _text("tls_cert", "", "PEM file of this node's certificate: TLS only.")
_KEY = _text("tls_key", "", "PEM file of its key, without a password.")
_AUTHORITY = _text("tls_ca", "", "PEM file of who signs the peers' certificates.")
_ASSOCIATIONS = _whole("associations", _LIMITS.associations, "at once.", 1)
_PDU = _whole("pdu_kb", _LIMITS.pdu_bytes >> 10, "of a protocol data unit.", 4)
_FILM_MB = _whole("film_mb", _LIMITS.object_bytes >> 20, "of a film at most.", 1)
_FILM_TIME = _real(
    "transfer_seconds", _LIMITS.object_seconds, "for a film to come at most.", 0.1
)
_IDLE = _real("idle_seconds", _LIMITS.idle_seconds, "of silence at most.", 0.1)
_OPENING = _real(
    "opening_seconds", _LIMITS.opening_seconds, "for an association to begin.", 0.1
)
_CALLS = _whole(
    "calls_per_minute", _LIMITS.associations_per_minute, "of one address; 0: any."
)
_RATE = _whole("films_per_minute", _LIMITS.films_per_minute, "of one address; 0: any.")
_SPOOL_GB = _real(
    "spool_gb", float(_KEEPING.spool_bytes >> 30), "films are refused above it.", 0.001
)
_FREE_MB = _whole(
    "free_mb", _KEEPING.free_bytes >> 20, "films are refused when the disk has less."
)
_DAYS = _real("keep_days", _KEEPING.days, "films and results, once all is sent.")
_JOURNAL = _real(
    "keep_journal_days", _KEEPING.journal_days, "that a film came, and its UID."
)
_WORKERS = _whole("workers", _DEFAULT.workers, "processes that score.", 1)
_SCORE = _real(
    "score_seconds", _DEFAULT.film_seconds, "for the scoring of a film at most.", 0.1
)
_GIVE_UP = _real(
    "give_up_hours", _DEFAULT.give_up_hours, "until a result is not sent any more."
)
_HEALTH = _whole(
    "health_port", 8119, "of this machine alone; 0 for a free one, -1 for none.", -1
)
_DRAIN = _real(
    "drain_seconds", _DEFAULT.drain_seconds, "for what is under way at SIGTERM."
)

# All of them, for `cxr_jax.main`.
NAMES = tuple(
    each.name for each in list(globals().values()) if isinstance(each, flags.FlagHolder)
)


def options(bundle: str, port: int, gate: str) -> Options:
    """What the command line says.

    Args:
      bundle, gate: of the flags that other modes have too.
      port: the same; 0 for DICOM's own.

    Raises:
      InputError: a flag is missing, or cannot be used.
    """
    for name, value in (("bundle", bundle), ("spool", _SPOOL.value)):
        if not value:
            raise InputError(
                f"--{name}",
                "is not given",
                "python -m cxr_jax.main --mode=serve --bundle=FOLDER --spool=FOLDER "
                "--out=FOLDER",
            )
    return Options(
        bundle=expanded(bundle),
        spool=expanded(_SPOOL.value),
        out=expanded(_OUT.value) if _OUT.value else None,
        send_to=options_lib.destination(_SEND_TO.value) if _SEND_TO.value else None,
        send_tls=_SEND_TLS.value,
        kinds=tuple(_KINDS.value),
        gate=gate,
        aet=options_lib.title(_AET.value, "--aet"),
        host=_HOST.value,
        port=port or _DEFAULT.port,
        calling=tuple(options_lib.title(each, "--calling") for each in _CALLING.value),
        peers=options_lib.networks(_PEERS.value),
        tls=_tls(),
        limits=Limits(
            associations=_ASSOCIATIONS.value,
            pdu_bytes=_PDU.value << 10,
            object_bytes=_FILM_MB.value << 20,
            object_seconds=_FILM_TIME.value,
            idle_seconds=_IDLE.value,
            opening_seconds=_OPENING.value,
            associations_per_minute=_CALLS.value,
            films_per_minute=_RATE.value,
        ),
        keeping=Keeping(
            spool_bytes=int(_SPOOL_GB.value * (1 << 30)),
            free_bytes=_FREE_MB.value << 20,
            days=_DAYS.value,
            journal_days=_JOURNAL.value,
        ),
        workers=_WORKERS.value,
        film_seconds=_SCORE.value,
        give_up_hours=_GIVE_UP.value,
        health_port=_HEALTH.value,
        drain_seconds=_DRAIN.value,
    )


def _tls() -> Tls | None:
    given = [flag.value for flag in (_CERTIFICATE, _KEY, _AUTHORITY)]
    if not any(given):
        return None
    if not all(given[:2]):
        missing = "tls_key" if given[0] else "tls_cert"
        raise InputError(
            f"--{missing}",
            "is not given, and other files of --tls_* are",
            "give --tls_cert and --tls_key, and --tls_ca for certificates of peers",
        )
    certificate, key, authority = (expanded(text) if text else None for text in given)
    assert certificate is not None and key is not None
    return Tls(certificate, key, authority)
