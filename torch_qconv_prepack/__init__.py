"""Int8 convolution for PyTorch on CPUs: pack weights once, run, save and load them anywhere.

Importing the package registers the ops ``torch.ops.torch_qconv_prepack.*`` and the classes
``torch.classes.torch_qconv_prepack.Conv2dPackedParams`` and ``Conv3dPackedParams``. It changes
nothing else in torch; :func:`enable` does. The environment variable ``TORCH_QCONV_ENGINE``, read
then, names the engine that packs where nobody names one; a name that isn't in :func:`engines` is a
ValueError. ``TORCH_QCONV_ENABLE=1``, read then too, calls :func:`enable`.
"""

from torch_qconv_prepack import _library

__version__ = _library.load().version

from torch_qconv_prepack import _drop_in, _fake_kernels, _torch_function, checkpoint
from torch_qconv_prepack._default_engine import EngineContext, default_engine, engine
from torch_qconv_prepack._describe import ConvSummary, describe
from torch_qconv_prepack._drop_in import disable, enable, enabled, is_enabled
from torch_qconv_prepack._engine_info import EngineInfo, engines
from torch_qconv_prepack._params import PackedParams
from torch_qconv_prepack._scratch import release_scratch
from torch_qconv_prepack._states import from_quantized, from_state, get_state

_fake_kernels.register()
_torch_function.register()
_drop_in.enable_from_environment()

__all__ = [
    "ConvSummary",
    "EngineContext",
    "EngineInfo",
    "PackedParams",
    "__version__",
    "checkpoint",
    "default_engine",
    "describe",
    "disable",
    "enable",
    "enabled",
    "engine",
    "engines",
    "from_quantized",
    "from_state",
    "get_state",
    "is_enabled",
    "release_scratch",
]
