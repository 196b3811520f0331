"""What a hospital has: Orthanc as its archive, and DCMTK, on localhost."""

import contextlib
import json
import pathlib
import subprocess
import urllib.error
import urllib.request

import pydicom
from node_results import program
from nodes import SECONDS, free_port, until

AET = "ORTHANC"
_PLUGIN = pathlib.Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
# Films go on to the node as they come; results, which come back, do not.
_ROUTE = """function OnStoredInstance(instance, tags, metadata, origin)
  if tags['Modality'] == 'CR' or tags['Modality'] == 'DX' then
    SendToModality(instance, 'node')
  end
end
"""


class Orthanc:
    """An archive: REST on `http`, DICOM on `port`; web says whether it has DICOMweb."""

    def __init__(self, folder: pathlib.Path, node_port: int, routes: bool = False):
        self.port, self.http = free_port(), free_port()
        self.web = f"http://127.0.0.1:{self.http}/dicom-web"
        self.log = folder / "orthanc.log"
        (folder / "route.lua").write_text(_ROUTE)
        settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "orthanc"),
            "IndexDirectory": str(folder / "orthanc"),
            "HttpPort": self.http,
            "DicomPort": self.port,
            "DicomAet": AET,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomModalities": {"node": ["CXRJAX", "127.0.0.1", node_port]},
            "LuaScripts": [str(folder / "route.lua")] if routes else [],
            "Plugins": [str(_PLUGIN)] if _PLUGIN.exists() else [],
            "ConcurrentJobs": 2,
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program("Orthanc"), str(path)], stdout=log, stderr=log, cwd=folder
            )

    @property
    def has_web(self) -> bool:
        """Whether Debian's orthanc-dicomweb is installed."""
        return _PLUGIN.exists()

    def get(self, path: str) -> bytes:
        """The answer of its REST interface."""
        url = f"http://127.0.0.1:{self.http}{path}"
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return answer.read()

    def post(self, path: str, body: bytes) -> bytes:
        """The same after sending something."""
        url = f"http://127.0.0.1:{self.http}{path}"
        request = urllib.request.Request(url, data=body, method="POST")
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.read()

    def instances(self) -> dict[str, str]:
        """{Modality: its own name of the instance}, of one study."""
        found = {}
        for name in json.loads(self.get("/instances")):
            tags = json.loads(self.get(f"/instances/{name}/simplified-tags"))
            found[tags["Modality"]] = name
        return found

    def is_up(self) -> bool:
        """Whether it answers; raises where it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            self.get("/system")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True


@contextlib.contextmanager
def orthanc(folder: pathlib.Path, node_port: int, *, routes: bool = False):
    """An archive that is up; it is ended at the end."""
    archive = Orthanc(folder, node_port, routes)
    try:
        until(archive.is_up)
        yield archive
    finally:
        _end(archive.process)


@contextlib.contextmanager
def storescp(folder: pathlib.Path):
    """(port, folder) of DCMTK's receiver, which writes what it is sent."""
    port, out = free_port(), folder / "storescp"
    out.mkdir()
    command = [program("storescp"), "--output-directory", str(out), "-aet", "DEST"]
    process = subprocess.Popen([*command, str(port)])
    try:
        until(lambda: echoscu(port, "DEST"))
        yield port, out
    finally:
        _end(process)


def echoscu(port: int, aet: str) -> bool:
    """Whether a node answers DCMTK's C-ECHO."""
    command = [program("echoscu"), "-aec", aet, "127.0.0.1", str(port)]
    return not subprocess.run(
        command, check=False, capture_output=True, timeout=SECONDS
    ).returncode


def storescu(port: int, path: pathlib.Path, option: str) -> None:
    """Sends a file by DCMTK, in the transfer syntax that an option stands for."""
    command = [program("storescu"), option, "-aec", "CXRJAX", "127.0.0.1", str(port)]
    subprocess.run([*command, str(path)], check=True, timeout=SECONDS)


def dataset(archive: Orthanc, name: str) -> pydicom.Dataset:
    """An instance as the archive gives it out."""
    content = archive.get(f"/instances/{name}/file")
    return pydicom.dcmread(pydicom.filebase.DicomBytesIO(content))


def _end(process) -> None:
    process.terminate()
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
