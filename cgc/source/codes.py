"""The catalogue of codes, for ``cgc explain``: a title, then when it is said, with an example that is wrong and one that is right.

CG1xx source, 2xx formula, 3xx spec, 4xx graph, 5xx derive, 6xx program and emit, 7xx training. A test checks that every
code in use is here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """What ``cgc explain`` knows about one code."""

    title: str
    text: str
    bad: str = ""
    good: str = ""


CODES: dict[str, Code] = {
    # --- CG1xx: the text
    "CG101": Code(
        "This is not YAML",
        "The text cannot be read as YAML. The place is where reading stopped; the cause is there or shortly before:\n"
        "a bracket or quotation mark that is not closed, a tab as indentation, a `:` inside unquoted text.",
        "doc: two parts: one and two",
        "doc: 'two parts: one and two'",
    ),
    "CG102": Code(
        "A key stands twice",
        "YAML libraries let the last of two equal keys win, silently. cgc refuses both.",
        "params: {hidden: 64, hidden: 128}",
        "params: {hidden: 128}",
    ),
    "CG103": Code(
        "An alias refers to itself", "An alias may not stand inside the value that its anchor names.", "a: &a [1, *a]", "a: &a [1, 2]"
    ),
    "CG104": Code(
        "A character that is not text",
        "Specs are UTF-8. Control characters and unusual line breaks are refused, because editors do not show them.",
    ),
    "CG105": Code("The file is too large", "A spec has at most 1,000,000 bytes and lines of at most 100,000 characters."),
    "CG106": Code(
        "Too deep or too many values",
        "A spec is nested at most 50 deep and stands for at most 100,000 values, aliases written out.",
    ),
    "CG107": Code("A tag", "Tags such as `!!python/object` or `!!str` are refused: values have no tags.", "nodes: !!int '8'", "nodes: 8"),
    "CG108": Code(
        "A key that is not text",
        "Keys are words. A number, a list or an empty key is refused; so is `<<` with anything but a mapping.",
        "components: {1: {nodes: 8}}",
        "components: {x: {nodes: 8}}",
    ),
    "CG109": Code("The file is empty", "A spec starts with `cgc: 1` and `name: …`."),
    "CG110": Code(
        "Quote this expression",
        "Inside `{}` and `[]` a comma ends a value, so an expression with a comma is taken apart. Quote it.",
        "{kind: noise, base: normal, value: max(0, y)}",
        "{kind: noise, base: normal, value: 'max(0, y)'}",
    ),
    "CG111": Code("A number out of bounds", "Numbers have at most 30 digits and lie between -1e300 and 1e300."),
    "CG112": Code("The file cannot be read", "It does not exist, is a folder or a device, or its permissions forbid it."),
    # --- CG2xx: expressions
    "CG201": Code("Unknown function", "Expressions know a fixed set of functions; there are no others.", "std: tahn(e)", "std: tanh(e)"),
    "CG202": Code(
        "Unknown name",
        "Expressions over params know the params; densities also know e (energy), x (state) or y (noise), depending on the field.",
        "nodes: 2*hiden",
        "nodes: 2*hidden",
    ),
    "CG203": Code(
        "Not an expression", "The text does not follow the grammar of expressions, which is Python's.", "std: 2e + 1", "std: 2*e + 1"
    ),
    "CG204": Code(
        "Not allowed in an expression",
        "Expressions are arithmetic and calls of known functions. Dots, indices, strings, lambdas and conditions have no place in them.",
        "std: e.real",
        "std: e",
    ),
    "CG205": Code("A number too large", "Exponents are at most 64, numbers have at most 30 digits.", "nodes: 9**9**9", "nodes: 9**9"),
    "CG206": Code("Wrong number of arguments", "The function takes another number of arguments.", "std: max(e)", "std: 'max(e, 1)'"),
    "CG207": Code("An expression too long or too deep", "Expressions have at most 1,000 characters and 40 levels of brackets."),
    "CG208": Code(
        "No finite value", "A division by zero, a logarithm of zero, an overflow.", "nodes: 8 // (hidden - hidden)", "nodes: 8 // hidden"
    ),
    # --- CG3xx: the spec
    "CG301": Code(
        "Unknown field",
        "Fields are a fixed set, so that no slip goes unnoticed. Keys that start with `x-` are ignored at the top (for anchors).",
        "train: {epoch: 5}",
        "train: {epochs: 5}",
    ),
    "CG302": Code(
        "A missing field",
        "A section needs this field.",
        "x: {role: input, family: bit}",
        "x: {role: input, nodes: 64, family: bit}",
    ),
    "CG303": Code(
        "Unknown kind", "What varies is tagged by `kind`, a bare word is the short form.", "parents: {x: dens}", "parents: {x: dense}"
    ),
    "CG304": Code("Unknown value", "The field takes one of a few words.", "clamp: sfot", "clamp: soft"),
    "CG305": Code(
        "A value of the wrong type", "The field takes another type of value, or values of another form.", "labels: 2.5", "labels: 3"
    ),
    "CG306": Code("Out of range", "The number lies outside the range in which it has a meaning.", "keep_prob: 1.5", "keep_prob: 0.5"),
    "CG307": Code("Unknown component", "A parent, or a name under `sample_rate`, is not one of the components that it can be."),
    "CG308": Code(
        "Unknown family",
        "A component names a family of the section `families`, or writes one as `{kind: …}`.",
        "h: {nodes: 8, family: gaussian}",
        "h: {nodes: 8, family: {kind: gaussian, std: 1}}",
    ),
    "CG309": Code(
        "Aliases in a circle",
        "A family that is a bare word is an alias of another; one of them must have a kind.",
        "a: b, b: a",
        "a: b, b: {…}",
    ),
    "CG311": Code(
        "A name that cannot be used",
        "Names become names of folders, classes and attributes in the emitted package: letters, digits and `_`, no word of Python,\n"
        "nothing that a PyTorch module calls its own (`train`, `forward`, `bias`, …). Params are not called\n"
        "e, x, y, t, parents or previous.",
        "components: {train: …}",
        "components: {teacher: …}",
    ),
    "CG312": Code("Unknown param", "`-p name=value` sets a param that the spec declares under `params`."),
    "CG313": Code(
        "A param out of its bounds",
        "The spec gives the param a `min` or a `max`.",
        "hidden: {default: 0, min: 1}",
        "hidden: {default: 8, min: 1}",
    ),
    "CG315": Code(
        "The version of the language", "Every spec says which version of the language it is written in.", "name: srn", "cgc: 1, name: srn"
    ),
    "CG320": Code(
        "A path leads out of the folder",
        "A spec names specs (`extends`, `from`) in its own folder or below it: no absolute path, no way out through `..` or a link.",
        "extends: /etc/base.yaml",
        "extends: base.yaml",
    ),
    "CG321": Code("Specs extend each other", "The chain of `extends` comes back to a spec that it has passed."),
    "CG322": Code(
        "`--set` names nothing",
        "`--set` takes a dotted path of fields; components, families and params on it must exist.",
        "--set families.nod=rect",
    ),
    "CG330": Code("No input or no output", "A spec has at least one component with `role: input` and one with `role: output`."),
    "CG331": Code("Not for this role", "Inputs are given: they have no parents, bias, stack or normalisation. Only inputs are clamped."),
    "CG332": Code("No parents", "A component that is no input depends on at least one other."),
    "CG333": Code(
        "There is no time here",
        "Lags, `at: last`, `share: time` and lines along time need `time: {steps: …}`.\n"
        "What is there at the last step only has no steps before.",
    ),
    "CG334": Code(
        "Its own parent",
        "A component may depend on itself at an earlier step only.",
        "parents: {h: dense}",
        "parents: {h: {kind: dense, lag: 1}}",
    ),
    "CG335": Code(
        "The input of a stack",
        "From the second layer of a stack on, the layer below takes the place of one parent without lag. If there are several, say which.",
        "stack: 2, parents: {x: dense, z: dense}",
        "stack: {times: 2, input: x}, parents: {x: dense, z: dense}",
    ),
    "CG336": Code("Edges of one name", "Weights are called `<component>.<edge>.weight`: several edges from one parent need names."),
    "CG337": Code(
        "Soft clamping",
        "`clamp: soft` reads a value between the two states of a node as its expectation (section 2.3), so the family has two states.",
    ),
    "CG338": Code(
        "Nothing to normalise",
        "Batch, layer and group normalisation act on the contributions without lag, unless `over: energy` is given.\n"
        "Weight normalisation acts on the learned weights of edges along which a node reads several others.",
    ),
    "CG339": Code("An option of another method", "`sample_rate` belongs to pcff, `gradient` to pcff and sample, `samples` to sample."),
    "CG340": Code(
        "A validation loss is needed", "A plateau schedule and early stopping watch the loss on data kept apart: `validation` in `data`."
    ),
    "CG342": Code("Fields that exclude each other", "A weight that is fixed has neither a start value nor a prior."),
    "CG343": Code(
        "Numbers of a window",
        "A window has one number for all its axes, or one for each; a window over everything has no stride and no padding.",
        "{kind: conv2d, kernel_size: [3, 3, 3]}",
        "{kind: conv2d, kernel_size: 3}",
    ),
    "CG344": Code(
        "A field of other data",
        "Images (`digits`, `mnist`, `cifar10`) have a layout and may be changed; what is generated (`adding`, `tags`) has sizes.",
        "data: {name: digits, tokens: 50}",
        "data: {name: digits, as: vector}",
    ),
    "CG345": Code(
        "Options of training that exclude or need each other",
        "Training ends after `epochs` or after `updates`. Only pixels of two values, made by a `threshold`, can be flipped, and these are\n"
        "not standardised. Images are moved and mirrored as images, pixels in their places. Labels are no targets where the image is.",
        "data: {name: digits, as: image, flip_prob: 0.1}",
        "data: {name: digits, as: image, threshold: 0.5, flip_prob: 0.1}",
    ),
    "CG346": Code(
        "An output that is scored against an input",
        "`target` names an input: of the same nodes, over the same time, and with values that the output can have. Expectations\n"
        "(`clamp: soft`) are no values.",
        "y: {role: output, target: h, …}",
        "y: {role: output, target: x, …}",
    ),
    "CG347": Code(
        "Components of another spec",
        "`reuse` takes parameters from a checkpoint of the spec `from`. For each component that it names, both specs agree on nodes,\n"
        "family, parents with their edges, stack, bias and normalisation, and the statements leave the same structure. Options with `-p`\n"
        "are for both specs, where both have the param. Something must be left to learn.",
    ),
    "CG364": Code(
        "What cannot be normalised",
        "Groups are equal parts of the first axis of `nodes`, with several energies each: a value less its own mean is 0.\n"
        "Weight normalisation takes the direction of a node's weights, which weights that start at 0 do not have.",
        "{nodes: 8, normalize: {kind: group, groups: 8}}",
        "{nodes: 8, normalize: {kind: group, groups: 2}}",
    ),
    "CG350": Code(
        "Lines join finitely many states",
        "A component with lines is normalised over all states of its nodes together, so these follow an exponential family with finitely\n"
        "many states: `binary`, `categorical`, or `exponential_family` on a list of states.",
        "{family: {kind: gaussian, std: 1}, lines: chain}",
        "{family: {kind: binary, values: [-1, 1]}, lines: chain}",
    ),
    "CG351": Code(
        "No such axis for lines",
        "`along` counts the axes of `nodes` from 0, each once. A chain runs along one axis, or along `time`, a grid along two or more.\n"
        "A chain without `along` runs along the only axis, or along time where there is one node per step.",
        "{nodes: [8, 8], lines: chain}",
        "{nodes: [8, 8], lines: {kind: chain, along: 1}}",
    ),
    "CG352": Code(
        "Lines without ends",
        "A line joins two different nodes that exist; node indices count from 0.",
        "{nodes: 3, lines: {kind: list, pairs: [[0, 3]]}}",
        "{nodes: 3, lines: {kind: list, pairs: [[0, 2]]}}",
    ),
    "CG353": Code(
        "A line twice",
        "A line has no direction: [1, 0] is the same as [0, 1], and each is listed once.",
        "pairs: [[0, 1], [1, 0]]",
        "pairs: [[0, 1]]",
    ),
    "CG360": Code(
        "Blocks that do not fit together",
        "The blocks of a component are groups of its nodes that follow each other on the first index; all other extents are equal.",
        "{one: {nodes: [8, 4, 4]}, two: {nodes: [8, 2, 2]}}",
        "{one: {nodes: [8, 4, 4]}, two: {nodes: [4, 4, 4]}}",
    ),
    "CG361": Code(
        "No such gate",
        "A gate opens where a node of another component has one of its states; the probability of that has to follow from the node's\n"
        "expectation, as it does for two states and for labels.",
        "gate: {component: f, open: 2}",
        "gate: {component: f, open: 1}",
    ),
    "CG362": Code(
        "Not in a module",
        "A module is made of `components` and known outside by its `output`; it may have a `stack`. All else is said of its components.",
    ),
    "CG363": Code(
        "This cannot refine it",
        "A refinement goes from a copy of a hidden component `through` others and `back` (section 4.1). The energy of the component is\n"
        "common to all copies, so it cannot read its own past.",
        "{times: 2, through: {}, back: dense}",
        "{times: 2, through: {z: {nodes: 8, family: rect, parents: {previous: dense}}}, back: dense}",
    ),
    "CG390": Code(
        "Not supported by this version",
        "Components with `lines` are analysed (`cgc inspect` prints what is known of them), not yet compiled.",
    ),
    # --- CG4xx: the graph
    "CG400": Code(
        "The parents form a cycle",
        "Within one time step, arrows may not lead from a component back to itself: that is no chain graph.\n"
        "Remove one of the edges, or give it a lag.",
        "a: {parents: {b: dense}}, b: {parents: {a: dense}}",
        "a: {parents: {b: {kind: dense, lag: 1}}}, b: {parents: {a: dense}}",
    ),
    "CG401": Code(
        "Shapes that do not match",
        "Elementwise and identity edges join nodes of the same index, so both ends have the same shape.",
        "x: {nodes: 8}, h: {nodes: 16, parents: {x: identity}}",
        "x: {nodes: 8}, h: {nodes: 8, parents: {x: identity}}",
    ),
    "CG402": Code(
        "A statement too large to decide",
        "Deciding it would mean looking at more pairs of nodes, or at more nodes, than this version does.",
    ),
    "CG403": Code("A parent at the last step only", "What exists at the last step only cannot be the parent of what exists at every step."),
    "CG404": Code(
        "Nothing to share",
        "A sharing statement names an edge that is there and has weights that are learned, and is the only one about them. The lag of the\n"
        "edge is the difference of the two times.",
        "h[i,t] <- h[j,t]  by j - i",
        "h[i,t] <- h[j,t-1]  by j - i",
    ),
    "CG405": Code(
        "A path that does not lead back",
        "What refines a component ends with an edge to its nodes, so the copy at the start of the path and the component have the same\n"
        "shape and family (section 4.1).",
        "back: {kind: conv2d, kernel_size: 3}",
        "back: {kind: conv2d, kernel_size: 3, padding: 1}",
    ),
    "CG406": Code(
        "No weight to share",
        "`weight: {same_as: h.x}` means the weight of the edge `x` of `h`, which joins nodes of the same shapes in the same way and is\n"
        "learned.",
    ),
    "CG410": Code(
        "Not a statement",
        "A statement reads `LEFT ⟂ RIGHT | GIVEN where CONDITION`; `_||_` may stand for ⟂. A term is `name[index, …]`.",
        "h[i,t] ⟂ h[j,t-1] given parents",
        "h[i,t] ⟂ h[j,t-1] | parents  where j != i",
    ),
    "CG411": Code("Unknown name in a statement", "The term names no component; layers of a stack are `h.0`, `h.1`, and so on."),
    "CG412": Code("Wrong number of indices", "A term has one index per dimension of its nodes, and then the time.", "h[i,j,t]", "h[i,t]"),
    "CG413": Code(
        "The time of a term",
        "With time steps a term ends with `t`, `t-1`, …; without, it has none. Queries may also name a step by its number\n"
        "(`h[i,5]`, from 0) or count from the last one (`h[i,T]`, `h[i,T-1]`).",
        "h[i] ⟂ x[j]",
        "h[i,t] ⟂ x[j,t]",
    ),
    "CG414": Code(
        "An index of neither side",
        "The condition may use the indices of LEFT and RIGHT, and GIVEN may not bring new ones.",
        "h[i] ⟂ x[j] | parents  where k != i",
        "h[i] ⟂ x[j] | parents  where j != i",
    ),
    "CG415": Code("No such node", "An index or slice lies outside the nodes of the component."),
    "CG416": Code("A mistake in a condition", "A condition compares whole numbers: `j != i`, `abs(i - j) > 1`, `i // 16 != j // 16`."),
    "CG417": Code("A condition without a value", "A division by zero, or numbers that do not fit into 64 bits."),
    "CG418": Code(
        "A node on both sides",
        "A statement is about different nodes: none may stand on both sides, or on a side and among what is given.",
        "h[i] ⟂ h[j] | parents",
        "h[i] ⟂ h[j] | parents  where j != i",
    ),
    "CG419": Code(
        "Names of indices in a sharing statement",
        "`CHILD <- PARENT by KEYS` says that weights are equal where all keys are; every index has a name, and no two the same.",
        "h[i] <- x[i]  by 0",
        "h[i] <- x[j]  by j - i",
    ),
    "CG420": Code(
        "The independence does not hold",
        "Even without the edges between its two sides the statement is false in the resulting graph: the message shows an open walk,\n"
        "and the smallest change of what is given that makes the statement true.",
        "h[i] ⟂ h[j] | y  where j != i",
        "h[i] ⟂ h[j] | x  where j != i",
    ),
    "CG421": Code("A statement about nothing", "No nodes satisfy the condition.", "h[i] ⟂ x[j] | parents  where j < 0"),
    "CG422": Code("The independence follows anyway", "The rest of the spec implies the statement; it may stay, or go."),
    "CG423": Code(
        "Joined by a line",
        "Adjacent nodes are never independent. A statement takes away edges from parents, but no lines: each of these was asked for.",
        "lines: chain, h[i] ⟂ h[j] | boundary  where j != i",
        "lines: chain, h[i] ⟂ h[j] | boundary  where abs(j - i) > 1",
    ),
    "CG424": Code(
        "A large matrix, mostly zeros",
        "What is left of the edge has no pattern that can be computed without the whole matrix: equal indices, groups, windows along axes.",
    ),
    # --- CG5xx: the derivation
    "CG501": Code(
        "An impossible base measure",
        "A base measure is a positive number, between exp(-1e12) and exp(1e12), at every state of the support.",
    ),
    "CG502": Code(
        "An impossible statistic", "A statistic is a number below 1e12 at every state of the support, and not the same at all of them."
    ),
    "CG503": Code(
        "No rule for it",
        "Neither a closed form nor a numerical rule gives the expectation of this family: its value has more break points than a\n"
        "quadrature can follow, its density is too rough, or its numbers are beyond 1e12.",
    ),
    "CG504": Code(
        "A part of a family that is none",
        "`std_min` and `scale_min` are numbers between 1e-18 and 1e18; `prob` lies between 0 and 1 at every energy; weights of a mixture\n"
        "are positive; `value` and `log_density` are real numbers wherever they are asked for.",
        "{kind: gated, value: e, prob: e}",
        "{kind: gated, value: e, prob: sigmoid(e)}",
    ),
    "CG505": Code(
        "An impossible scale",
        "A std or scale has a finite value at every energy e; a constant one is 0, or between 1e-18 and 1e18.",
        "std: 1/e",
        "std: 1/(1 + e**2)",
    ),
    "CG506": Code(
        "No approximation of it", "`emit` names a function that stays near the derived expectation; this one leaves it without bound."
    ),
    "CG507": Code("Nothing to replace", "`emit` replaces a function of one energy; nodes with labels have several."),
    "CG508": Code(
        "A node without a mean",
        "The expectation is an integral over the noise, or a density; where the integrand does not fall fast enough it does not exist.",
        "{kind: noise, base: logistic, scale: 2, value: exp(y)}",
        "{kind: noise, base: logistic, scale: 2, value: abs(y)}",
    ),
    "CG510": Code(
        "A singular likelihood",
        "Training maximises the likelihood of the outputs, which has no bound where their std vanishes.",
        "{kind: rectified_gaussian, std: tanh(e)}",
        "{kind: rectified_gaussian, std: tanh(e), std_min: 0.1}",
    ),
    "CG511": Code("An output without likelihood", "The output's family has no density that can be scored."),
    "CG512": Code(
        "A density that does not normalise",
        "The integral or sum of the density over its support must exist at every energy, from minus infinity to infinity.",
        "{kind: density, support: nonnegative, log_density: e*x}",
        "{kind: density, support: nonnegative, log_density: -x*exp(-e)}",
    ),
    "CG513": Code(
        "No node has this expectation",
        "Limits, monotony and noise of the activation are tested for every sort of node; the message says for each which condition\n"
        "fails, and where.",
        "cos(e)",
        "softplus(e)",
    ),
    "CG514": Code(
        "No formula in time",
        "A derivation runs in a process of its own and is ended after CGC_TIME_LIMIT seconds (60 by default). `route: quadrature` has the\n"
        "moments computed numerically; the clock never decides which formula comes out.",
    ),
    "CG520": Code(
        "No gradient passes",
        "A sampled discrete node passes no gradient with `gradient: block`. If every node of a layer is sampled, nothing below it learns.",
        "{method: pcff, sample_rate: 1}",
        "{method: pcff, sample_rate: 0.4}",
    ),
    # --- CG6xx: what this version can compile
    "CG601": Code("An output with children", "This version compiles outputs without children only."),
    "CG602": Code("A gate on labels", "This version compiles dropout on nodes with one number only."),
    "CG603": Code(
        "Labels take dense edges",
        "A node with labels shows one indicator per label, which elementwise edges, groups and poolings cannot pair.",
        "{x: identity}",
        "{x: dense}",
    ),
    "CG604": Code(
        "A shared gate in a loop",
        "This version does not compile `share: time` on an edge that is read step by step within a loop of several components.",
    ),
    "CG605": Code(
        "A component without parents",
        "Statements took every pair out of every edge of a component: nothing reaches it, and it would be a constant.",
    ),
    "CG606": Code("No output depends on it", "A hidden component has to reach an output, or none of its weights could be learned."),
    "CG607": Code(
        "Biases shared by nodes that do not follow each other",
        "Normalisation and labels need nodes that share a bias to follow each other, as those of one map do; nodes that share a scale are\n"
        "in the same group.",
        "h[c,r]  by r",
        "h[c,r]  by c",
    ),
    "CG608": Code(
        "Weights that are not normalised yet",
        "This version compiles weight normalisation of dense edges, tables of labels and convolutions (these not under `moments`): not of\n"
        "edges from which statements take pairs away.",
    ),
    "CG609": Code(
        "A prior on the weights that normalisation takes apart",
        "Weight normalisation learns a length and a direction in place of weights. A Gaussian prior on the weights is one on the length;\n"
        "others are not compiled there.",
        "{normalize: weight, parents: {x: {kind: dense, prior: {kind: uniform, low: -1, high: 1}}}}",
        "{normalize: weight, parents: {x: {kind: dense, prior: {kind: gaussian, precision: 1}}}}",
    ),
    "CG620": Code(
        "A refinement in a loop",
        "This version does not compile a refined component that is part of a loop over time with other components; a recurrence inside\n"
        "the refining path is fine.",
    ),
    # --- CG7xx: training
    "CG701": Code("One input and one output", "The data sets hold images with one label each."),
    "CG702": Code("The data have other nodes", "The input has as many nodes as the layout of the data gives at each step."),
    "CG703": Code("The data have other time steps", "A layout with steps needs `time` with as many; one without needs none."),
    "CG704": Code("The data have other values", "A pixel lies between 0 and 1, and must be a value of the input."),
    "CG705": Code("One label per example", "The output is one node; over time it is there at the last step only."),
    "CG706": Code("The data have other labels", "The output has as many labels as the data."),
    "CG707": Code("The split is fixed", "The bundled digits have a fixed validation part."),
}
