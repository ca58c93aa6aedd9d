"""Image classifiers of transformers, with their layers found and their image processor: safetensors only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageClassification
from transformers.models.auto import modeling_auto

from service.errors import NetworkMismatch
from service.networks.loading import (
    DTYPES,
    UNLOADABLE,
    Network,
    chosen_device,
    device_name,
    head_is_loaded,
    naming_unloadable,
    refuse_dtype,
)
from service.networks.pictures import Pixels
from service.networks.processors import HubProcessor, Processor
from service.networks.vision_layers import VisionLayers, find_vision_layers, hidden_width
from service.results import NetworkFacts
from service.subjects import Checkpoint, Stream

PICTURES = modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
TEXTS = {**modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES, **modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}


@dataclass(frozen=True, eq=False, kw_only=True)
class VisionNetwork(Network):
    """A network that reads images. `processor` makes them ready, `found` are its layers. `predicts` says whether a
    classification head was loaded, `tokenizer` is None."""

    processor: Processor
    found: VisionLayers

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Its modules' names by depth, the first that of what the first layer is given."""
        return self.found.names

    @property
    def sites(self) -> tuple[tuple[int, Stream, int | None], ...]:
        """(depth, stream, Hugging Face's `hidden_states` entry or None) of every layer, by depth."""
        last = self.blocks.layers
        streams: list[Stream] = ["embedding", *last * ["residual"], "final"]  # type: ignore[list-item]
        return tuple((depth, streams[depth], entry) for depth, entry in enumerate(self.found.entries))

    def inputs(self, images: Sequence[Pixels]) -> dict[str, Tensor]:
        """Images as the module reads them, on its device: ``pixel_values``. Raises BadInput."""
        weight = next(self.module.parameters())
        return {"pixel_values": self.processor(images).to(weight.device, weight.dtype)}

    def read(self, inputs: dict[str, Tensor]) -> Any:
        """The module's output for ``pixel_values`` (images, channels, height, width) on its device."""
        pixels = inputs["pixel_values"]
        return self.module(pixels.to(next(self.module.parameters()).dtype))


def is_image_classifier(location: str, revision: str | None = None, trust_remote_code: bool = False) -> bool:
    """Whether a folder or hub name is one of an image classifier; False also where nothing can be said."""
    solely = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(location, **solely)
    except UNLOADABLE:
        return False
    saved = (config.architectures or [""])[0]
    told = saved.endswith("ForImageClassification") or (
        config.model_type in PICTURES and config.model_type not in TEXTS
    )
    return bool(told)


def load_image_classifier(
    location: str,
    checkpoint: Checkpoint,
    *,
    revision: str | None,
    device: str,
    dtype: str,
    attention: str | None,
    trust_remote_code: bool,
    weights_digest: str | None,
) -> VisionNetwork:
    """Load, check and describe an image classifier. Raises NetworkMismatch, BadInput (device, dtype)."""
    place = chosen_device(device)
    refuse_dtype(dtype)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    common: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    with naming_unloadable(location):
        config = AutoConfig.from_pretrained(location, **common)
        module, info = AutoModelForImageClassification.from_pretrained(
            location,
            config=config,
            use_safetensors=True,
            dtype=DTYPES[dtype],
            attn_implementation=attention,
            output_loading_info=True,
            **common,
        )
    predicts = head_is_loaded(module, info, location)
    processor = HubProcessor(_image_processor(location, common), channels_of(config))
    module = module.to(place).eval()
    return described(module, processor, checkpoint, predicts=predicts, weights_digest=weights_digest, place=place)


def _image_processor(location: str, common: dict[str, Any]) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(location, backend="pil", **common)
    except UNLOADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise NetworkMismatch(
            f"{location} has no image processor, which is the preprocessor_config.json that save_pretrained writes: {reason}"
        ) from error


def channels_of(config: Any) -> int:
    """How many channels a network reads."""
    inner = getattr(config, "vision_config", config)
    return int(getattr(inner, "num_channels", 3))


def described(
    module: nn.Module,
    processor: HubProcessor,
    checkpoint: Checkpoint,
    *,
    predicts: bool = True,
    weights_digest: str | None = None,
    place: torch.device | None = None,
) -> VisionNetwork:
    """A transformers image classifier in memory as a network, its layers found by one image. Raises NetworkMismatch."""
    held: Any = module
    config = held.config
    side = _side(config)
    grey = np.zeros((side, side, processor.channels), dtype=np.uint8)
    weight = next(module.parameters())
    found = find_vision_layers(module, processor([grey]).to(weight))
    facts = NetworkFacts(
        family=config.model_type,
        kind="vision",
        layers=found.blocks.layers,
        width=max(hidden_width(shape) for shape in found.shapes),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        dtype=str(weight.dtype).removeprefix("torch."),
        device=device_name(place or weight.device),
        attention=str(getattr(config, "_attn_implementation", None) or "eager"),
        normed_entry=found.blocks.normed_entry,
        activation=config.hidden_act if isinstance(getattr(config, "hidden_act", None), str) else None,
        weights_digest=weights_digest,
        sites=len(found.names),
    )
    return VisionNetwork(
        checkpoint, module, None, facts, found.blocks, predicts, None, processor=processor, found=found
    )


def _side(config: Any) -> int:
    """The side of an image to find the layers with."""
    size = getattr(getattr(config, "vision_config", config), "image_size", None) or 224
    return int(size if isinstance(size, int) else size[0])
