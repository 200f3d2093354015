"""digits_dense: fused node laws as operations of torch: of cpu.c where there is a C compiler, of cuda.py where there are a GPU and
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
import threading
import warnings
from collections import OrderedDict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from torch import _C, Tensor
from torch.autograd import forward_ad
from torch.nn.modules import module as modules

SOURCE = Path(__file__).with_name("cpu.c")
NAMESPACE = "cgc_f34f03c7a959"
MANY = 2**15  # so many elements are worth several threads
FLAGS = ["-std=c99", "-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-funswitch-loops"]
FLAGS += ["-fno-tree-loop-distribute-patterns"]  # which makes short copies calls of memcpy, or of what is as slow
FLAGS += ["-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]


class Law(NamedTuple):
    """A node law: does its slope follow from its value, also where that was drawn? `least`: so many nodes are worth a kernel, undrawn,
    or what torch calls this: `in_torch`.

    There are kernels for nodes that read their past (`recurrent`), and for others (`plain`), of which some are `normalised` at once.
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
    normalised: bool


LAWS = {
    "Rect": Law("Rect", True, False, False, True, 4611686018427387904, "", False, True, True),
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
    warnings.warn(f"digits_dense is computed without fused kernels: {error}", RuntimeWarning, stacklevel=4)


@cache
def gpu() -> ModuleType | None:
    """The kernels for GPUs; None where there are none, and why is said once."""
    try:
        return importlib.import_module(".cuda", __name__) if wanted() else None
    except (ImportError, RuntimeError, AttributeError) as error:
        return missed(error)


LOADED: list[ctypes.CDLL] = []  # the same, once something has asked for it


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
        if law.plain and law.normalised:
            getattr(found, f"{law.name}_normalised").argtypes = [*[p] * 8, n, n, n, f, u, i, i]
            getattr(found, f"{law.name}_normalised_backward").argtypes = [*[p] * 7, n, n, n, i, i]
        if law.recurrent:
            getattr(found, f"{law.name}_recur").argtypes = [p, p, p, p, p, n, n, n, i, f, u, i]
            getattr(found, f"{law.name}_recur_backward").argtypes = [*[p] * 9, n, n, n, i, i, i]
        if law.recurrent and law.normalised:
            getattr(found, f"{law.name}_normalised_recur").argtypes = [*[p] * 10, n, n, n, f, u, i, i]
            getattr(found, f"{law.name}_normalised_recur_backward").argtypes = [*[p] * 12, n, n, n, i]
    found.all_within.argtypes = [p, n, ctypes.c_double, ctypes.c_double, i]
    LOADED.append(found)
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
    "node": "(Tensor e, str law, float rate, Tensor? seed) -> Tensor",
    "node_kept": "(Tensor e, str law, float rate, Tensor? seed) -> (Tensor, Tensor)",
    "node_backward": "(Tensor g, Tensor saved, str law, int how, float rate, Tensor? seed) -> Tensor",
}


def _node(e: Tensor, law: str, rate: float, seed: Tensor | None, slopes: Tensor | None = None) -> Tensor:
    e = e.contiguous()
    h = torch.empty_like(e)
    run = getattr(library(), f"{law}_forward")
    run(_place(e), _place(h), _place(slopes), e.numel(), _half(e), rate, _seed(seed), _threads(e.numel()))
    return h


def _node_kept(e: Tensor, law: str, rate: float, seed: Tensor | None) -> tuple[Tensor, Tensor]:
    """Draws with their slopes."""
    slopes = torch.empty_like(e, dtype=torch.float32, memory_format=torch.contiguous_format)
    return _node(e, law, rate, seed, slopes), slopes


def _node_backward(g: Tensor, saved: Tensor, law: str, how: int, rate: float, seed: Tensor | None) -> Tensor:
    g, saved = g.contiguous(), saved.contiguous()
    to = torch.empty_like(g)
    run = getattr(library(), f"{law}_backward")
    run(_place(g), _place(saved), _place(to), g.numel(), _half(g), how, _threads(g.numel()))
    return to


def _alike(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _fake_node_kept(x: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return _alike(x), x.new_empty(x.shape, dtype=torch.float32)


_fake_recurrence_kept = _fake_node_kept


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


class Seed(threading.local):
    """A place for such a seed in each thread, which costs less than a tensor each time."""

    def __init__(self) -> None:
        with torch.inference_mode(False):
            self.tensor = torch.empty((), dtype=torch.int64, device="cpu")
        self.number = ctypes.c_ulonglong.from_address(self.tensor.data_ptr())

    def drawn(self) -> int:
        self.tensor.random_()
        return self.number.value


SEED = Seed()


def _back(law: Law, rate: float, straight_through: bool) -> int:
    """From what the slope is computed: 0 the value, 1 the energy, 2 what is drawn; 3 is 2 where it was kept."""
    if rate == 0 or (straight_through and law.discrete):
        return 0 if law.of_value and rate == 0 else 1
    return 0 if law.always else 2


class _Node(torch.autograd.Function):
    @staticmethod
    def forward(ctx, e: Tensor, law: str, rate: float, seed: Tensor | None, how: int) -> Tensor:
        h = _operation("node", e)(e, law, rate, seed)
        ctx.save_for_backward(h if how == 0 else e, seed if how == 2 else None)
        ctx.law = law, how, rate
        return h

    @staticmethod
    def backward(ctx, g: Tensor):
        _once()
        saved, seed = ctx.saved_tensors
        return _operation("node_backward", g)(g, saved, *ctx.law, seed), None, None, None, None


class _NodeKept(torch.autograd.Function):
    """Draws on a processor, whose slopes are not computed again."""

    @staticmethod
    def forward(ctx, e: Tensor, law: str, rate: float, seed: Tensor) -> Tensor:
        h, slopes = _operation("node_kept", e)(e, law, rate, seed)
        ctx.save_for_backward(slopes)
        return h

    @staticmethod
    def backward(ctx, g: Tensor):
        _once()
        (slopes,) = ctx.saved_tensors
        return g * slopes if g.dtype == slopes.dtype else (g * slopes).to(g.dtype), None, None, None


def _by_product(e: Tensor, law: str, rate: float) -> Tensor:
    """Values where a backward pass in Python would take longer than a product: torch takes them for energies times slopes."""
    e = e.contiguous()
    values, slopes = torch.empty_like(e), torch.empty_like(e)
    run, seed = getattr(library(), f"{law}_forward"), SEED.drawn() if rate else 0
    run(e.data_ptr(), values.data_ptr(), slopes.data_ptr(), e.numel(), 0, rate, seed, _threads(e.numel()))
    h = e * slopes
    h.data = values
    h._backward_hooks = OrderedDict({-1: _once})  # as register_hook does
    h.grad_fn._register_hook_dict(h)
    return h


def fits(law: object, rate: float, e: Tensor) -> bool:
    """Whether a kernel computes a law of these energies: what torch does in one operation, or of few nodes, is left to torch."""
    known = LAWS.get(type(law).__name__)
    if known is None or not known.plain or (rate and not known.drawn):
        return False
    # what is compiled or exported is fused by others, and its sizes may be symbols
    if not rate and (torch.compiler.is_compiling() or e.numel() < known.least):
        return False
    return e.dtype in FLOATS and available(e)


def node(law: object, e: Tensor, rate: float, straight_through: bool) -> Tensor:
    """What the nodes of a law become: their expectations, or draws with probability `rate`. The shape is that of the energies."""
    known = LAWS[type(law).__name__]
    if known.in_torch and not rate:
        return getattr(torch, known.in_torch)(e)
    if not (torch.is_grad_enabled() and e.requires_grad):
        return _operation("node", e)(e, known.name, rate, _drawn(rate, e))
    how = _back(known, rate, straight_through)
    if e.is_cpu and e.dtype == torch.float32 and (how != 1 or rate == 0) and not _watched(e) and e.numel() <= 2**17:
        return _by_product(e, known.name, rate)
    if how == 2 and not e.is_cuda:
        return _NodeKept.apply(e, known.name, rate, _drawn(rate, e))
    return _Node.apply(e, known.name, rate, _drawn(rate, e), how)


class _Seen(NamedTuple):
    """Where the scale, shift and statistics of a normalisation lie, which were found fit for kernels, and room for what they come to."""

    places: tuple
    room: Tensor


def _looked_at(norm: torch.nn.Module, *own: Tensor | None) -> _Seen | None:
    """None where there is no kernel for what a module normalises with. Raises RuntimeError as `_place`."""
    # someone may have put another module there
    if type(norm).__name__ != "BatchNorm":
        return None
    count, known = own[0].numel(), [x for x in own if x is not None]
    fit = all(x.is_cpu and x.dtype is torch.float32 and x.is_contiguous() and x.numel() == count for x in known)
    return _Seen(tuple(map(_place, own)), own[0].new_empty(4, count)) if fit else None


def _normaliser(norm: torch.nn.Module, a: Tensor, features: int, bias, law: Law, rate: float, straight: bool, *more):
    """What is known of a normalisation of features by the batch, whether by statistics that are remembered, and whether there is a derivative,
    by which of `more` as well; None where there is no kernel."""
    weight, buffers, remembered = norm._parameters.get("weight"), norm._buffers, not norm.training
    mean, variance = buffers.get("running_mean"), buffers.get("running_var")
    # subclasses, and what looks on or transforms, are torch's
    if not TENSORS.issuperset(map(type, (a, weight, mean, variance, *more))) or type(bias) not in PLAIN:
        return None
    if _C._len_torch_dispatch_stack() or _C._get_tracing_state() or _C._are_functorch_transforms_active():
        return None
    if not law.normalised or (rate and not law.drawn) or forward_ad._current_level >= 0:
        return None
    if not (a.is_cpu and a.dtype is weight.dtype is torch.float32 and a.is_contiguous()):
        return None
    # what lies where it lay is what it was
    places = weight.data_ptr(), None if bias is None else bias.data_ptr(), mean.data_ptr(), variance.data_ptr()
    seen = norm.__dict__.get("_seen")
    if seen is None or seen.places != places:
        seen = norm.__dict__["_seen"] = _looked_at(norm, weight, bias, mean, variance)
    if seen is None or library() is None or _hooked(norm):
        return None
    if weight.numel() != features or a.numel() <= (0 if remembered else features):  # one value has no variance
        return None
    grad = a.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    for x in more:
        if x.dtype is not torch.float32 or not x.is_cpu:
            return None
        grad = grad or x.requires_grad
    grad = grad and torch.is_grad_enabled()
    # of statistics that are remembered there is no derivative here, nor slopes of what is not drawn where something is
    if grad and (remembered or (rate and _back(law, rate, straight) == 1)):
        return None
    return seen, remembered, grad


def _hooked(norm: torch.nn.Module) -> bool:
    """Whether someone wants to be told of what a module is given or gives."""
    own = norm._forward_hooks or norm._forward_pre_hooks or norm._backward_hooks or norm._backward_pre_hooks
    return bool(own) or modules._has_any_global_hook()


def _directly(function: type[torch.autograd.Function]):
    """`apply` without what it does for torch.func, which is not there where there is a kernel."""
    return super(torch.autograd.Function, function).apply


UNDRAWN = 2**17  # so many nodes are worth to be normalised here where they are not drawn, and have a derivative


def _normalised(a: Tensor, seen: _Seen, found: int, slopes, law: Law, rate: float, shape, remembered: bool) -> Tensor:
    """Nodes; what they are normalised with, and their slopes if these are kept, is left where it is told."""
    h, seed, run = torch.empty_like(a), SEED.drawn() if rate else 0, getattr(library(), f"{law.name}_normalised")
    run(a.data_ptr(), found, *seen.places, h.data_ptr(), slopes, *shape, rate, seed, remembered, _threads(a.numel()))
    return h


class _Normalised(torch.autograd.Function):
    """Nodes whose energies are normalised by the batch, on a processor: (rows, features, inner). One array beside them has what they were
    normalised with, (4, features), and their slopes unless these follow from values."""

    @staticmethod
    def forward(ctx, a: Tensor, weight: Tensor, bias: Tensor | None, more: tuple):
        seen, law, rate, shape = more
        kept, features = not law.of_value or (rate > 0 and not law.always), shape[1]
        beside = a.new_empty(4 * features + (a.numel() if kept else 0))
        found = beside.data_ptr()
        h = _normalised(a, seen, found, found + 16 * features if kept else None, law, rate, shape, False)
        ctx.save_for_backward(a, beside, None if kept else h)
        ctx.law = law.name, shape
        return h

    @staticmethod
    def backward(ctx, g: Tensor):
        _once()
        (a, beside, h), (law, shape) = ctx.saved_tensors, ctx.law
        g, found, to, features = g.contiguous(), beside.data_ptr(), torch.empty_like(a), shape[1]
        weight, bias = a.new_empty(features), a.new_empty(features)
        saved = found + 16 * features if h is None else h.data_ptr()
        run = getattr(library(), f"{law}_normalised_backward")
        places = g.data_ptr(), a.data_ptr(), found, saved, to.data_ptr(), weight.data_ptr(), bias.data_ptr()
        run(*places, *shape, h is None, _threads(a.numel()))
        return to, weight, bias if ctx.needs_input_grad[2] else None, None


_apply_normalised = _directly(_Normalised)


def normalised(law, norm, a: Tensor, bias: Tensor | None, axis: int, rate: float, straight: bool, valid=None):
    """What nodes become whose energies are `a`, normalised by the batch; None where no kernel does this at once. `axis` is that of features,
    1 or -1."""
    # sizes are not asked for where they are symbols; undrawn, few nodes are torch's, whose derivatives are not in Python
    if valid is not None or torch.compiler.is_compiling() or (not rate and norm.training and a.numel() < UNDRAWN):
        return None
    known, features = LAWS.get(type(law).__name__), a.shape[axis]
    given = known and known.plain and _normaliser(norm, a, features, bias, known, rate, straight)
    if not given:
        return None
    (seen, remembered, grad), count = given, a.numel()
    rows = a.shape[0] if axis == 1 else count // features
    shape = rows, features, count // (rows * features)
    if grad:
        return _apply_normalised(a, norm.weight, bias, (seen, known, rate, shape))
    # statistics of a batch are one call's own
    room = seen.room if remembered else torch.empty_like(seen.room)
    return _normalised(a, seen, room.data_ptr(), None, known, rate, shape, remembered)


def within(x: Tensor, low: float, high: float, states: bool = False) -> bool:
    """Whether a kernel has seen that all of a tensor lies between two numbers, or is one of them; nothing is compiled for this alone."""
    if not LOADED or type(x) not in TENSORS or x.dtype is not torch.float32 or not (x.is_cpu and x.is_contiguous()):
        return False
    if _C._len_torch_dispatch_stack() or _C._get_tracing_state() or _C._are_functorch_transforms_active():
        return False
    return x.numel() < MANY and LOADED[0].all_within(x.data_ptr(), x.numel(), low, high, states) == 1
