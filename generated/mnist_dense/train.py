"""Trains the model of model.py on MNIST.

    python train.py                              one process
    torchrun --nproc-per-node 4 train.py         several; they share out every batch

Writes best.pt (the checkpoint with the lowest validation loss), last.pt, metrics.jsonl (one line per epoch), test.json
and arguments.json into runs/mnist_dense/<n>/.
An epoch depends on the checkpoint before it, the seed and its number, and on nothing else. So `--resume` repeats a
broken epoch bit by bit, given the same machine and the same number of threads and processes.

Made by cgc from mnist_dense.yaml; do not edit.
"""

import argparse
import gc
import gzip
import hashlib
import json
import math
import os
import signal
import struct
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing.errors import record

if __package__:
    from .model import Model
else:  # run as a file
    from model import Model

    if Path(__file__).with_name("kernels").is_dir():  # what the package does for model.py
        import kernels

        sys.modules["model"].kernels = kernels

NAME = "mnist_dense"
RANK = int(os.environ.get("RANK", 0))  # these three are set by torchrun
LOCAL_RANK = int(os.environ.get("LOCAL_RANK", 0))
WORLD = int(os.environ.get("WORLD_SIZE", 1))
PASSING = ("resume", "quiet", "gap", "gap_part", "gap_draws")  # arguments that a resumed run does not keep

Examples = tuple[Tensor, Tensor]  # inputs and targets


def stop(message: str, status: int = 2) -> NoReturn:
    """Ends the program with a message for its user, once per machine."""
    if LOCAL_RANK == 0:
        print(f"train.py: {message}", file=sys.stderr)
    sys.exit(status)


def checkpoint(file: str | Path, *names: str) -> dict[str, Any]:
    """What train.py has saved there: the state of the model, and of what is called `names`."""
    if not Path(file).is_file():
        stop(f"there is no file {file}")
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
        tensors = all(isinstance(value, Tensor) for value in saved["model"].values())
        known = tensors and all(name in saved for name in names)
    except Exception:  # whatever a damaged file makes torch say
        known = False
    return saved if known else stop(f"{file} is no checkpoint that train.py has written")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; what it leaves open is as in the run that it resumes, or else as in the spec."""

    def path(text: str) -> str:
        return str(Path(text).resolve())

    parser = argparse.ArgumentParser("train.py", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--epochs", type=int, default=100, help="passes over the training examples, at most")
    add("--batch-size", type=int, default=32, help="examples per update, over all processes, at most")
    add("--learning-rate", type=float, default=0.01, help="at the start")
    add("--seed", type=int, default=0, help="of start values, order and samples")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="such as cpu, cuda, cuda:1")
    add("--threads", type=int, default=torch.get_num_threads(), help="on the CPU, per process")
    add("--data-dir", type=path, default="data/mnist", help="where the four files of MNIST are, gzipped or not")
    add("--runs-dir", type=path, default="runs", help="where <name>/<n> is made")
    add("--resume", nargs="?", const=True, metavar="DIR", help="go on with this run; without DIR, the newest")
    add("--quiet", action="store_true", help="say nothing but the result")
    add("--gap", type=path, metavar="CHECKPOINT", help="train nothing: how far is feed-forward from the model itself?")
    add("--gap-part", choices=("validation", "test"), default="validation", help="with --gap, on which examples")
    add("--gap-draws", type=int, default=200, help="with --gap, of every node; more of them narrow the intervals")
    args = parser.parse_args(argv)
    if args.resume is not None:
        runs = Path(args.runs_dir, NAME)
        run = runs / str(newest(runs) or "") if args.resume is True else Path(args.resume).resolve()
        if not (run / "last.pt").is_file():
            stop(f"there is no run to resume in {run}")
        try:
            saved = json.loads((run / "arguments.json").read_text())
            parser.set_defaults(**{name: saved[name] for name in vars(args) if name not in PASSING})
        except (OSError, ValueError, KeyError, TypeError):
            stop(f"{run / 'arguments.json'} is missing, or is not what train.py has written")
        args = parser.parse_args(argv)
        args.resume = run
        for name in ("batch_size", "learning_rate", "seed"):
            if getattr(args, name) != saved[name]:
                parser.error(f"--{name.replace('_', '-')} is {saved[name]} in {run}, and a resumed run keeps it")
    if min(args.epochs, args.threads) < 1 or not args.learning_rate > 0 or not 0 <= args.seed < 2**63:
        parser.error("--epochs and --threads must be at least 1, --learning-rate above 0, --seed at least 0")
    if args.gap and (args.gap_draws < 20 or args.gap_draws % 10 or WORLD > 1):
        parser.error("--gap runs in one process, with --gap-draws 20, 30, 40, ...")
    least = 1 if WORLD == 1 else 4 * WORLD  # so that each process has two examples of every batch
    if args.batch_size < least:
        parser.error(f"--batch-size must be at least {least}")
    return args


def newest(runs: Path) -> int:
    """The highest number of a run, 0 if there is none."""
    return max((int(run.name) for run in runs.glob("*") if run.name.isdecimal()), default=0)


def new_run(runs: Path) -> Path:
    """Makes the folder with the next number."""
    run = runs / str(newest(runs) + 1)
    try:
        run.mkdir(parents=True)
    except FileExistsError:  # taken in this moment by a run that starts beside this one
        return new_run(runs)
    except OSError as error:
        stop(f"cannot make {run}: {error.strerror}")
    return run


def write(path: Path, content: str | dict[str, Any]) -> None:
    """Writes a text or a checkpoint whole or, if something happens in between, not at all; the first process does."""
    if RANK == 0:
        part = path.with_name(path.name + ".part")
        part.write_text(content) if isinstance(content, str) else torch.save(content, part)
        os.replace(part, path)


def read_idx(folder: Path, name: str, rank: int) -> Tensor:
    """The file ``name`` or ``name``.gz, unsigned bytes in the IDX format, as a tensor of ``rank`` dimensions."""
    path = folder / name if (folder / name).is_file() else folder / f"{name}.gz"
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        start = 4 + 4 * rank
        magic, *shape = struct.unpack(f">{1 + rank}I", content[:start])
        if magic != 0x800 + rank or len(content) != start + math.prod(shape):
            raise ValueError
    except (OSError, EOFError, ValueError, struct.error, zlib.error):
        stop(f"{path} is not an IDX file of rank {rank}, or is damaged")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)


def read_part(folder: Path, part: str) -> Examples:
    """The images and labels of ``part``."""
    x = read_idx(folder, f"{part}-images-idx3-ubyte", 3)
    y = read_idx(folder, f"{part}-labels-idx1-ubyte", 1).long()
    if len(x) != len(y) or len(x) < 2 or x.shape[1:] != (28, 28) or y.max() >= 10:
        stop(f"{folder}: {part} is not images of 28 x 28 and as many labels from 0 to 9")
    x = x.reshape(-1, 784) / 255
    return x, y


def load_data(folder: Path) -> dict[str, Examples]:
    """70,000 handwritten digits of 28 x 28 pixels; the last 20% of the training files are for validation."""
    parts = ("train", "t10k")
    names = [f"{part}-{kind}-ubyte" for part in parts for kind in ("images-idx3", "labels-idx1")]
    missing = [name for name in names if not any((folder / f"{name}{end}").is_file() for end in ("", ".gz"))]
    if missing:
        wanted = "".join(f"\n  {name} (or {name}.gz)" for name in missing)
        stop(f"MNIST is not complete in {folder}. Put there, or name their folder with --data-dir:{wanted}")
    (x, y), test = (read_part(folder, part) for part in parts)
    first = len(x) - max(1, round(0.2 * len(x)))
    return {"training": (x[:first], y[:first]), "validation": (x[first:], y[first:]), "test": test}


def shared(value: Any) -> Any:
    """The first process's value, on every process."""
    box = [value]
    if WORLD > 1:
        dist.broadcast_object_list(box)
    return box[0]


def average(sums: Tensor, count: int) -> list[float]:
    """Sums over the examples of each process → means over the ``count`` examples of all."""
    if WORLD > 1:
        dist.all_reduce(sums)
    return (sums.cpu().double() / count).tolist()


def mix(*key: int) -> int:
    """A seed of its own for every ``key``."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8])


class Objective(nn.Module):
    """The loss as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.model.loss(x, y)


def train_epoch(
    args: argparse.Namespace, objective: nn.Module, optimizer: torch.optim.Optimizer, data: Examples, epoch: int
) -> float:
    """One pass over the training examples; returns their mean loss."""
    x, y = data
    objective.train()
    total = torch.zeros(1, device=x.device)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(mix(args.seed, epoch))).to(x.device)
    # equal parts rather than full batches and a rest, as a rest of one example has no batch statistics
    batches = order.tensor_split(math.ceil(len(x) / args.batch_size))
    bar = RANK == 0 and not args.quiet and sys.stdout.isatty()
    for step, batch in enumerate(batches):
        rows = batch.tensor_split(WORLD)[RANK]
        loss = objective(x[rows], y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(rows)
        if bar and step % (len(batches) // 40 + 1) == 0:
            print(f"\r[{'#' * (40 * step // len(batches)):40}]", end="\r", flush=True)
    return average(total, len(x))[0]


@torch.no_grad()
def evaluate(model: Model, data: Examples, size: int) -> dict[str, float]:
    """Mean loss and accuracy, inferred as the spec says for evaluation."""
    x, y = data
    model.eval()
    if WORLD > 1:
        for buffer in model.buffers():  # running statistics are those of the first process, as in its checkpoint
            dist.broadcast(buffer, 0)
    sums = torch.zeros(2, device=x.device)
    for rows in torch.arange(len(x), device=x.device).tensor_split(WORLD)[RANK].split(size):
        sums[0] += model.loss(x[rows], y[rows]) * len(rows)
        sums[1] += (model.decode(x[rows]) == y[rows]).sum()
    return dict(zip(("loss", "accuracy"), average(sums, len(x)), strict=True))


def best_epoch(history: list[dict[str, Any]]) -> int:
    """The first epoch with the lowest validation loss; 0 if there is none."""
    return min(history, key=lambda row: row["validation_loss"])["epoch"] if history else 0


def train(args: argparse.Namespace, device: torch.device) -> None:
    """Trains, keeps checkpoints, and tests the best and the last of them."""
    data = {part: (x.to(device), y.to(device)) for part, (x, y) in load_data(Path(args.data_dir)).items()}
    torch.manual_seed(args.seed)
    model = Model().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        factor=0.1,
        patience=10,
        threshold=0,
    )
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    history: list[dict[str, Any]] = []  # the lines of metrics.jsonl

    def load(path: Path) -> dict[str, Any]:
        return shared(checkpoint(path, *parts, "history") if RANK == 0 else None)

    def save(*names: str) -> None:
        checkpoint = {name: part.state_dict() for name, part in parts.items()} | {"history": history}
        for name in names:
            write(run / name, checkpoint)
        write(run / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in history))

    if args.resume:
        run = args.resume
        saved = load(run / "last.pt")
        try:
            for name, part in parts.items():
                part.load_state_dict(saved[name])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            stop(f"{run / 'last.pt'} belongs to another model: {error}")
        history += saved["history"]
    else:
        run = shared(new_run(Path(args.runs_dir, NAME)) if RANK == 0 else None)
    settings = {name: value for name, value in vars(args).items() if name not in PASSING}
    write(run / "arguments.json", json.dumps(settings, indent=2) + "\n")
    save("last.pt")

    say: Callable[..., object] = (lambda *_, **__: None) if args.quiet or RANK > 0 else print
    say(", ".join(f"{len(x):,} {part}" for part, (x, _) in data.items()), f"examples; {device}; {run}", flush=True)
    objective = Objective(model)
    if WORLD > 1:
        objective = nn.parallel.DistributedDataParallel(objective)
    for epoch in range(len(history) + 1, args.epochs + 1):
        if len(history) - best_epoch(history) >= 20:
            say(f"stopped early: no better validation loss than that of epoch {best_epoch(history)}")
            break
        began = time.perf_counter()
        torch.manual_seed(mix(args.seed, epoch, RANK))
        row = {"epoch": epoch, "learning_rate": optimizer.param_groups[0]["lr"]}
        row["train_loss"] = train_epoch(args, objective, optimizer, data["training"], epoch)
        validation = evaluate(model, data["validation"], args.batch_size)
        row |= {f"validation_{name}": value for name, value in validation.items()}
        row["seconds"] = round(time.perf_counter() - began, 3)
        if not math.isfinite(row["train_loss"] + row["validation_loss"]):
            stop(f"the loss is not finite in epoch {epoch}; try a lower --learning-rate", status=1)
        schedule.step(row["validation_loss"])
        history.append(row)
        save(*(["best.pt"] if best_epoch(history) == epoch else []), "last.pt")
        say("  ".join(f"{name.replace('_', ' ')} {value:<6.4g}" for name, value in row.items()), flush=True)

    tests = {}
    for name, words in (("best", "the best on validation"), ("last", "the last")):
        saved = load(run / f"{name}.pt")
        model.load_state_dict(saved["model"])
        epoch = len(saved["history"])
        torch.manual_seed(mix(args.seed, epoch, RANK))
        tests[name] = {"epoch": epoch, **evaluate(model, data["test"], args.batch_size)}
        if RANK == 0:
            print(f"test accuracy {tests[name]['accuracy']:.4f} at epoch {epoch}, {words}")
    write(run / "test.json", json.dumps(tests, indent=2) + "\n")
    if RANK == 0:
        print(f"wrote best.pt, last.pt, metrics.jsonl, test.json and arguments.json in {run}")


@torch.no_grad()
def gap(model: Model, given: Sequence[Tensor], size: int, draws: int) -> dict[str, tuple[float, float, float]]:
    """How far feed-forward (section 2.2) is from the model itself: the root mean square of q - E[X | x] over the nodes
    of a layer, its time steps and the examples, with its 95 % interval. It vanishes with the weights.

    q is the expectation by feed-forward, d_k is q less the expectation given the k-th draw of all nodes below (dropout
    nodes and inputs that are given as expectations among them). The mean of d_k d_l over k != l is an unbiased estimate
    of (q - E[X | x])^2. Ten groups of draws give ten estimates of the mean square, and Student's t the interval around
    their mean; the examples are taken as they are. Nodes that are functions of their energies are not listed.
    """
    sys.modules[Model.__module__].kernels = None  # they would not show what goes on in a layer
    active = ["model"]  # the layer that is being computed; what has no module of its own counts for what it stands in
    found: dict[str, list[Tensor]] = {}

    class Recorded(type(model.how[False])):
        def __call__(self, law, e: Tensor) -> Tensor:
            found.setdefault(active[-1], []).append(law.expectation(e))
            return super().__call__(law, e)

    def recorded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            active.append(name)
            result = call(*args, **kwargs)
            active.pop()
            return result

        return run

    def expectations(given: Sequence[Tensor], how: Any) -> dict[str, Tensor]:
        found.clear()
        model.how[False] = how
        output = model.expectation(*given)
        hidden = {name: torch.cat([values.flatten(1) for values in part], 1) for name, part in found.items()}
        return {name: value.double() for name, value in (hidden | {"y": output}).items()}

    for name, module in model.eval().named_modules():
        for method in ("forward", "step"):
            if hasattr(module, method):
                setattr(module, method, recorded(name, getattr(module, method)))
    feed_forward = Recorded(*model.inference("feed_forward", training=False).how[False])
    drawn = Recorded(rate=1.0, sampled=True)
    draws //= 10
    squares: dict[str, Tensor] = {}
    count: dict[str, int] = {}
    for rows in torch.arange(len(given[0]), device=given[0].device).split(max(1, size // draws)):
        q = expectations([x[rows] for x in given], feed_forward)
        for group in range(10):
            for name, value in expectations([x[rows.repeat(draws)] for x in given], drawn).items():
                d = q[name] - value.unflatten(0, (draws, -1))
                pairs = d.sum(0).square() - d.square().sum(0)
                total = squares.setdefault(name, d.new_zeros(10))
                total[group] += pairs.sum()
        for name, value in q.items():
            count[name] = count.get(name, 0) + value.numel()
    result = {}
    for name, total in squares.items():
        each = total / (count[name] * draws * (draws - 1))
        mean, half = each.mean(), 2.262 * each.std() / 10**0.5  # the quantile of Student's t with 9 degrees of freedom
        result[name] = tuple(value.clamp(min=0).sqrt().item() for value in (mean, mean - half, mean + half))
    return result


def report_gap(args: argparse.Namespace, device: torch.device) -> None:
    """Prints the gap of a checkpoint, layer by layer."""
    x, _ = load_data(Path(args.data_dir))[args.gap_part]
    given = [x.to(device)]
    model = Model().to(device)
    try:
        model.load_state_dict(checkpoint(args.gap)["model"])
    except RuntimeError as error:
        stop(f"{args.gap} is no checkpoint of this model: {error}")
    torch.manual_seed(args.seed)
    say = f"{len(given[0]):,} {args.gap_part} examples, {args.gap_draws} draws"
    print(f"root mean square of feed-forward less the model's expectation, layer by layer: {say}")
    for name, (estimate, low, high) in gap(model, given, args.batch_size, args.gap_draws).items():
        print(f"{name:<12} {estimate:<10.4g} [{low:.4g}, {high:.4g}]")


def main(argv: Sequence[str] | None = None) -> None:
    """Trains with the command line ``argv``, by default that of this process."""
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    if WORLD > 1:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    args = shared(arguments(argv) if RANK == 0 else None)
    torch.set_num_threads(args.threads)
    try:
        torch.zeros(1, device=args.device).item()  # not every device holds values
        device = torch.empty(0, device=args.device).device
        if args.device == "cuda" and WORLD > 1:
            device = torch.device("cuda", LOCAL_RANK)
            torch.cuda.set_device(device)
    except (AssertionError, RuntimeError) as error:
        stop(f"--device {args.device} cannot be used: {str(error).splitlines()[0]}")
    try:
        report_gap(args, device) if args.gap else train(args, device)
    except KeyboardInterrupt:
        stop("interrupted; --resume goes on from the last whole epoch", status=130)
    if WORLD > 1:
        gc.collect()  # DistributedDataParallel is part of cycles, and its threads must end before Python does
        dist.destroy_process_group()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has background jobs ignore it
    record(main)()
