"""Limits: what no fact of an NBA game can be, each with its reason.

A row beyond a limit is not used: it goes into quarantine, where an operator may accept it. What doesn't belong here:
what is no number or no date at all; the readers refuse that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from prediction_assets.slate.markets import POINTS

MOST_IN_A_GAME: Mapping[str, int] = {
    "minutes": 78,  # the longest game, six overtimes (1951-01-06); the longest of a player is 69 (Ellis, 1989-11-09)
    "points": POINTS.most,
    "field_goals_made": 36,  # Chamberlain, the same game
    "field_goals_attempted": 63,  # the same
    "three_pointers_made": 20,  # the record is 14 (Thompson, 2018-10-29) and is still growing
    "three_pointers_attempted": 35,  # the record is 24, of the same game
    "free_throws_made": 28,  # Chamberlain, the same game; Dantley, 1984-01-04
    "free_throws_attempted": 39,  # Howard, 2012-01-12
    "offensive_rebounds": 25,  # the record is 21 (Malone, 1982-02-11)
    "defensive_rebounds": 55,  # Chamberlain's 55 rebounds of 1960-11-24, which nobody split
    "assists": 30,  # Skiles, 1990-12-30
    "steals": 15,  # the record is 11
    "blocks": 17,  # Smith, 1973-10-28
    "turnovers": 20,  # the record is 14
    "personal_fouls": 8,  # 6 foul a player out; when no substitute is left he plays on (Otten, 1949-11-24)
}
"""The most of each count that a player can have in one game. Sources: the NBA's record book."""

HIGHEST_PRICE = 100_000
"""American odds, either sign: 1,000 to 1. No book offers more on a player."""

SEASON_BEGINS, SEASON_ENDS, PLAYOFFS_END = (9, 1), (8, 31), (10, 31)
"""Month and day, of a season's two years, between which all of its games are. 2019-20 was the longest: its play-in
ended on 2020-08-15, its playoffs on 2020-10-11. From September on, the next season's games come."""

LONGEST_NAME = 100
"""Characters of a player's name, from which the names of his partition and of his part are made."""

LONGEST_TEXT = 1_000
"""Characters of any other text, such as a bookmaker's name or an injury's reason: each is in many rows and messages."""

FURTHEST_DAYS = 400
"""Days from today to the last game that any source can know: a schedule appears in August for a season until June."""

REPORTED_BEFORE, REPORTED_AFTER = timedelta(days=8), timedelta(days=2)
"""An injury report is published at most so long before and after the date of its games, both counted from midnight."""

CLOCK_TOLERANCE = timedelta(minutes=30)
"""How far a source's time may be ahead of ours. The title of an injury report was half an hour ahead of its name until
2025; an offer or a report of later than this would stay newest too long."""
