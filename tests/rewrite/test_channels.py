"""Channel shuffles in random networks of Splits, Concats and convolutions: the same answers with fewer nodes."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooftune.graph.text import model_of_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import all_steps
from tests.rewrite.running import evaluate, valid
from tests.rewrite.test_structure import same_answers

SIZE = 3


class Network:
    """A network as text, with everything SIZE × SIZE."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.weights: list[str] = []
        self.count = 0

    def new(self, expression: str, outputs: int = 1) -> list[str]:
        names = [f"v{self.count + i}" for i in range(outputs)]
        self.count += outputs
        self.lines.append(f"{', '.join(names)} = {expression}")
        return names

    def weight(self, shape: str, name: str = "w", values: str = "") -> str:
        found = f"{name}{len(self.weights)}"
        self.weights.append(f"{shape} {found}{values}")
        return found

    def conv(self, x: str, read: int, made: int, *, group: int = 1, bias: bool = False) -> str:
        weight = self.weight(f"float[{made},{read // group},1,1]")
        more = f", {self.weight(f'float[{made}]')}" if bias else ""
        return self.new(f"Conv<group={group}>({x}, {weight}{more})")[0]

    def depthwise(self, x: str, channels: int) -> str:
        weight = self.weight(f"float[{channels},1,3,3]")
        return self.new(f"Conv<group={channels}, pads=[1,1,1,1]>({x}, {weight})")[0]

    def norm(self, x: str, channels: int) -> str:
        parts = [self.weight(f"float[{channels}]", n) for n in ("s", "s", "s", "var")]
        return self.new(f"BatchNormalization({x}, {', '.join(parts)})")[0]

    def activation(self, x: str, channels: int, kind: str) -> str:
        if kind == "PRelu":
            return self.new(f"PRelu({x}, {self.weight(f'float[{channels},1,1]')})")[0]
        if kind == "Add":
            return self.new(f"Add({self.weight(f'float[1,{channels},1,1]')}, {x})")[0]
        return self.new(f"{kind}({x})")[0]

    def shuffle(self, x: str, channels: int, groups: int) -> str:
        apart = self.weight("int64[5]", "i", f" = {{1,{groups},{channels // groups},{SIZE},{SIZE}}}")
        together = self.weight("int64[4]", "i", f" = {{1,{channels},{SIZE},{SIZE}}}")
        first = self.new(f"Reshape({x}, {apart})")[0]
        second = self.new(f"Transpose<perm=[0,2,1,3,4]>({first})")[0]
        return self.new(f"Reshape({second}, {together})")[0]

    def text(self, channels: int, ends: dict[str, int]) -> str:
        outputs = ", ".join(f"float[1,{c},{SIZE},{SIZE}] {n}" for n, c in ends.items())
        body = "\n".join(self.lines)
        return f"(float[1,{channels},{SIZE},{SIZE}] x) => ({outputs}) <{', '.join(self.weights)}> {{ {body} }}"


@st.composite
def stages(draw: st.DrawFn) -> str:
    """Units as in ShuffleNetV2, with odd ones among them: orders that are fixed, branches that are missing."""
    half = draw(st.sampled_from([2, 4, 6]))
    channels, network = 2 * half, Network()
    kinds = st.sampled_from(["Relu", "PRelu", "Add", "HardSwish"])
    first = (
        network.conv("x", 3, half) if draw(st.integers(0, 3)) else network.depthwise(network.conv("x", 3, half), half)
    )
    second = network.activation(network.conv("x", 3, half, bias=True), half, draw(kinds))
    x = network.new(f"Concat<axis=1>({first}, {second})")[0]
    ends: dict[str, int] = {}
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.integers(0, 5)):
            x = network.shuffle(x, channels, draw(st.sampled_from([2, half])))
        kept, gone = network.new(f"Split<axis=1, num_outputs=2>({x})", 2)
        y = network.conv(gone, half, half, bias=draw(st.booleans()))
        if draw(st.booleans()):
            y = network.norm(network.depthwise(y, half), half)
            y = network.conv(y, half, half, group=draw(st.sampled_from([1, 1, 2])))
        if draw(st.integers(0, 2)):
            y = network.activation(y, half, draw(kinds))
        if not draw(st.integers(0, 6)):
            ends[y] = half
        parts = [kept, y] if draw(st.booleans()) else [y, kept]
        x = network.new(f"Concat<axis=1>({', '.join(parts)})")[0]
    x = network.shuffle(x, channels, draw(st.sampled_from([2, half])))
    end = draw(st.sampled_from(["dense", "both", "open", "softmax"]))
    if end in ("dense", "both"):
        ends[network.conv(x, channels, 5)] = 5
    if end == "both":
        ends[network.conv(network.activation(network.depthwise(x, channels), channels, "PRelu"), channels, 3)] = 3
    if end == "softmax":
        x = network.new(f"Softmax<axis=1>({x})")[0]
    if end in ("open", "softmax"):
        ends[x] = channels
    return network.text(3, ends)


RULES = ("route_channels", "remove_channel_shuffle")


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(stages(), st.sampled_from([RULES, RULES[:1], RULES[1:]]))
def test_random_stages_keep_their_answers(text: str, rules: tuple[str, ...]) -> None:
    before = model_of_text(text)
    found = rewrite(before, [all_steps()[name] for name in rules], evaluate=evaluate)
    assert not found.journal.notes
    assert found.model.graph.num_nodes() <= before.graph.num_nodes()
    valid(found.model)
    same_answers(before, found.model, 1e-5)


def test_a_shufflenet_stage_loses_all_its_shuffles() -> None:
    network, half = Network(), 8
    channels = 2 * half
    pair = [network.activation(network.conv("x", 3, half), half, "Relu") for _ in range(2)]
    x = network.shuffle(network.new(f"Concat<axis=1>({', '.join(pair)})")[0], channels, 2)
    for _ in range(3):
        kept, gone = network.new(f"Split<axis=1, num_outputs=2>({x})", 2)
        y = network.activation(network.conv(gone, half, half), half, "Relu")
        y = network.norm(network.depthwise(y, half), half)
        y = network.activation(network.conv(y, half, half), half, "Relu")
        x = network.shuffle(network.new(f"Concat<axis=1>({kept}, {y})")[0], channels, 2)
    before = model_of_text(network.text(3, {network.conv(x, channels, 4): 4}))
    found = rewrite(before, [all_steps()["route_channels"]], evaluate=evaluate)
    ops = [n.op_type for n in found.model.nodes]
    assert "Reshape" not in ops and "Transpose" not in ops
    assert ops.count("Split") == 4 and ops.count("Concat") == 4
    assert found.model.graph.num_nodes() == before.graph.num_nodes() - 19 + 8
    same_answers(before, found.model, 1e-5)


def test_a_convolution_between_two_stages_is_read_and_made_anew() -> None:
    """It takes the order of the first stage in, and gives that of the second out."""
    network, half = Network(), 4
    channels = 2 * half
    ends = [network.activation(network.conv("x", 3, half), half, "Relu") for _ in range(2)]
    for _ in range(2):
        x = network.shuffle(network.new(f"Concat<axis=1>({', '.join(ends)})")[0], channels, 2)
        kept, gone = network.new(f"Split<axis=1, num_outputs=2>({x})", 2)
        y = network.conv(gone, half, half)
        x = network.shuffle(network.new(f"Concat<axis=1>({kept}, {y})")[0], channels, 2)
        ends = [network.conv(x, channels, half) for _ in range(2)]
    before = model_of_text(network.text(3, dict.fromkeys(ends, half)))
    found = rewrite(before, [all_steps()["route_channels"]], evaluate=evaluate)
    assert [a.rule for a in found.journal.applied] == ["route_channels"] * 2
    assert not {"Reshape", "Transpose"} & {n.op_type for n in found.model.nodes}
    valid(found.model)
    same_answers(before, found.model, 1e-5)


def test_grouped_convolutions_keep_their_shuffle_and_say_why() -> None:
    """ShuffleNetV1: the shuffle mixes the groups on both sides."""
    network = Network()
    y = network.activation(network.conv("x", 4, 8, group=2), 8, "Relu")
    y = network.shuffle(y, 8, 2)
    y = network.conv(network.depthwise(y, 8), 8, 4, group=2)
    before = model_of_text(network.text(4, {y: 4}))
    found = rewrite(before, [all_steps()[name] for name in RULES], evaluate=evaluate)
    assert found.model.graph.num_nodes() == before.graph.num_nodes()
    reasons = [r.reason for r in found.journal.refused]
    assert len(reasons) == 1 and "left to the compiler" in reasons[0] and "grouped convolution" in reasons[0]
