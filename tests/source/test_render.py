"""What a message looks like."""

from __future__ import annotations

import unicodedata

from cgc.source.diagnostics import Diagnostic, Label
from cgc.source.render import SHOWN, as_data, render
from cgc.source.text import Source, Span

LINES = [""] * 40
LINES[12] = "  rect: {kind: rectified_gaussian, std: tahn(e), emit: relu}"
LINES[17] = "    nodes: [width, 32, 32]"
LINES[29] = "      - {edge: {kind: conv2d, kernel_size: 3, padding: 0}}"
BAD = Source("specs/bad.yaml", "\n".join(LINES))
NET = Source("specs/resnet.yaml", "\n".join(LINES))

EXPECTED = """\
error[CG201]: unknown function `tahn`
  --> specs/bad.yaml:13:41
   |
13 |   rect: {kind: rectified_gaussian, std: tahn(e), emit: relu}
   |                                         ^^^^ in this expression
   |
   = help: did you mean `tanh`?

error[CG310]: the refining path does not return to the nodes of `h`
  --> specs/resnet.yaml:30:47
   |
18 |     nodes: [width, 32, 32]
   |            --------------- h has 16 x 32 x 32 nodes
   :
30 |       - {edge: {kind: conv2d, kernel_size: 3, padding: 0}}
   |                                               ^^^^^^^^^^ ends with 16 x 30 x 30 nodes
   |
   = why: the copy of h must have the shape and type of h (section 4.1)
   = help: use `padding: 1`

2 errors in 2 files. `cgc explain CG201` says more.
"""

TWO = (
    Diagnostic("CG201", "unknown function `tahn`", Span(BAD, 13, 41, 4), "in this expression", help="did you mean `tanh`?"),
    Diagnostic(
        "CG310",
        "the refining path does not return to the nodes of `h`",
        Span(NET, 30, 47, 10),
        "ends with 16 x 30 x 30 nodes",
        (Label(Span(NET, 18, 12, 15), "h has 16 x 32 x 32 nodes"),),
        "the copy of h must have the shape and type of h (section 4.1)",
        "use `padding: 1`",
    ),
)


def test_the_whole_picture() -> None:
    assert render(TWO) == EXPECTED
    assert render(()) == ""


def test_colour_only_adds_escapes() -> None:
    painted = render(TWO, colour=True)
    assert "\x1b[1;31m" in painted
    text = "".join(part.split("m", 1)[-1] if k else part for k, part in enumerate(painted.split("\x1b[")))
    assert text == EXPECTED


def caret(line: str, column: int, length: int = 1) -> tuple[str, str]:
    rows = render([Diagnostic("CG101", "m", Span(Source("f", line), 1, column, length))]).split("\n")
    return rows[3].removeprefix("1 |").removeprefix(" "), rows[4].removeprefix("  |").removeprefix(" ")


def test_tabs_and_wide_characters_keep_the_caret_in_place() -> None:
    assert caret("\tab", 2) == ("    ab", "    ^")
    assert caret("漢字x", 3) == ("漢字x", "    ^")
    assert caret("漢字x", 1, 2)[1] == "^^^^"
    assert caret("e\u0301x", 3) == ("e\u0301x", " ^")


def test_long_lines_are_cut_around_the_caret() -> None:
    line = "a" * 5000 + "HERE" + "b" * 5000
    shown, under = caret(line, 5001, 4)
    assert len(shown) < 160 and shown.startswith("…") and shown.endswith("…")
    assert shown[under.index("^") : under.rindex("^") + 1] == "HERE"


def test_places_past_the_end_are_shown() -> None:
    assert caret("ab", 3) == ("ab", "  ^")
    assert caret("", 1) == ("", "^")


def test_nothing_in_a_spec_steers_the_terminal() -> None:
    text = render([Diagnostic("CG101", "\x1b[2J\u202e", Span(Source("\x1b]0;", "a\x07b"), 1, 2))])
    assert not any(unicodedata.category(c).startswith("C") for c in text if c != "\n")


def test_two_files_in_one_message() -> None:
    one, two = Source("one", "a"), Source("two", "b")
    text = render([Diagnostic("CG301", "m", Span(one, 1, 1), others=(Label(Span(two, 1, 1), "there"),))])
    assert " --> one:1:1\n" in text and " ::: two:1:1\n" in text and "| - there\n" in text


def test_counts() -> None:
    warning = Diagnostic("CG501", "w", severity="warning")
    assert render([TWO[0], warning]).endswith("\n1 error, 1 warning in 1 file. `cgc explain CG201` says more.\n")
    many = render([warning] * (SHOWN + 5))
    assert many.count("warning[CG501]") == SHOWN and "\nand 5 more\n" in many and f"\n{SHOWN + 5} warnings. " in many


def test_data() -> None:
    (first, second) = as_data(TWO)
    assert (first["code"], first["file"], first["line"], first["column"], first["length"]) == ("CG201", "specs/bad.yaml", 13, 41, 4)
    assert second["others"] == [{"file": "specs/resnet.yaml", "line": 18, "column": 12, "length": 15, "text": "h has 16 x 32 x 32 nodes"}]
