"""Every threshold of the analysis, with its reason: data, so that a benchmark can move each and count what changes.

A threshold is right where verdicts do not hang on its exact value (`benchmarks/robustness.py` tells).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace


def _limit(value: float, why: str) -> float:
    return field(default=value, metadata={"why": why})


@dataclass(frozen=True)
class Policy:
    """Shares are 0.0 to 1.0, sizes bytes; `…_less` is taken off a confidence, `…_at_most` is the most that is left."""

    # What counts as growth
    warm_up: float = _limit(
        0.2, "a program fills its tables when it starts: growth in this share of a run means nothing"
    )
    started: float = _limit(
        0.9, "of its modules are imported when a program's start-up is over: what grew before means nothing"
    )
    p_value: float = _limit(0.06, "four looks, each with more than the last, are one order of 24: rarer than this")
    deceleration: float = _limit(0.3, "growth whose later half has less than this share of the slope comes to an end")
    drawdown: float = _limit(0.25, "what falls back by this share of its gain is a saw-tooth or a population")
    gain: float = _limit(8, "a handful of items more are seen in any program that does something new")
    per_member: float = _limit(2, "of many containers of one name each gained this many: one is a coincidence")

    # Which containers are one place
    carriers_lasting: float = _limit(0.5, "containers that hang on objects of which half are gone go with them")
    stands_for_all: float = _limit(0.8, "a container that gained nearly all that its namesakes did is the place itself")
    same_container: float = _limit(0.6, "a container that grew in fewer intervals may be another one at a used address")
    overlap: float = _limit(0.8, "two places that lead to nearly the same new objects are one leak")
    survival: float = _limit(0.75, "a leak loses none of its early items, a population that turns over most of them")
    watching: float = _limit(
        0.5, "where half of what came are weak references, what keeps their objects alive is elsewhere"
    )

    # Which class stands for the unit of a leak
    per_entry: float = _limit(0.05, "entries may share an object, or be of several classes; what is rarer is by chance")
    as_much: float = _limit(0.8, "of classes that dominate about as much, the one nearest to one for each entry is it")
    carried: float = _limit(0.15, "for each child: several carriers may share what they carry")
    majority: float = _limit(0.4, "where all is plumbing, the class of most entries stands for them")
    alone: float = _limit(0.95, "of what entries carry, but for strays: more of another class is a part of them")
    one_each: float = _limit(0.8, "for each entry: a few of another class are among any")
    # What is said of a place
    values_new: float = _limit(0.8, "values that come one for each entry were put in; shared ones are only noted")
    keys_outweigh: float = _limit(2.0, "of a table of numbers and texts the part that takes most is what piles up")
    instances_kept: float = _limit(5, "a bounded cache on a method may keep self of the few objects meant to live")
    class_follows: float = _limit(
        0.3, "a class grows by a good part of what the place gains, or the place is not its holder"
    )
    class_drawdown: float = _limit(0.35, "a class that falls back by more is a batch that is dropped and begun anew")
    class_at_most: float = _limit(0.6, "worth a note: garbage that waits makes a class fall back, too")
    often_collected: float = _limit(0.5, "full collections in most intervals tell nothing of what falls in them")
    pruned_in_c: float = _limit(
        1000, "C code that keeps weak references clears out the dead at some hundreds: sqlite3 at 200, pandas at 500"
    )
    unseen_holder_at_most: float = _limit(0.7, "worth a note: a bound that C code keeps to can't be seen")
    lock_step: float = _limit(
        1.25, "a registry and its index gain the same; a lost entry or two between looks is noise"
    )
    index_weight: float = _limit(4.0, "an index of several times its registry's bytes is what takes the memory")
    recurring: float = _limit(
        0.1, "values replaced for a tenth of the new keys: keys come back, their number has an end"
    )
    recurring_slowing: float = _limit(0.9, "… where fewer new keys come than before")
    recurring_less: float = _limit(
        0.25, "a table that fills up to its number of keys looks like a leak until it is full"
    )
    bound_bytes: float = _limit(1e9, "a limit at which a container takes a gigabyte limits no memory: maxsize=10**9")
    bursts: float = _limit(6, "tables loaded when first asked for come in bursts, too: fewer of them tell nothing")
    bursts_at_most: float = _limit(0.7, "worth a note")
    bounded_cache_less: float = _limit(0.11, "what a bounded cache keeps has an end")

    # Held from outside, and classes without a container
    faithful: float = _limit(
        0.9, "a walk in slices finds a dying object out of reach once, the same one not every time"
    )
    attributes: float = _limit(
        0.5, "where most are the attributes of objects, so are the rest that have none to compare"
    )
    covered: float = _limit(0.5, "objects most of which another place explains are its leak")
    callbacks_slack: float = _limit(0.25, "callbacks counted and objects found are of different moments")
    stacks: float = _limit(8, "a few greenlets (hubs, loops) and threads are in any program that uses them")
    stack_values: float = _limit(4, "a running function has a handful of values in hand besides its locals")
    stacks_at_most: float = _limit(0.7, "worth a note")
    class_survival: float = _limit(0.9, "linked nodes that leak all stay")
    class_alive: float = _limit(0.5, "where most of what a class gained is garbage, its living few are not the leak")
    dominated: float = _limit(0.4, "an old object that dominates fewer of the new ones is one holder of several")
    one_door: float = _limit(0.9, "all but strays come through one new object: a tuple made anew, the head of a list")
    class_less: float = _limit(0.09, "no container was seen to grow: the holder is inferred")
    outside_less: float = _limit(0.04, "what the walk can't see looks the same as what C holds")

    # Buffers
    buffer_bytes: float = _limit(16_384, "smaller ones are too many to be compared by name, and too small to matter")
    buffer_gain_bytes: float = _limit(65_536, "a buffer that doubles once from a page is a buffer in use")

    # How sure a series makes us
    certainty: float = _limit(0.99, "no observation of a while proves what happens for ever")
    few_looks: float = _limit(6, "of so few points a rise may be chance")
    few_looks_less: float = _limit(0.12, "one in eight")
    three_looks_less: float = _limit(
        0.2, "one order of six; that nothing went and the pace stayed is what makes it more than chance"
    )
    some_looks: float = _limit(9, "enough for the halves to be compared")
    some_looks_less: float = _limit(0.04, "one in 25")
    steady: float = _limit(0.9, "a leak grows in nearly every interval of a busy program")
    unsteady_less: float = _limit(0.15, "for each interval in which it stood still, its share of this")
    losing_less: float = _limit(1.5, "for each share of the early items that is gone")
    later: float = _limit(0.75, "growth that keeps three quarters of its pace goes on")
    slowing_less: float = _limit(
        1.5, "for each share of the pace that is lost beyond that: a cache of few keys fills up"
    )
    settling_looks: float = _limit(12, "of fewer points thirds say nothing")
    settling_less: float = _limit(0.75, "the same, by thirds of the time")
    falling_less: float = _limit(0.2, "for the share that it fell back by")
    few_objects: float = _limit(15, "a dozen objects more may be a dozen plugins, users or connections")
    few_objects_less: float = _limit(0.1, "one in ten")
    least: float = _limit(0.3, "what passed every test of growth is never worth less than this")

    # Processes that run the same code
    siblings: float = _limit(5, "the same place in five of five processes is no chance (1 in 32)")
    siblings_share: float = _limit(0.8, "a leak of the code shows in nearly every process that runs it")
    siblings_levelled: float = _limit(2, "a place that stopped growing in two processes is a table with a bound")
    level_slack: float = _limit(1.1, "the last entries of a bounded table come slowly")
    work_share: float = _limit(0.1, "a process that does less of the work tells little of the program")

    c_objects: float = _limit(8, "so few objects of C classes do not have the megabytes that are missing")
    c_objects_at_most: float = _limit(0.8, "beside leaked objects that may have the memory their leak is the surer one")

    in_step: float = _limit(0.99, "objects that come one for one fit a line but for what came between two looks (R²)")
    c_objects_hold_at_most: float = _limit(0.7, "worth a note")

    # Memory of C code, and the ledger
    native_bytes: float = _limit(500_000, "C libraries have caches of their own: less belongs to nobody")
    native_of_growth: float = _limit(0.1, "… and so does a small part of the growth")
    native_fits: float = _limit(0.9, "memory taken for each of some objects fits a line on their number (R²)")
    native_share: float = _limit(0.5, "who is to have it accounts for most of it")
    unseen_bytes: float = _limit(300_000, "free lists, the interpreter's caches, what a walk in slices misses")
    of_one_size: float = _limit(0.5, "most of the blocks gained: they are of that size, or are interned strings")
    unseen_share: float = _limit(0.5, "of what Python's allocator gained; else it is what the objects beside have in C")
    objects_explain: float = _limit(0.5, "objects that grew by more than half of what the process did are its growth")
    used_share: float = _limit(0.3, "where that much of the growth is in use, or has a finding, it is not free memory")
    fragmented_bytes: float = _limit(6_000_000, "one burst of a program leaves as much, which the next one uses again")
    fragmented_of_resident: float = _limit(0.25, "… and so does a quarter of what a large process has")
    open_bytes: float = _limit(1_500_000, "an arena of each allocator and a page of every pool come to less")
    open_of_resident: float = _limit(0.06, "small change of a large process")
    unexplained: float = _limit(0.1, "of a growth that matters a tenth may be rounding of blocks and pages")

    # Garbage
    put_off: float = _limit(3, "a full collection that was due so often and never came is no chance")
    anew_alive: float = _limit(0.05, "garbage that is older than a collection was alive when it came: somebody is")
    # An old process, judged by a short look: what there was over what its rate and the life before would have made
    age_least: float = _limit(0.6, "less is a batch, a cache that is swept, or what began lately")
    age_most: float = _limit(1.8, "more is a table of the start-up, or what fills up ever more slowly")
    age_stayed: float = _limit(0.97, "of a population that turns over as many go as come")
    age_drawdown: float = _limit(0.1, "of so few looks one at which it fell back is half of what is known")
    age_rises: float = _limit(3, "where there were looks enough, a burst or two are a table that was loaded")
    age_less: float = _limit(0.03, "two looks and a long life are nearly as good as a long look")
    age_apart_less: float = _limit(0.25, "for each time that the two numbers are e times apart")

    # From confidence to what is said
    settled_intervals: float = _limit(
        18, "the interval is what the user said of the program's time scale: sessions, batches"
    )
    starting_at_most: float = _limit(0.7, "worth a note: what a program makes while it imports its modules has an end")
    unsettled_at_most: float = _limit(0.7, "worth a note: what only lives a while grows too until its first goes")
    accuse_at: float = _limit(0.75, "a verdict surer than this is an accusation; a less sure one is worth a note")
    sure_at: float = _limit(0.82, "surer ones come first, the larger before the smaller")
    note_at: float = _limit(0.5, "what is as likely as not is worth watching")
    censuses: float = _limit(8, "fewer looks are too few to call a process healthy")


POLICY = Policy()


def reasons() -> dict[str, str]:
    """Why each threshold is what it is, by name."""
    return {f.name: f.metadata["why"] for f in dataclasses.fields(Policy)}


def varied(policy: Policy, name: str, factor: float) -> Policy:
    """The policy with one threshold moved. Of a share above a half, what is missing of the whole is moved.

    >>> varied(POLICY, "gain", 1.25).gain, round(varied(POLICY, "class_survival", 1.25).class_survival, 3)
    (10.0, 0.925)
    """
    value = getattr(policy, name)
    return replace(policy, **{name: 1 - (1 - value) * (2 - factor) if 0.5 <= value < 1 else value * factor})
