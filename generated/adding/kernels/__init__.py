"""adding: fused node laws as operations of torch: of cpu.c where there is a C compiler, of cuda.py where there are a GPU and
Triton. model.py computes the same as it is written.

The first use compiles cpu.c for this machine, into a cache (CGC_KERNEL_CACHE). CGC_KERNELS=off leaves the kernels out.
Made by cgc; do not edit, compile again.
"""

import ctypes
import hashlib
import importlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("cpu.c")
NAMESPACE = "cgc_b09d2cc1c050"
MANY = 2**15  # so many elements are worth several threads
FLAGS = ["-std=c99", "-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-funswitch-loops"]
FLAGS += ["-fno-tree-loop-distribute-patterns"]  # which makes short copies calls of memcpy, or of what is as slow
FLAGS += ["-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]


class Law(NamedTuple):
    """A node law: does its slope follow from its value, also where that was drawn? `least`: so many nodes are worth a kernel, undrawn,
    or what torch calls this: `in_torch`.

    There are kernels for nodes that read their past (`recurrent`), and for others (`plain`).
    """

    name: str
    of_value: bool
    always: bool
    discrete: bool
    drawn: bool
    least: int
    in_torch: str
    recurrent: bool
    plain: bool


LAWS = {
    "Rect": Law("Rect", True, False, False, True, 4611686018427387904, "", True, False),
}


def cache_folder() -> Path:
    """Where compiled kernels are kept: a folder that can be written to."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("CGC_KERNEL_CACHE") or Path(base) / "cgc-kernels")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="cgc-kernels-"))
    return folder


def machine() -> str:
    """What compiled code depends on: the processor and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return " ".join([platform.machine(), *sorted(told)])


def _built(compiler: str, more: list[str], scratch: Path) -> str:
    """Compiles both halves of cpu.c at once, and links them; what the compiler says where it fails."""
    parts = [[f"-D{half}", "-c", str(SOURCE), "-o", str(scratch / f"{half}.o")] for half in ("FORWARD", "BACKWARD")]
    running = [subprocess.Popen([compiler, *FLAGS, *more, *part], stderr=subprocess.PIPE, text=True) for part in parts]
    said = [process.communicate(timeout=300)[1] for process in running]
    if any(process.returncode for process in running):
        return "".join(said) or "it says nothing"
    link = [compiler, "-shared", *more, *(part[-1] for part in parts), "-o", str(scratch / "kernels.so"), "-lm"]
    done = subprocess.run(link, capture_output=True, text=True, timeout=300)
    return (done.stderr or "it says nothing") if done.returncode else ""


def compiled() -> Path:
    """The shared library, compiled unless it is in the cache. Raises OSError, RuntimeError."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("there is no C compiler")
    parts = [SOURCE.read_bytes(), machine().encode(), compiler.encode(), " ".join(FLAGS).encode()]
    folder = cache_folder()
    library = folder / f"{hashlib.sha256(bytes(1).join(parts)).hexdigest()[:32]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            for more in (["-march=native", "-fopenmp"], ["-march=native"], []):
                failed = _built(compiler, more, Path(scratch))
                if not failed:
                    break
            else:
                raise RuntimeError(f"{compiler} failed: {failed.strip()[-500:]}")
            # another process may have done the same: either file will do
            os.replace(Path(scratch) / "kernels.so", library)
    return library


def wanted() -> bool:
    return os.environ.get("CGC_KERNELS", "on").lower() not in ("off", "0", "no")


def missed(error: Exception) -> None:
    warnings.warn(f"adding is computed without fused kernels: {error}", RuntimeWarning, stacklevel=4)


@cache
def gpu() -> ModuleType | None:
    """The kernels for GPUs; None where there are none, and why is said once."""
    try:
        return importlib.import_module(".cuda", __name__) if wanted() else None
    except (ImportError, RuntimeError, AttributeError) as error:
        return missed(error)


@cache
def library() -> ctypes.CDLL | None:
    """The kernels for this processor; None where there are none, and why is said once."""
    try:
        found = ctypes.CDLL(str(compiled())) if wanted() else None
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return missed(error)
    if found is None:
        return None
    p, n, i = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
    f, u = ctypes.c_float, ctypes.c_ulonglong
    for law in LAWS.values():
        if law.plain:
            getattr(found, f"{law.name}_forward").argtypes = [p, p, p, n, i, f, u, i]
            getattr(found, f"{law.name}_backward").argtypes = [p, p, p, n, i, i, i]
        if law.recurrent:
            getattr(found, f"{law.name}_recur").argtypes = [p, p, p, p, p, n, n, n, i, f, u, i]
            getattr(found, f"{law.name}_recur_backward").argtypes = [*[p] * 9, n, n, n, i, i, i]
    return found


def compiled_here(on_gpu: bool) -> bool:
    """Whether there are kernels in this process."""
    return (gpu if on_gpu else library)() is not None


# what torch.compiler.assume_constant_result does, which takes a second to import
compiled_here._dynamo_marked_constant = True


def available(x: Tensor) -> bool:
    """Whether kernels can be used here: torch.func transforms what is written in torch alone."""
    if not (x.is_cpu or x.is_cuda) or not compiled_here(x.is_cuda):
        return False
    return torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active()


def _place(x: Tensor | None) -> int | None:
    """Where a tensor is. Raises RuntimeError for one whose memory was given away."""
    place = None if x is None else x.data_ptr()
    if place == 0 and x.numel():
        raise RuntimeError("a tensor has no memory: is it a sharded parameter, outside of its module's forward?")
    return place


def _threads(elements: int) -> int:
    return torch.get_num_threads() if elements >= MANY else 1


def _seed(seed: Tensor | None) -> int:
    return 0 if seed is None else int(seed) % 2**64


def _half(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16


# --- operations: pure functions of tensors, numbers and a seed

OPERATIONS = {
    "recurrence": "(Tensor x, Tensor w, Tensor past, str law, float rate, Tensor? seed) -> Tensor",
    "recurrence_kept": "(Tensor x, Tensor w, Tensor past, str law, float rate, Tensor? seed) -> (Tensor, Tensor)",
    "recurrence_backward": "(Tensor g, Tensor x, Tensor w, Tensor past, Tensor h, str law, int how, float rate, Tensor? seed)"
    " -> (Tensor, Tensor, Tensor)",
}


def _recurrence(
    x: Tensor, w: Tensor, past: Tensor, law: str, rate: float, seed: Tensor | None, slopes: Tensor | None = None
) -> Tensor:
    x, past = x.contiguous(), past.contiguous()
    h = torch.empty_like(x)
    steps, features = x.shape[-2:]
    run = getattr(library(), f"{law}_recur")
    w = w.contiguous()
    places = map(_place, (x, w, past, h, slopes))
    run(*places, past.numel() // max(features, 1), steps, features, _half(x), rate, _seed(seed), _threads(x.numel()))
    return h


def _recurrence_kept(
    x: Tensor, w: Tensor, past: Tensor, law: str, rate: float, seed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Draws with their slopes."""
    slopes = torch.empty_like(x, dtype=torch.float32, memory_format=torch.contiguous_format)
    return _recurrence(x, w, past, law, rate, seed, slopes), slopes


def _recurrence_backward(
    g: Tensor, x: Tensor, w: Tensor, past: Tensor, h: Tensor, law: str, how: int, rate: float, seed: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    g, x, w, past = g.contiguous(), x.contiguous(), w.contiguous(), past.contiguous()
    steps, features = g.shape[-2:]
    gx, gpast, rows = torch.empty_like(g), torch.empty_like(past), past.numel() // max(features, 1)
    gw = w.new_empty(rows, features)
    run = getattr(library(), f"{law}_recur_backward")
    places = map(_place, (g, None if how == 3 else x, x if how == 3 else None, w, past, h, gx, gw, gpast))
    run(*places, rows, steps, features, _half(g), how, _threads(g.numel()))
    return gx, gw.sum(0), gpast


def _alike(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _fake_node_kept(x: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return _alike(x), x.new_empty(x.shape, dtype=torch.float32)


_fake_recurrence_kept = _fake_node_kept


def _fake_recurrence_backward(g: Tensor, x: Tensor, w: Tensor, past: Tensor, *more: object):
    return _alike(g), _alike(w), _alike(past)


def _function(name: str, on_gpu: bool):
    """What an operation does on a device; some are the same on both."""
    own = globals()[f"_{name}"]
    return getattr(gpu(), name, own) if on_gpu else own


def _on_gpu(name: str):
    return lambda *arguments: _function(name, True)(*arguments)


# the same kernels may be there from another copy of this folder
if not hasattr(getattr(torch.ops, NAMESPACE), next(iter(OPERATIONS))):
    _library = torch.library.Library(NAMESPACE, "FRAGMENT")
    for _name, _schema in OPERATIONS.items():
        _library.define(_name + _schema)
        _library.impl(_name, globals()[f"_{_name}"], "CPU")
        if not _name.endswith("_kept"):  # a GPU draws again, which takes less time than to read
            _library.impl(_name, _on_gpu(_name), "CUDA")
        _fake = globals().get(f"_fake_{_name}", _alike)
        torch.library.register_fake(f"{NAMESPACE}::{_name}", _fake, lib=_library)
OPS = getattr(torch.ops, NAMESPACE)


FLOATS = (torch.float32, torch.bfloat16)
TENSORS = {Tensor, torch.nn.Parameter}
PLAIN = {*TENSORS, type(None)}


def _watched(*tensors: Tensor | None) -> bool:
    """Whether something looks on: compilers, tracers, modes, fake tensors."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state():
        return True
    return not PLAIN.issuperset(map(type, tensors))


def _operation(name: str, *tensors: Tensor | None):
    """The operation as torch knows it where something looks on; else the function behind it."""
    return getattr(OPS, name) if _watched(*tensors) else _function(name, tensors[0].is_cuda)


# --- derivatives, and what model.py calls


def _once(_: Tensor | None = None) -> None:
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError("fused kernels have no second derivative: CGC_KERNELS=off computes without them")


def _drawn(rate: float, x: Tensor) -> Tensor | None:
    """A seed for one pass, from torch's generator: the CPU's, so that a seed gives the same draws everywhere, unless it must be drawn anew
    where a graph of what runs on the GPU is replayed."""
    if not rate:
        return None
    if torch.compiler.is_compiling() or (x.is_cuda and torch.cuda.is_current_stream_capturing()):
        return torch.randint(2**63 - 1, (), device=x.device)
    return torch.empty((), dtype=torch.int64, device="cpu").random_()


def _back(law: Law, rate: float, straight_through: bool) -> int:
    """From what the slope is computed: 0 the value, 1 the energy, 2 what is drawn; 3 is 2 where it was kept."""
    if rate == 0 or (straight_through and law.discrete):
        return 0 if law.of_value and rate == 0 else 1
    return 0 if law.always else 2


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, w: Tensor, past: Tensor, law: str, rate: float, seed: Tensor | None, how: int):
        if how == 2 and not x.is_cuda:
            h, slopes = _operation("recurrence_kept", x, w, past)(x, w, past, law, rate, seed)
            ctx.save_for_backward(slopes, w, past, h, None)
            ctx.law = law, 3, rate
            return h
        h = _operation("recurrence", x, w, past)(x, w, past, law, rate, seed)
        ctx.save_for_backward(h if how == 0 else x, w, past, h, seed if how == 2 else None)
        ctx.law = law, how, rate
        return h

    @staticmethod
    def backward(ctx, g: Tensor):
        _once()
        x, w, past, h, seed = ctx.saved_tensors
        return *_operation("recurrence_backward", g, w)(g, x, w, past, h, *ctx.law, seed), None, None, None, None


def fits_loop(law: object, rate: float, x: Tensor) -> bool:
    """Whether a kernel runs a law over the steps of these energies."""
    known = LAWS.get(type(law).__name__)
    return known is not None and known.recurrent and (rate == 0 or known.drawn) and x.dtype in FLOATS and available(x)


def recurrence(law: object, x: Tensor, w: Tensor, past: Tensor, rate: float, straight_through: bool) -> Tensor:
    """h[t] = law(x[t] + w h[t-1]), node by node: x is (..., steps, nodes), w (nodes,), past (..., 1 or more, nodes)."""
    known, before = LAWS[type(law).__name__], past.select(-2, -1).to(x.dtype)
    how = _back(known, rate, straight_through) if torch.is_grad_enabled() else 0
    return _Recurrence.apply(x, w.float(), before, known.name, rate, _drawn(rate, x), how)
