"""The table at the end: found, turned away, left out, and what lies in each split."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from faceline_preprocess.listing import Listing
from faceline_preprocess.outcome import Outcome
from faceline_preprocess.splitting import SPLITS

_NAMED = 8  # people


def table(listing: Listing, outcomes: Sequence[Outcome], min_photos: int) -> Iterator[str]:
    """Lines of text."""
    yield _line("photos found", len(listing.photos), f"of {len(listing.people)} people")
    rejected = Counter(outcome.kind for outcome in outcomes if outcome.status == "rejected")
    for kind, count in rejected.most_common():
        yield _line(f"rejected: {kind}", count)
    alike = {outcome.photo.path for outcome in outcomes if outcome.like is not None}
    if alike:
        yield _line("near-duplicates of the person's own", len(alike), "each kept in the split of the photo it is like")
    usable: dict[str, set[str]] = defaultdict(set)
    for outcome in outcomes:
        if outcome.status != "rejected":
            usable[outcome.photo.identity].add(outcome.photo.sha256)
    few = {person: len(usable[person]) for person in listing.people if len(usable[person]) < min_photos}
    if few:
        names = ", ".join(f"{person} ({count})" for person, count in list(few.items())[:_NAMED])
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        yield _line(f"people with fewer than {min_photos} usable photos", len(few), names + more)
    for split in SPLITS:
        used = [outcome for outcome in outcomes if outcome.split == split]
        yield _line(f"faces in {split}", len(used), f"of {len({outcome.photo.identity for outcome in used})} people")


def _line(what: str, count: int, more: str = "") -> str:
    return f"{what:<42}{count:>7}  {more}".rstrip()
