"""Which names a spec may give: they become file, class and attribute names of the emitted code."""

from __future__ import annotations

import keyword
import re

from cgc.source.diagnostics import Diagnostic
from cgc.source.text import Span

MAX_LENGTH = 64
PARAM_RESERVED = ("e", "parents", "previous", "t", "x", "y")

# public attributes of torch.nn.Module and of the emitted models; a test compares the first part with torch
_ATTRIBUTES = """
T_destination add_module apply bfloat16 bias buffers call_super_init children compile cpu cuda decode double dump_patches energies
eval expectation extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half inference ipu load_state_dict
log_prob loss modules mtia named_buffers named_children named_modules named_parameters norm parameters register_backward_hook
register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
register_state_dict_pre_hook requires_grad_ sample set_extra_state set_submodule share_memory state_dict to to_empty train training
type xpu zero_grad
"""
MODULE_ATTRIBUTES = frozenset(_ATTRIBUTES.split())


def bad_name(name: str, what: str, span: Span) -> Diagnostic | None:
    """What is wrong with ``name`` as the name of a component, edge, family or param, if anything (CG311)."""
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) or len(name) > MAX_LENGTH:
        help = f"a letter, then letters, digits and `_`, at most {MAX_LENGTH} in all"
        return Diagnostic("CG311", f"{_shown(name)} cannot be the name of {what}", span, help=help)
    if keyword.iskeyword(name) or name in ("None", "True", "False"):
        return Diagnostic("CG311", f"`{name}` cannot be the name of {what}", span, why="it is a word of Python", help=f"try `{name}_`")
    if what == "a param" and name in PARAM_RESERVED:
        why = "reserved in expressions: " + ", ".join(PARAM_RESERVED)
        return Diagnostic("CG311", f"`{name}` cannot be the name of {what}", span, why=why, help="choose another name")
    if what == "a component" and name == "refine":
        why = "`h.refine` are the copies of a refined component `h`"
        return Diagnostic("CG311", f"`{name}` cannot be the name of {what}", span, why=why, help=f"choose another name, such as `{name}_`")
    if what in ("a component", "an edge") and name in MODULE_ATTRIBUTES:
        why = "the emitted class has an attribute of this name"
        return Diagnostic("CG311", f"`{name}` cannot be the name of {what}", span, why=why, help=f"choose another name, such as `{name}_`")
    return None


def bad_spec_name(name: str, span: Span) -> Diagnostic | None:
    """What is wrong with ``name`` as the name of a spec, which is also that of a folder and a Python package (CG311)."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or len(name) > MAX_LENGTH:
        help = f"a small letter, then small letters, digits and `_`, at most {MAX_LENGTH} in all"
        return Diagnostic("CG311", f"{_shown(name)} cannot be the name of a spec", span, why="a folder is named after it", help=help)
    if keyword.iskeyword(name):
        return Diagnostic("CG311", f"`{name}` cannot be the name of a spec", span, why="it is a word of Python", help=f"try `{name}_`")
    return None


def _shown(name: str) -> str:
    return f"`{name if len(name) <= MAX_LENGTH else name[:MAX_LENGTH] + '…'}`"
