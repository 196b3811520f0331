"""The training of `end_to_end` in PyTorch, as a careful user would write it.

    python -m benchmarks.torch_training FOLDER MODEL SIDE BATCH EPOCHS [WORKERS [DTYPE]]

FOLDER holds the images as PNG files and `scores.npy`. Worker processes (2) read, decode
and augment; the model runs channels-last, in bfloat16 by autocast. Prints `step N`
after each step.
"""

import pathlib
import sys

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks import torch_models


class Films(Dataset):
    """Images [1, side, side] with mean 0 and variance 1, and six scores."""

    def __init__(self, folder: pathlib.Path, side: int):
        self.paths = sorted(folder.glob("*.png"))
        self.scores = torch.from_numpy(np.load(folder / "scores.npy")).long()
        self.augment = v2.Compose(
            [
                v2.Resize(side, antialias=True),
                v2.RandomAffine(
                    degrees=10,
                    translate=(0.05, 0.05),
                    scale=(0.9, 1.1),
                    interpolation=v2.InterpolationMode.BILINEAR,
                ),
                v2.ColorJitter(brightness=0.2, contrast=0.2),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        image = cv2.imread(str(self.paths[index]), cv2.IMREAD_UNCHANGED)
        image = torch.from_numpy(image.astype(np.float32) / np.iinfo(image.dtype).max)
        image, scores = self.augment(image[None]), self.scores[index]
        if torch.rand(()) < 0.5:
            image, scores = image.flip(-1), scores[[3, 4, 5, 0, 1, 2]]
        return (image - image.mean()) / image.std(), scores


def main(
    folder: str,
    name: str,
    side: str,
    batch: str,
    epochs: str,
    workers: str = "2",
    dtype: str = "float32",
) -> None:
    torch.manual_seed(0)
    films = Films(pathlib.Path(folder), int(side))
    loader = DataLoader(
        films,
        batch_size=int(batch),
        shuffle=True,
        drop_last=True,
        num_workers=int(workers),
        persistent_workers=True,
        pin_memory=torch.cuda.is_available(),
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    model = torch_models.make(name, int(side), 24).to(device)
    model = model.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-3, weight_decay=1e-2, fused=True
    )
    step = 0
    for _ in range(int(epochs)):
        for images, scores in loader:
            images = images.to(
                device, memory_format=torch.channels_last, non_blocking=True
            )
            with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
                logits = model(images).float().reshape(-1, 6, 4).transpose(1, 2)
            loss = torch.nn.functional.cross_entropy(logits, scores.to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
            loss.item()  # like a progress line: waits for the step
            print(f"step {step}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
