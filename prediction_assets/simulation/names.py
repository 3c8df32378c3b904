"""Invented names: of players, of teams and of bookmakers.

Nothing here is from a real league: players' surnames are made of syllables, teams are called ``Simulated ...``, and a
test compares the players with ten real seasons. Some names have what breaks naive joins: accents, apostrophes, dots,
hyphens and suffixes. Without these, each combination of first name and surname occurs once, so two players share a slug
only where the league wants namesakes.
"""

from __future__ import annotations

from prediction_assets.simulation.draws import Draws

BOOKMAKERS = ("Simulated Book A", "Simulated Book B")

_FIRST_NAMES = (
    "Adrel", "Amari", "Andor", "Anselm", "Bastian", "Benno", "Brannon", "Caleo", "Cassian", "Corvin",
    "Dacian", "Dario", "Davor", "Deshon", "Dorian", "Edric", "Elio", "Emeric", "Evander", "Fabian",
    "Ferran", "Gideon", "Goran", "Hadrian", "Idris", "Ilario", "Ivo", "Jabril", "Jareth", "Jorund",
    "Kaelen", "Kasimir", "Keon", "Kiran", "Lazar", "Leander", "Lorcan", "Lucan", "Maceo", "Marek",
    "Matthis", "Milos", "Nazir", "Nestor", "Obadiah", "Odell", "Orin", "Osric", "Pascal", "Pavel",
    "Quillan", "Rashon", "Remy", "Roald", "Roman", "Samir", "Severin", "Silas", "Soren", "Tadeo",
    "Tarik", "Teodor", "Torin", "Tyrell", "Ulric", "Valen", "Viggo", "Wendell", "Xander", "Yannis",
    "Zaire", "Zeno", "De'Varro", "Ja'Quel", "Ke'Shaun", "T.J.", "K.C.", "A.D.", "André-Luc", "Émeric-Jo",
)  # fmt: skip
_SURNAME_STARTS = (
    "Abber", "Alder", "Ambro", "Arken", "Balden", "Barro", "Bexel", "Brando", "Calder", "Carro", "Cassel",
    "Corven", "Dallen", "Darro", "Delmar", "Drexel", "Elden", "Embry", "Fallo", "Farren", "Fendri", "Galen",
    "Garro", "Gren", "Halvor", "Harken", "Hollo", "Jarren", "Jessel", "Kandri", "Keller", "Kessi", "Larren",
    "Lindel", "Mallo", "Marren", "Mondra", "Nander", "Orlen", "Ostra", "Pallen", "Pendra", "Quarren",
    "Renda", "Rossen", "Sallo", "Selden", "Tallen", "Tarro", "Ulmer", "Vandri", "Varren", "Wexel", "Yarro",
    "Zander",
)  # fmt: skip
_SURNAME_ENDS = (
    "by", "den", "dor", "fax", "gate", "holt", "kin", "low", "mere", "mond", "more", "ney", "quist", "rick",
    "ridge", "rowe", "shaw", "stone", "ton", "vale", "ver", "ville", "wick", "worth", "tić", "neš", "gård",
    "rón", "lé", "mić",
)  # fmt: skip
_SUFFIXES = (" Jr.", " II", " III", " Sr.")
_PLACES = (
    "Harbor", "Canyon", "Prairie", "Summit", "Delta", "Mesa", "Lakeside", "Riverbend", "Granite", "Juniper",
    "Cedar", "Coral", "Amber", "Cobalt", "Copper", "Ember", "Falcon Bay", "Glacier", "Hollow", "Ivory",
    "Lantern", "Maple", "Meadow", "Northgate", "Orchard", "Pinecrest", "Quarry", "Saltmarsh", "Thornhill",
    "Willow",
)  # fmt: skip
_MASCOTS = (
    "Herons", "Otters", "Badgers", "Comets", "Lynxes", "Ravens", "Foxes", "Marlins", "Bisons", "Owls",
    "Stallions", "Wolves", "Cranes", "Vipers", "Gulls", "Beavers", "Condors", "Sparrows", "Panthers",
    "Tortoises",
)  # fmt: skip


def team_abbreviation(position: int) -> str:
    """Return ``S01`` for the team at position 0."""
    return f"S{position + 1:02d}"


def team_name(position: int) -> str:
    """Return the full name of a team, ``Simulated Harbor Herons`` at position 0; unique below 600."""
    lap = position // len(_PLACES)
    mascot = (position + lap) % len(_MASCOTS)
    # Places repeat every 30 teams and mascots every 20: the lap turns them against each other.
    return f"Simulated {_PLACES[position % len(_PLACES)]} {_MASCOTS[mascot]}"


def player_names(draws: Draws, size: int) -> list[str]:
    """Return so many players' names, each once."""
    surnames = len(_SURNAME_STARTS) * len(_SURNAME_ENDS)
    picks = draws.permutation(len(_FIRST_NAMES) * surnames)[:size].tolist()
    decorations = draws.uniform(size).tolist()
    names = []
    for pick, decoration in zip(picks, decorations, strict=True):
        start, end = divmod(pick % surnames, len(_SURNAME_ENDS))
        surname = _SURNAME_STARTS[start] + _SURNAME_ENDS[end]
        # Of the 2024-25 players, 6.5 % have a suffix and 2 % an apostrophe, some of them in the first name.
        if decoration < 0.065:
            surname += _SUFFIXES[pick % len(_SUFFIXES)]
        elif decoration < 0.075:
            surname = f"O'{surname}"
        names.append(f"{_FIRST_NAMES[pick // surnames]} {surname}")
    return names
