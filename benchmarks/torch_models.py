"""The same training in PyTorch; imported only by the processes that time it."""

from __future__ import annotations

import torch
import torchvision
from torch import nn

# Those of `cxr_jax.models` that torchvision has too, or that are written out here.
MODELS = (
    "resnet18",
    "resnet50",
    "densenet121",
    "mobilenet_v2",
    "convnext_tiny",
    "s4_cnn",
)


def make(name: str, side: int, outputs: int) -> nn.Module:
    """A model of `cxr_jax.models` for images [B, 1, side, side].

    torchvision's, with a first convolution from one channel instead of three; the S4
    CNN is written out here.
    """
    if name == "s4_cnn":
        return s4_cnn(side, outputs)
    model = getattr(torchvision.models, name)(num_classes=outputs)
    if name.startswith("resnet"):
        model.conv1 = one_channel(model.conv1)
    elif name.startswith("densenet"):
        model.features.conv0 = one_channel(model.features.conv0)
    elif name.startswith("convnext"):
        model.features[0][0] = one_channel(model.features[0][0])
    else:
        model.features[0][0] = one_channel(model.features[0][0])
        model.classifier[0] = nn.Identity()  # our dropout is 0 too
    return model


def one_channel(conv: nn.Conv2d) -> nn.Conv2d:
    """The same convolution for grey images."""
    settings = {"stride": conv.stride, "padding": conv.padding}
    bias = conv.bias is not None
    return nn.Conv2d(1, conv.out_channels, conv.kernel_size, bias=bias, **settings)


def s4_cnn(side: int, outputs: int) -> nn.Sequential:
    """cxr_jax.models.reproductions.S4CNN layer by layer."""
    layers, before, widths = [], 1, ((32, 64), (64, 64), (64,), (64, 64))
    for stage in widths:
        for width in stage:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            layers += [nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)]
            before = width
        layers += [nn.AvgPool2d(2), nn.Dropout(0.25)]
    flat = before * (side // 2 ** len(widths)) ** 2
    layers += [nn.Flatten(), nn.BatchNorm1d(flat, eps=1e-3, momentum=0.01)]
    layers += [nn.Linear(flat, 128), nn.ReLU(), nn.Dropout(0.25)]
    layers += [nn.BatchNorm1d(128, eps=1e-3, momentum=0.01), nn.Linear(128, outputs)]
    return nn.Sequential(*layers)


def standardised(images: torch.Tensor) -> torch.Tensor:
    """to_float|standardise of `cxr_jax.ops`."""
    images = images.float() / 255
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    spread = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / spread.clamp(min=1e-4)


def trainer(name, images, labels, *, outputs: int, dtype: str, compiled: bool):
    """Returns run(steps), which takes Adam steps and waits for the last.

    Args:
      name: of the model.
      images, labels: the batch, uint8 [B, side, side, 1] and int [B].
      outputs: number of classes.
      dtype: 'bfloat16' is autocast.
      compiled: from images to loss through torch.compile.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # As XLA does with float32 on a GPU, and a search for the fastest convolutions.
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    model = make(name, images.shape[1], outputs)
    model = model.to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    images = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    labels = torch.from_numpy(labels).long().to(device)

    def loss_of(images, labels):
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            pictures = standardised(images)
            logits = model(pictures.contiguous(memory_format=torch.channels_last))
        return nn.functional.cross_entropy(logits.float(), labels)

    if compiled:
        loss_of = torch.compile(loss_of, dynamic=False)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of(images, labels)
            loss.backward()
            optimiser.step()
        loss.item()

    return run


def scorer(name, images, *, outputs: int, dtype: str, compiled: bool, features: bool):
    """Returns run(times), which scores a batch without gradients, in eval mode.

    Args:
      name, images, outputs, dtype, compiled: see `trainer`.
      features: what the last layer is given, from pictures on the host to an array on
        the host; else the classes of a batch on the device.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    model = make(name, images.shape[1], outputs)
    if features:
        last = next(reversed(dict(model.named_children())))
        setattr(model, last, nn.Identity())
    model = model.to(device, memory_format=torch.channels_last).eval()
    on_host = torch.from_numpy(images)
    on_device = on_host.to(device)

    def scores(images):
        pictures = standardised(images.permute(0, 3, 1, 2))
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            return model(pictures.contiguous(memory_format=torch.channels_last)).float()

    if compiled:
        scores = torch.compile(scores, dynamic=False)

    @torch.inference_mode()
    def run(times: int) -> None:
        for _ in range(times):
            if features:
                scores(on_host.to(device)).cpu()
            else:
                found = scores(on_device).softmax(-1)
        if not features:
            found.cpu()

    return run


def multiplier(side: int, dtype: str):
    """Returns run(times), which multiplies two matrices [side, side]."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    matrix = torch.ones(side, side, dtype=getattr(torch, dtype), device=device) / side

    def run(times: int) -> None:
        product = matrix
        for _ in range(times):
            product = matrix @ product
        product[0, 0].item()

    return run
