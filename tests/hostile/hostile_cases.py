"""Specs that mean harm, or look like it: a name, the text, and the code of what is said; no code where the text is harmless."""

from __future__ import annotations

BASE = """cgc: 1
name: small
families:
  spin: {kind: binary, values: [-1, 1]}
components:
  x: {role: input, nodes: 8, family: spin}
  h: {nodes: 4, family: spin, parents: {x: dense}}
  y: {role: output, nodes: 1, family: spin, parents: {h: dense}}
"""


def std(expression: str) -> str:
    """The base with a family whose std is ``expression``."""
    quoted = expression.replace("'", "''")
    return BASE.replace("components:", f"  odd: {{kind: rectified_gaussian, std: '{quoted}'}}\ncomponents:")


def nodes(expression: str) -> str:
    """The base with ``expression`` nodes."""
    return BASE.replace("nodes: 4", f"nodes: {expression}")


def lined(lines: str, nodes: str = "4", statement: str = "") -> str:
    """The base with lines between hidden nodes."""
    spec = BASE.replace(
        "nodes: 4, family: spin, parents: {x: dense}", f"nodes: {nodes}, family: spin, parents: {{x: dense}}, lines: {lines}"
    )
    return f"{spec}independence:\n  - {statement}\n" if statement else spec


def lined_output(lines: str) -> str:
    """The base with lines between a billion output nodes."""
    return BASE.replace("y: {role: output, nodes: 1,", f"y: {{role: output, nodes: 1000000000, lines: {lines},")


def named(name: str) -> str:
    """The base with a hidden component called ``name``."""
    return BASE.replace("  h:", f"  {name}:").replace("{h: dense}", f"{{{name}: dense}}")


def spec_name(name: str) -> str:
    """The base under another name."""
    return BASE.replace("name: small", f"name: {name}")


def trained(more: str) -> str:
    """The base with a section ``train``."""
    return f"{BASE}train: {{data: {{name: npz}}, optimizer: {{kind: adam, learning_rate: 1}}, batch_size: 8, {more}}}\n"


def reusing(path: str) -> str:
    """The base, which takes a component from another spec."""
    return trained(f"epochs: 1, reuse: {{components: [h], from: {path}}}")


BOMB = "cgc: 1\nname: small\nx-0: &b0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"x-{k}: &b{k} [{', '.join([f'*b{k - 1}'] * 10)}]\n" for k in range(1, 10)
)

CASES: dict[str, tuple[str, str]] = {
    # code in expressions
    "import": (std("__import__('os').system('touch written')"), "CG204"),
    "open": (std("open('written', 'w')"), "CG201"),
    "eval": (std("eval('1')"), "CG201"),
    "dunder": (std("e.__class__.__mro__[1].__subclasses__()"), "CG204"),
    "dunder_name": (std("__builtins__"), "CG202"),
    "lambda": (std("(lambda: 1)()"), "CG204"),
    "comprehension": (std("[e for e in (1, 2)]"), "CG204"),
    "walrus": (std("(e := 1)"), "CG204"),
    "format_string": (std("f'{e}'"), "CG204"),
    "statement": (std("e; e"), "CG203"),
    "sympy_object": (std("Integral(e, e)"), "CG201"),
    "sympy_constant": (std("zoo"), "CG202"),
    "keyword_argument": (std("exp(e, evaluate=False)"), "CG206"),
    "starred": (std("max(*e)"), "CG206"),
    "digits_in_other_scripts": (std("e + ٣"), "CG203"),
    "code_as_nodes": (nodes("exit()"), "CG201"),
    # numbers without bounds
    "power_tower": (nodes("9**9**9**9"), "CG205"),
    "power_of_energy": (std("e**1000000"), "CG205"),
    "big_product": (nodes("*".join(["999999999"] * 20)), "CG205"),
    "long_integer": (nodes("9" * 5000), "CG111"),
    "long_float": (nodes("1e999999"), "CG111"),
    "long_hexadecimal": (nodes("0x" + "f" * 5000), "CG111"),
    "long_chain": (lined("chain", "1000000000"), "CG390"),
    "large_grid": (lined("grid", "[30000, 30000]", "h[a,b] ⟂ h[c,d] | boundary where abs(a - c) > 1"), "CG402"),
    "dense_lines": (lined("dense", "1000000000", "h[0] ⟂ h[999999999] | boundary"), "CG402"),
    "many_listed_pairs": (lined(f"{{kind: list, pairs: [{', '.join(f'[{k}, {k + 1}]' for k in range(2000))}]}}", "2001"), "CG390"),
    "states_beyond_reach": (lined_output("dense"), "CG610"),
    "many_lines": (lined_output("{kind: dense, inference: mean_field}"), ""),
    "pairs_in_a_statement": (
        lined(f"{{kind: list, pairs: [{', '.join(f'[{k}, {k + 1}]' for k in range(2000))}]}}", "2001", "h[i] ⟂ h[j] | x where i - j == 1"),
        "CG423",
    ),
    "axis_out_of_bounds": (lined("{kind: chain, along: -1}"), "CG351"),
    "axis_power_tower": (lined("{kind: chain, along: 9**9**9**9}"), "CG205"),
    "deep_pair": (lined("{kind: list, pairs: [[[0, [1]], 1]]}"), "CG305"),
    "many_nodes": (nodes("[" + ", ".join(["1000000000"] * 8) + "]"), "CG306"),
    "long_expression": (std("e+" * 5000 + "e"), "CG207"),
    "deep_expression": (std("(" * 400 + "e" + ")" * 400), "CG207"),
    "deep_minus": (std("-" * 900 + "e"), "CG207"),
    # depth and size of the text
    "million_brackets": ("[" * 900_000, "CG105"),
    "many_brackets": ("[" * 90_000, "CG106"),
    "many_braces": ("{a:\n" * 200_000, "CG106"),
    "deep_blocks": ("".join(" " * k + "a:\n" for k in range(500)), "CG106"),
    "alias_bomb": (BOMB, "CG106"),
    "alias_chain": ("a0: &a0 [1]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}]\n" for k in range(1, 3000)), "CG106"),
    "alias_to_itself": ("x-a: &a {b: *a}\n" + BASE, "CG103"),
    "ten_megabytes": ("# " + "x" * 10_000_000, "CG105"),
    "long_line": ("# " + "x" * 200_000 + "\n" + BASE, "CG105"),
    # YAML's own doors
    "python_object": (spec_name("!!python/object/apply:os.system ['touch written']"), "CG107"),
    "python_name": (spec_name("!!python/name:os.system"), "CG107"),
    "binary": (spec_name("!!binary aGk="), "CG107"),
    "merge_of_text": (BASE + "time: {<<: steps}\n", "CG108"),
    "null_byte": (spec_name("sm\0all"), "CG104"),
    "terminal": (spec_name("\x1b[2Jsmall"), "CG104"),
    "terminal_escaped": (spec_name('"\\e[2Jsmall"'), "CG311"),
    "line_separator": (spec_name("small\u2028"), "CG104"),
    "right_to_left": (named("h\u202e"), "CG311"),
    # names
    "keyword": (named("class"), "CG311"),
    "soft_keyword": (named("match"), ""),
    "python_constant": (named("None_"), ""),
    "dunder_component": (named("__init__"), "CG311"),
    "module_attribute": (named("state_dict"), "CG311"),
    "sympy_name": (named("Symbol"), ""),
    "sympy_letters": (BASE.replace("families:", "params: {beta: 2, gamma: 2, S: 1, N: 2, E: 1, I: 1, zeta: 1, lambda_: 3}\nfamilies:"), ""),
    "params_in_use": (nodes("beta*N + S*lambda_").replace("families:", "params: {beta: 2, S: 1, N: 2, lambda_: 3}\nfamilies:"), ""),
    "other_script": (named("һ"), "CG311"),
    "long_name": (spec_name("a" * 5000), "CG311"),
    "path_up": (spec_name("../../outside"), "CG311"),
    "path_absolute": (spec_name("/etc/outside"), "CG311"),
    "path_home": (spec_name("~"), "CG305"),
    "name_with_newline": (spec_name('"small\\nimport os"'), "CG311"),
    # extends
    "extends_up": (BASE + "extends: ../other.yaml\n", "CG320"),
    "extends_up_again": (BASE + "extends: a/../../other.yaml\n", "CG320"),
    "extends_absolute": (BASE + "extends: /etc/passwd\n", "CG320"),
    "extends_backslash": (BASE + "extends: ..\\other.yaml\n", "CG320"),
    "extends_folder": (BASE + "extends: .\n", "CG112"),
    "extends_null": (BASE + 'extends: "a\\0b"\n', "CG320"),
    "extends_itself": (BASE + "extends: extends_itself.yaml\n", "CG321"),
    # the other spec's path, and training
    "reuse_up": (reusing("../other.yaml"), "CG320"),
    "reuse_absolute": (reusing("/etc/passwd"), "CG320"),
    "reuse_null": (reusing('"a\\0b"'), "CG320"),
    "reuse_folder": (reusing("."), "CG112"),
    "reuse_no_spec": (reusing("million_brackets.yaml"), "CG105"),
    "reuse_itself": (reusing("reuse_itself.yaml"), ""),
    "reuse_each_other": (reusing("reuse_itself.yaml"), ""),
    "reuse_many": (trained(f"epochs: 1, reuse: {{components: [{', '.join(['h'] * 2000)}], from: reuse_itself.yaml}}"), "CG305"),
    "update_power_tower": (trained("updates: 9**9**9**9"), "CG205"),
    "endless_updates": (trained("updates: 1e300"), "CG306"),
    # text that other languages would read
    "template": (BASE + "doc: '{{ 7*7 }} {% include \"/etc/passwd\" %} ${HOME} %s {0.__class__}'\n", ""),
    "docstring": (BASE + 'doc: \'""" + exit() + """\'\n', ""),
    "placeholder_in_message": (BASE.replace("family: spin}", "family: '{offset}'}"), "CG308"),
    "markup": (BASE + "doc: '<script>alert(1)</script>'\n", ""),
}
