"""What a size of Scholion takes: machines, memory, disk, money, and what gives way first. On paper; nothing is run.

    python docs/plan.py        # prints the tables that docs/scale.md shows

Every figure is computed here, from those that were measured (MEASURED, each with the words of the page that has it) and
those that are assumed (ASSUMED, to be replaced by your own). Growth is taken as linear in chunks, papers and users.
"""

from __future__ import annotations

from dataclasses import dataclass

GB = 1e9


@dataclass(frozen=True, slots=True)
class Known:
    """A figure that was measured."""

    value: float
    what: str
    page: str
    """Where it is told."""
    words: str
    """What that page says, to the letter."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """A figure that nobody measured."""

    value: float
    what: str


PROFILE = "40 papers, 298 pages, 1,807 chunks: 3.7 s in our process"
MEASURED = {
    "papers": Known(40, "papers of the sample", "docs/log.md", PROFILE),
    "pages": Known(298, "pages in them", "docs/log.md", PROFILE),
    "chunks": Known(1_807, "chunks in them", "docs/log.md", PROFILE),
    "owner s": Known(3.7, "seconds of the owner's process for them, without embedding", "docs/log.md", PROFILE),
    "stored/s": Known(
        149, "chunks stored in a second, the slower of two builds", "docs/scale.md", "149 and 319 chunks"
    ),
    "PDF MB": Known(32.0, "MB of their PDFs", "docs/log.md", "their 40 PDFs have 32.0 MB"),
    "pages/s": Known(11.38, "pages added in a second on two cores", "docs/log.md", "Scholion 11.38"),
    "db MB": Known(5447, "MB of `library.db` at 1,000,000 chunks", "docs/scale.md", "| 5,447, 2,116 MB |"),
    "index MB": Known(2116, "MB of the index there", "docs/scale.md", "| 5,447, 2,116 MB |"),
    "app MB, 100k": Known(
        468, "MB of the process with its index at 100,000 chunks", "docs/scale.md", "| 468 MB | 2,456 MB |"
    ),
    "app MB, 1M": Known(2456, "MB at 1,000,000", "docs/scale.md", "| 468 MB | 2,456 MB |"),
    "search ms, 100k": Known(
        15, "ms of processor time of a search at 100,000 chunks", "docs/scale.md", "| 15 / 22 | 19 / 32 |"
    ),
    "search ms, 1M": Known(19, "ms at 1,000,000", "docs/scale.md", "| 15 / 22 | 19 / 32 |"),
    "draft s": Known(
        2.7, "seconds of an answer by the built-in drafter on two cores", "docs/log.md", "2.7 s for a draft"
    ),
    "open": Known(
        50, "people at once whom one process was tried with", "docs/log.md", "`bench/many_users.py`, 50 users"
    ),
}
ASSUMED = {
    "questions": Assumed(10, "questions of a person on a working day of eight hours"),
    "peak": Assumed(3, "times the mean at the busiest hour"),
    "open share": Assumed(0.1, "of the people have a page open at once"),
    "search budget ms": Assumed(300, "ms of processor time that a search may take"),
    "first days": Assumed(7, "days that the first ingest may take"),
    "spare": Assumed(2, "times what is computed, so that no machine runs at its limit"),
    "core $": Assumed(15, "dollars a month for a core"),
    "memory $": Assumed(3, "dollars a month for a GB of memory"),
    "disk $": Assumed(0.1, "dollars a month for a GB of disk, kept twice"),
}
SIZES = (
    ("laptop", 2_000, 1),
    ("group server", 20_000, 20),
    ("department", 100_000, 200),
    ("university", 1_000_000, 10_000),
)
"""(name, papers, people)."""
FEWER_CHUNKS, TRIED_CHUNKS = 100_000, 1_000_000
"""The two libraries that were measured."""


def known(name: str) -> float:
    """A measured value."""
    return MEASURED[name].value


def assumed(name: str) -> float:
    """An assumed value."""
    return ASSUMED[name].value


def search_ms(chunks: float) -> float:
    """Processor time of a search: a line through the two libraries that were measured."""
    return _line(known("search ms, 100k"), known("search ms, 1M"), chunks)


def _line(fewer: float, tried: float, chunks: float) -> float:
    return fewer + (tried - fewer) / (TRIED_CHUNKS - FEWER_CHUNKS) * (chunks - FEWER_CHUNKS)


@dataclass(frozen=True, slots=True)
class Plan:
    """One size."""

    name: str
    papers: int
    people: int

    @property
    def chunks(self) -> float:
        """papers · chunks of the sample / its papers."""
        return self.papers * known("chunks") / known("papers")

    @property
    def ingest_core_hours(self) -> float:
        """pages / (pages/s / 2 cores) / 3,600."""
        return self.papers * known("pages") / known("papers") / (known("pages/s") / 2) / 3_600

    @property
    def owner_days(self) -> float:
        """The owner's own work and its storing: however many workers there are, the first ingest takes as long."""
        return (self.papers * known("owner s") / known("papers") + self.chunks / known("stored/s")) / 86_400

    @property
    def disk_gb(self) -> float:
        """PDFs, `library.db`, index."""
        per_chunk = (known("db MB") + known("index MB")) * 1e6 / TRIED_CHUNKS
        return (self.papers * known("PDF MB") * 1e6 / known("papers") + self.chunks * per_chunk) / GB

    @property
    def app_gb(self) -> float:
        """The line through the two processes that were measured, each with its index."""
        return _line(known("app MB, 100k"), known("app MB, 1M"), self.chunks) * 1e6 / GB

    @property
    def questions_s(self) -> float:
        """At the busiest hour, in a second."""
        return self.people * assumed("questions") / (8 * 3_600) * assumed("peak")

    @property
    def search_s(self) -> float:
        """Processor seconds of one search."""
        return search_ms(self.chunks) / 1_000

    @property
    def cores(self) -> float:
        """Searches and drafts at the busiest hour, with room to spare; two at least."""
        return max(2.0, assumed("spare") * self.questions_s * (self.search_s + 2 * known("draft s")))

    @property
    def memory_gb(self) -> float:
        """With room to spare; 8 at least."""
        return max(8.0, assumed("spare") * self.app_gb)

    @property
    def dollars(self) -> float:
        """A month, without people's time, power or network."""
        return (
            self.cores * assumed("core $") + self.memory_gb * assumed("memory $") + 2 * self.disk_gb * assumed("disk $")
        )

    @property
    def strains(self) -> dict[str, float]:
        """How many times over what one process was tried with, or may take; above 1 it gives way."""
        return {
            "search": search_ms(self.chunks) / assumed("search budget ms"),
            "one core searching": self.questions_s * self.search_s,
            "open pages": self.people * assumed("open share") / known("open"),
            "first ingest": self.owner_days / assumed("first days"),
        }

    @property
    def first_to_break(self) -> str:
        """The largest strain."""
        name, strain = max(self.strains.items(), key=lambda item: item[1])
        return f"{name}, {_of(strain)} ×" if strain > 1 else "nothing"


def table() -> str:
    """The plan, and what it is made of, as Markdown."""
    plans = [Plan(*size) for size in SIZES]

    def row(what: str, *cells: str) -> str:
        return f"| {what} | {' | '.join(cells)} |"

    rows = [
        row("", *(plan.name for plan in plans)),
        "|---|" + "--:|" * len(plans),
        row("papers, people", *(f"{plan.papers:,}, {plan.people:,}" for plan in plans)),
        row("chunks", *(f"{_of(plan.chunks / 1e6)} M" for plan in plans)),
        row("… times the largest library measured", *(_of(plan.chunks / TRIED_CHUNKS) for plan in plans)),
        row("questions a second, busiest hour", *(_of(plan.questions_s) for plan in plans)),
        row("first ingest, core hours", *(_of(plan.ingest_core_hours) for plan in plans)),
        row("… days of the one process that stores", *(_of(plan.owner_days) for plan in plans)),
        row("disk, GB", *(_of(plan.disk_gb) for plan in plans)),
        row("memory of Scholion with its index, GB", *(_of(plan.app_gb) for plan in plans)),
        row("a search, seconds of processor time", *(_of(plan.search_s) for plan in plans)),
        row("cores, memory to buy", *(f"{plan.cores:,.0f}, {plan.memory_gb:,.0f} GB" for plan in plans)),
        row("dollars a month", *(_of(plan.dollars) for plan in plans)),
        *(
            row(f"strain: {name}", *(f"{_of(plan.strains[name])} ×" for plan in plans))
            for name in plans[0].strains
        ),
        row("gives way first", *(plan.first_to_break for plan in plans)),
    ]  # fmt: skip
    rows += ["", "Measured, and where:", ""]
    for one in MEASURED.values():
        page = one.page.removeprefix("docs/")
        rows.append(f"- {one.value:,g} {one.what} ([{page.removesuffix('.md')}]({page}))")
    rows += ["", "Assumed; change them in `docs/plan.py`:", ""]
    rows += [f"- {one.value:,g} {one.what}" for one in ASSUMED.values()]
    return "\n".join(rows)


def _of(value: float) -> str:
    """Two digits that count: more would be pretence."""
    if 0 < value < 0.01:
        return "under 0.01"
    return f"{float(f'{value:.2g}'):,g}"


if __name__ == "__main__":
    print(table())
