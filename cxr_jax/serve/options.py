"""What a node is told when it starts."""

from __future__ import annotations

import ipaddress
import pathlib
import re
import urllib.parse
from collections.abc import Iterable
from typing import NamedTuple

from tfds_builders.common.errors import InputError

KINDS = ("sr", "sc", "pdf")
_PEER = re.compile(
    r"(?P<aet>[^@]+)@(?P<host>\[[0-9a-fA-F:.]+\]|[^:@\[\]]+):(?P<port>\d+)"
)
# The default character repertoire without backslash and control codes (PS3.5, 6.2).
_AET = re.compile(r"[ -\[\]-~]{1,16}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peer(NamedTuple):
    """Another node, as AET@HOST:PORT."""

    aet: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.aet}@{host}:{self.port}"


class Web(NamedTuple):
    """An archive with DICOMweb, by the URL below which `studies` is."""

    url: str

    def __str__(self) -> str:
        return self.url


class Tls(NamedTuple):
    """PEM files. authority: who signs the certificates of peers; None asks for none."""

    certificate: pathlib.Path
    key: pathlib.Path
    authority: pathlib.Path | None


class Limits(NamedTuple):
    """What peers may take.

    Attributes:
      associations: at once.
      pdu_bytes: of a protocol data unit, offered to the sender.
      object_bytes: of a film.
      object_seconds: from the first byte of a film to its last.
      idle_seconds: of an association in which nothing comes.
      opening_seconds: until an association is asked for, and for a TLS handshake.
      associations_per_minute: of one address; further ones are turned away.
      films_per_minute: of one address, which is slowed down; 0 for no limit.
    """

    associations: int = 16
    pdu_bytes: int = 1 << 17
    object_bytes: int = 128 << 20
    object_seconds: float = 300.0
    idle_seconds: float = 60.0
    opening_seconds: float = 10.0
    associations_per_minute: int = 600
    films_per_minute: int = 0


class Keeping(NamedTuple):
    """What the spool may take, and for how long.

    Attributes:
      spool_bytes: of films and results; above it films are refused.
      free_bytes: of the disk that are left to others.
      days: for which films and results are kept once all is sent.
      journal_days: for which the journal remembers a film, so that it is not scored
        again.
    """

    spool_bytes: int = 20 << 30
    free_bytes: int = 500 << 20
    days: float = 7.0
    journal_days: float = 400.0


class Options(NamedTuple):
    """Attributes:
    bundle: the model.
    spool: the folder of this node alone.
    out: a folder for the results, or None.
    send_to: the node or archive that is given the results, or None.
    send_tls: whether that connection is encrypted.
    kinds: of KINDS.
    gate: of `scoring.MODES`.
    aet: of this node.
    host, port: where it listens.
    calling: titles that may call; () for any.
    peers: networks that may call; () for this machine alone.
    tls: None for none.
    limits, keeping: see there.
    workers: processes that score.
    film_seconds: after which a film's scoring is given up.
    give_up_hours: after which a result that cannot be sent is given up.
    health_port: of localhost; 0 for a free one, -1 for none.
    drain_seconds: for what is under way when the node is told to stop.
    """

    bundle: pathlib.Path
    spool: pathlib.Path
    out: pathlib.Path | None = None
    send_to: Peer | Web | None = None
    send_tls: bool = False
    kinds: tuple[str, ...] = ("sr", "sc")
    gate: str = "refuse"
    aet: str = "CXRJAX"
    host: str = "127.0.0.1"
    port: int = 11112
    calling: tuple[str, ...] = ()
    peers: tuple[Network, ...] = ()
    tls: Tls | None = None
    limits: Limits = Limits()
    keeping: Keeping = Keeping()
    workers: int = 1
    film_seconds: float = 120.0
    give_up_hours: float = 72.0
    health_port: int = -1
    drain_seconds: float = 60.0


def destination(text: str) -> Peer | Web:
    """Of AET@HOST:PORT, or a URL. Raises InputError for anything else."""
    if "://" not in text:
        return peer(text)
    found = urllib.parse.urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname or found.query:
        hint = "give the URL of DICOMweb, as https://10.0.0.5/dicom-web"
        raise InputError("--send_to", f"is {text!r}", hint)
    if found.username is not None:
        hint = "put them into ~/.netrc, where no process list shows them"
        raise InputError("--send_to", "has a name or password in its URL", hint)
    if found.scheme == "http" and not _is_local(found.hostname):
        hint = "give an https:// URL; --tls_ca says who signs its certificate"
        raise InputError(
            "--send_to", f"{text}: patients' names would go in clear", hint
        )
    return Web(text.rstrip("/"))


def peer(text: str) -> Peer:
    """Of AET@HOST:PORT. Raises InputError for anything else."""
    found = _PEER.fullmatch(text)
    if not found or not 0 < int(found["port"]) < 65536:
        raise InputError(
            "--send_to", f"is {text!r}", "give AET@HOST:PORT, as ORTHANC@10.0.0.5:4242"
        )
    aet = title(found["aet"], "--send_to")
    return Peer(aet, found["host"].strip("[]"), int(found["port"]))


def title(text: str, flag: str) -> str:
    """An application entity title. Raises InputError for what is none."""
    if not _AET.fullmatch(text) or not text.strip():
        hint = "an AE title has 1 to 16 characters of ASCII, without a backslash"
        raise InputError(flag, f"{text!r} is no AE title", hint)
    return text.strip()


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Of 10.0.0.5 or 10.0.0.0/24. Raises InputError for what is no address."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            hint = "give addresses or networks, as 10.0.0.5,10.1.0.0/16"
            raise InputError("--peers", f"{text!r} is no address", hint) from None
    return tuple(found)


def check(options: Options) -> None:
    """Raises InputError for options that do not go together."""
    if (options.out is None) == (options.send_to is None):
        raise InputError(
            "--out and --send_to",
            "one of the two says where results go"
            + (
                ", and none is given" if options.out is None else ", and both are given"
            ),
            "give --out=FOLDER or --send_to=AET@HOST:PORT",
        )
    if not options.peers and not _is_local(options.host):
        raise InputError(
            "--peers",
            f"is not given, and --host={options.host} listens to other machines",
            "list the addresses that may send films, as --peers=10.0.0.5,10.1.0.0/16",
        )
    if options.send_tls and (options.tls is None or options.tls.authority is None):
        raise InputError(
            "--send_tls",
            "needs certificates",
            "give --tls_cert, --tls_key and --tls_ca",
        )
    unknown = [kind for kind in options.kinds if kind not in KINDS]
    if unknown or not options.kinds:
        hint = f"of: {', '.join(KINDS)}"
        if "seg" in unknown:
            hint += "; there are no segmentations: no bundle gives masks of lungs"
        raise InputError("--kinds", f"is {', '.join(options.kinds)!r}", hint)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
