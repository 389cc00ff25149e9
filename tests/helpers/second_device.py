"""A second device on a machine without one: it calls itself `cuda:0` and computes on the CPU.

`with second_device():` makes PyTorch and Lightning find one GPU. What is put on it is a `Far`
tensor around an ordinary one. Every operation comes by `compute`, which works on the ordinary
tensors, so values are real, after `refuse` has raised where a GPU raises:

- an operation on tensors of both devices, but for those that CUDA allows: numbers (no axes) in
  pointwise operations, indices on the CPU, copies;
- draws with a generator of the other device; the device has a random state of its own;
- `numpy()` of its tensors;
- a sparse product of two dtypes, and the sparse kernels that are the CPU's alone.

Autocast, autograd and optimisers are PyTorch's own: the tensors carry CUDA's dispatch keys, so
`autocast("cuda")` casts by CUDA's lists. To PyTorch's C++ they lie on `xla:0`, a device whose
tensors these lists take as well and for which autograd looks for no streams. Not seen: what
CUDA's kernels round, or refuse beyond this list; streams, memory, several GPUs, compiled models.
"""

import contextlib
import ctypes
import traceback
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
CPU = torch.device("cpu")
HERE = torch.device("cuda", 0)
CORE = torch.device("xla", 0)  # what C++ takes it for
COPIES = {aten._to_copy.default, aten.copy_.default}
BY_INDEX = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
WITH_NUMBER = {aten.masked_fill, aten.masked_fill_, aten.fill, aten.fill_}  # beside the pointwise
CPU_ALONE = {aten._sparse_mm_reduce_impl.default, aten._sparse_mm_reduce_impl_backward.default}


class Far(torch.Tensor):
    """A tensor on the device; `near` holds its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: HERE)
    is_cuda = property(lambda self: True)
    is_xla = property(lambda self: False)

    def __new__(cls, near):
        return torch.Tensor._make_subclass(cls, bare(near), device_for_backend_keys=HERE)

    def __init__(self, near):
        self.near = near

    def get_device(self):
        return 0

    def __repr__(self):
        return f"{self.near!r} on {HERE}"

    def __tensor_flatten__(self):
        """By this `Module.to` keeps the identity of parameters, as it does on a GPU."""
        return ["near"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Far(inner["near"])

    def __reduce_ex__(self, protocol):
        return self.near.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, call, types, args=(), kwargs=None):
        if "near" not in vars(args[0]):  # not made yet: `_make_subclass` takes its like
            return bare(args[0])
        return compute(call, args, kwargs or {})


def bare(like):
    """A `Far` without values, with XLA's dispatch keys."""
    places = {}
    if like.layout is torch.strided:  # C++ need not know of others
        places = {"strides": like.stride(), "storage_offset": like.storage_offset()}
    kind = {"dtype": like.dtype, "device": CORE, **places}
    return torch.Tensor._make_wrapper_subclass(Far, like.shape, **kind)


class Generator(torch.Generator):
    """PyTorch's generator, which may belong to the device."""

    def __new__(cls, device="cpu"):
        self = super().__new__(cls, "cpu")
        self.place = placed(torch.device(device))
        return self

    @property
    def device(self):
        return self.place


def is_far(value):
    return isinstance(value, Far)


def placed(value):
    """`HERE` for each of its names, anything else as it is."""
    if isinstance(value, str):
        return HERE if value in ("cuda", "cuda:0") else value
    return HERE if isinstance(value, torch.device) and value.type in ("cuda", "xla") else value


def refuse(call, args, tensors):
    """RuntimeError where a GPU would not do this."""
    kind, both = call.overloadpacket, tensors
    if kind in BY_INDEX:
        both = [v for v in (args[0], *args[2:]) if isinstance(v, torch.Tensor)]
        both = both if is_far(args[0]) else tensors
    if torch.Tag.pointwise in call.tags or kind in BY_INDEX | WITH_NUMBER:
        both = [v for v in both if v.ndim or is_far(v)]
    if call not in COPIES and len({v.device for v in both}) > 1:
        seen = ", ".join(f"{v.device} {[*v.shape]}" for v in tensors)
        raise RuntimeError(f"Expected all tensors to be on the same device: {call} got {seen}")
    if call in CPU_ALONE and any(map(is_far, tensors)):
        raise NotImplementedError(f"{call} has no kernel on {HERE}")
    if kind in (aten.mm, aten.addmm) and len({v.dtype for v in tensors}) > 1:
        raise RuntimeError(f"{call}: operation not supported for {[v.dtype for v in tensors]}")


def refuse_in_recording(call, args, kwargs):
    """RuntimeError for what a GPU cannot repeat: waits, and copies from the host and to it."""
    ends = args[:2] if call is aten.copy_.default else args[:1]
    places = {is_far(end) for end in ends}
    if "device" in kwargs and call in COPIES:
        places.add(placed(kwargs["device"]) in (HERE, None))
    if waits_for_device(call, args, kwargs) or (call in COPIES and len(places) > 1):
        raise RuntimeError(f"{call}: operation not permitted when stream is capturing")


def compute(call, args, kwargs):
    """The result of an operation, on the device if its tensors are there or it is asked for."""
    asked = placed(kwargs.get("device"))
    tensors = [v for v in tree_leaves((args, kwargs)) if isinstance(v, torch.Tensor)]
    if asked != HERE and not any(map(is_far, tensors)):
        return call(*args, **kwargs)
    if torch.is_inference_mode_enabled():  # in it operations would come here whole
        with torch.inference_mode(False), torch.no_grad():
            with Operations():
                found = call.decompose(*args, **kwargs)
            return compute(call, args, kwargs) if found is NotImplemented else found
    refuse(call, args, tensors)
    if State.tape is not None:
        refuse_in_recording(call, args, kwargs)
    if State.waits is not None:
        note_wait(call, args, kwargs)
    near_args, near_kwargs = tree_map_only(Far, lambda far: far.near, (args, kwargs))
    if asked:
        near_kwargs["device"] = CPU
    found = work(call, near_args, near_kwargs)
    if call in COPIES and asked and found is near_args[0]:
        found = found.clone()  # always fresh memory
    if State.tape is not None:
        State.tape.append((call, near_args, near_kwargs, found))
    if call in COPIES:  # the target says where
        target = asked or (HERE if is_far(args[0]) else None)
        if target != HERE:
            return found if asked else args[0]
    elif asked and asked != HERE:
        return found
    found = tree_map_only(torch.Tensor, Far, found)
    return return_and_correct_aliasing(call, args, kwargs, found)


def work(call, args, kwargs):
    """Does an operation on ordinary tensors; what it draws comes from the device's random state."""
    seeded = torch.Tag.nondeterministic_seeded in call.tags and not kwargs.get("generator")
    with drawing() if seeded else contextlib.nullcontext():
        return call(*args, **kwargs)


class State:
    """The device's random state, and what waited for the device, where that is counted."""

    now = None
    tape = None  # the operations that are recorded, each with its result
    waits = None
    busy = False  # whether it was given work since something waited for it


def waits_for_device(call, args, kwargs):
    """Whether an operation waits until the device has done what it was given before."""
    if call in COPIES:
        place, late = placed(kwargs.get("device")), kwargs.get("non_blocking", False)
        ends = args[:2] if call is aten.copy_.default else (args[0],)
        far = {is_far(end) for end in ends} | ({place == HERE} if place else set())
        back = is_far(ends[-1]) and len(far) > 1
        return back or (len(far) > 1 and not (late or args[2:3] == (True,)))
    if call.overloadpacket in BY_INDEX:
        return any(v is not None and (v.dtype == torch.bool or not is_far(v)) for v in args[1])
    told = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    return bool(told & {*call.tags})


def note_wait(call, args, kwargs):
    """Notes where an operation waits for a device that has something to do."""
    if not waits_for_device(call, args, kwargs):
        State.busy = State.busy or not call.is_view
    elif State.busy:
        State.busy = False
        State.waits.append((str(call), traceback.extract_stack()))


@contextlib.contextmanager
def counted_waits():
    """A list of the operations that wait for the device inside the block, each with its stack.

    Of several that follow each other without work between them the first alone waits.
    """
    before, State.waits, State.busy = State.waits, [], True
    try:
        yield State.waits
    finally:
        State.waits = before


@contextlib.contextmanager
def drawing():
    """Draws from the device's random state; the CPU's stays."""
    before = torch.get_rng_state()
    torch.set_rng_state(State.now)
    try:
        yield
    finally:
        State.now = torch.get_rng_state()
        torch.set_rng_state(before)


class Operations(TorchDispatchMode):
    """Sends every operation to `compute`."""

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        return compute(call, args, kwargs or {})


class Calls(TorchFunctionMode):
    """Names the device in calls as C++ must see it, and checks their generators."""

    def __torch_function__(self, call, types, args=(), kwargs=None):
        if call is torch.device:
            return call(*args, **(kwargs or {}))
        args = [placed(value) for value in args]
        kwargs = {name: placed(value) for name, value in (kwargs or {}).items()}
        draws, place = kwargs.get("generator"), kwargs.get("device", CPU)
        if draws is not None and draws.device != (HERE if any(map(is_far, args)) else place):
            raise RuntimeError(f"{call.__name__}: the generator is on {draws.device}")
        if call is torch.Tensor.tolist and is_far(args[0]):
            return args[0].cpu().tolist()
        if call is torch.Tensor.cuda:
            return args[0].to(HERE)
        given = (*args[1:], *kwargs.values())
        if call is torch.Tensor.to and is_far(args[0]) and any(v is HERE for v in given):
            kinds = [v for v in given if isinstance(v, torch.dtype)]
            copy = kwargs.get("copy", False)
            return args[0].to(*kinds, copy=copy) if kinds or copy else args[0]
        if call in (torch.tensor, torch.as_tensor) and place == HERE:
            return call(*args, **{**kwargs, "device": CPU}).to(HERE)
        return call(*args, **kwargs)


def seed(value):
    State.now = torch.Generator("cpu").manual_seed(value).get_state()


def set_states(states):
    (State.now,) = states


FOUND = {  # of torch.cuda
    "_lazy_init": lambda: None,
    "is_available": lambda: True,
    "is_initialized": lambda: True,
    "_is_in_bad_fork": lambda: False,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "set_device": lambda device: None,
    "device": lambda device: contextlib.nullcontext(),
    "synchronize": lambda device=None: None,
    "empty_cache": lambda: None,
    "is_bf16_supported": lambda *_: True,
    "get_device_capability": lambda device=None: (7, 0),
    "get_device_name": lambda device=None: "second device",
    "get_device_properties": lambda device=None: SimpleNamespace(total_memory=2**34),
    "reset_peak_memory_stats": lambda device=None: None,
    "max_memory_allocated": lambda device=None: 0,
    "manual_seed": seed,
    "manual_seed_all": seed,
    "is_current_stream_capturing": lambda: State.tape is not None,
    "get_rng_state": lambda device=None: State.now,
    "set_rng_state": lambda state, device=None: set_states([state]),
    "get_rng_state_all": lambda: [State.now],
    "set_rng_state_all": set_states,
}
LISTED = {  # of torch.utils._foreach_utils: a list of tensors is one operation
    "_foreach_supported_types": [torch.Tensor, Far],
    "_get_foreach_kernels_supported_devices": lambda: [HERE.type, CORE.type],
}


@contextlib.contextmanager
def guarded():
    """A device guard that does nothing, as `meta` has it; autograd asks for one."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    table = (ctypes.c_void_p * 22).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    xla, meta = 9, 14  # their numbers in c10/core/DeviceType.h
    before, table[xla] = table[xla], table[meta]
    try:
        yield
    finally:
        table[xla] = before


@contextlib.contextmanager
def second_device():
    """PyTorch finds one GPU, which is played by the CPU."""
    swap = torch.__future__.set_swap_module_params_on_conversion
    seed(0)
    with contextlib.ExitStack() as contexts:
        for name, found in FOUND.items():
            contexts.enter_context(patch.object(torch.cuda, name, found))
        contexts.enter_context(patch.object(torch, "Generator", Generator))
        contexts.enter_context(patch.object(torch.backends.cudnn, "is_acceptable", lambda _: False))
        for name, found in LISTED.items():
            contexts.enter_context(patch.object(_foreach_utils, name, found))
        contexts.enter_context(guarded())
        contexts.enter_context(torch.autograd.set_multithreading_enabled(False))
        contexts.callback(swap, torch.__future__.get_swap_module_params_on_conversion())
        swap(True)
        contexts.enter_context(Calls())
        contexts.enter_context(Operations())
        yield
