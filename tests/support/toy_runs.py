"""Small programs that begin, save, resume and end as a run does, in an instant."""

# Ends when its launcher does, as a run does: see `cxr_jax.train.signals`.
BEGIN = """
import hashlib, json, os, pathlib, signal, sys, threading, time
workdir = pathlib.Path({workdir!r})
def finish():
    seal = hashlib.sha256(b"{{}}").hexdigest()  # of an empty result
    (workdir / "results.json").write_text(json.dumps({{"digest": seal}}))
def follow(descriptor):
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
if "CXR_JAX_LAUNCHER" in os.environ:
    descriptor = int(os.environ["CXR_JAX_LAUNCHER"])
    threading.Thread(target=follow, args=(descriptor,), daemon=True).start()
print(workdir.name, file=open(workdir.parent / "started", "a"))
"""
# Saves on SIGTERM and Ctrl-C, and resumes; `steps` holds how far it is. It ends after
# so many steps, or when there is a file `enough` beside its workdir.
TRAIN = """
saved = workdir / "steps"
step = int(saved.read_text()) if saved.exists() else 0
print("begins at", step, flush=True)
asked = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda n, _: asked.append(n))
(workdir / "ready").touch()
while step < {steps} and not (workdir.parent / "enough").exists():
    time.sleep(0.02)
    step += 1
    if asked:
        saved.write_text(str(step))
        sys.exit(130 if asked[0] == signal.SIGINT else 0)
finish()
"""
