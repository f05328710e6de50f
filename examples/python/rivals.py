"""Predicts a journey log with Vowpal Wabbit and with LightGBM, to be compared with Inkling opportunity by opportunity.

    python3 -m venv venv && venv/bin/pip install -r examples/python/rivals.txt
    venv/bin/python examples/python/rivals.py LOG rivals --window 24h --evaluate-from 0.5
    inkling replay LOG --window 24h --evaluate-from 0.5 --against rivals/vw-0.1.csv

Both get what they are usually given: the request, and of the user, of the user with the advertised item, and with the
category, how often and how long ago each action was done, the latest three actions, visits, ads shown, conversions. VW
learns as it goes (FTRL, one file for each rate), LightGBM is trained anew 16 times in the evaluated part: before that
it says the rate alone. A label teaches either only once its window has closed: before that, an opportunity without a
conversion may still get one. Labels follow Inkling's rule.
"""

import argparse
import bisect
import csv
import gzip
import heapq
import json
import math
import sys
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

import lightgbm
import numpy
import vowpalwabbit

VW_RATES = [0.01, 0.03, 0.1]
TRAININGS = 16
TREES = dict(objective="binary", learning_rate=0.03, num_leaves=15, min_data_in_leaf=100, lambda_l2=5)
TREES |= dict(bagging_fraction=0.8, bagging_freq=1, feature_fraction=0.6, cat_smooth=50, min_data_per_group=100)
TREES |= dict(num_threads=2, seed=1, verbose=-1)
TREE_COUNT = 200
# Items, or categories, are a feature of their own where there are no more of them.
NAMES_MAX = 5_000
VISIT_GAP_MS = 30 * 60_000
UNITS_MS = dict(s=1_000, m=60_000, h=3_600_000, d=86_400_000)
# Bounds of "how long ago", for VW: 10 s to 10 days.
AGES_MS = [1_000 * seconds for seconds in (10, 60, 300, 1_800, 7_200, 21_600, 86_400, 259_200, 864_000)]


class History:
    """What one user did, in all or with one item or category."""

    def __init__(self):
        self.times, self.last_of, self.latest = {}, {}, ()
        self.first = self.last = None
        self.visits = self.in_visit = self.shown = self.converted = 0

    def act(self, action, time):
        self.times[action] = self.times.get(action, 0) + 1
        self.last_of[action] = time
        self.latest = (*self.latest, action)[-3:]
        if self.last is None or time - self.last > VISIT_GAP_MS:
            self.visits, self.in_visit = self.visits + 1, 0
        self.in_visit += 1
        self.first, self.last = self.first or time, time

    def counts(self):
        return [self.converted, self.shown, self.visits, self.in_visit, sum(self.times.values())]

    def ages(self, time):
        return [time - at if at is not None else None for at in (self.first, self.last)]

    def words(self, of, time):
        """For VW: counts and ages in steps."""
        for action, times in self.times.items():
            yield f"{of}:{action}={step(times)}"
            yield f"{of}:{action}={step(times)}@{bisect.bisect(AGES_MS, time - self.last_of[action])}"
        for length in (1, 2, 3):
            yield f"{of}:latest{length}={'>'.join(self.latest[-length:])}"
        for place, count in enumerate(self.counts()):
            yield f"{of}:count{place}={step(count)}"
        for place, age in enumerate(self.ages(time)):
            yield f"{of}:age{place}={'never' if age is None else bisect.bisect(AGES_MS, age)}"

    def numbers(self, actions, time):
        """For LightGBM: counts and ages as they are."""
        for action in actions:
            yield self.times.get(action, 0)
            yield time - self.last_of[action] if action in self.last_of else math.nan
        yield from self.counts()
        yield from (math.nan if age is None else age for age in self.ages(time))


def step(number):
    """A number in steps of powers of two."""
    return int(math.log2(1 + abs(number))) * (-1 if number < 0 else 1)


def agree(line, conversion):
    """Whether a conversion that names no opportunity is one of this: its item decides where both have one, else its
    category where both have one."""
    for name in ("item", "category"):
        if name in line and name in conversion:
            return line[name] == conversion[name]
    return True


class Labels:
    """Which opportunities convert within the window after they were shown."""

    def __init__(self, lines, window):
        self.window, self.named, self.others = window, defaultdict(list), defaultdict(list)
        for line in lines:
            if line["kind"] == "conversion" and "id" in line:
                self.named[line["id"], line["advertiser"], line["goal"]].append(line)
            elif line["kind"] == "conversion":
                self.others[line["user"], line["advertiser"], line["goal"]].append(line)

    def convert(self, line, shown_ms):
        of = (line["advertiser"], line["goal"])
        others = self.others.get((line["user"], *of), [])
        found = self.named.get((line["id"], *of), []) + [other for other in others if agree(line, other)]
        return any(shown_ms < one["time_ms"] <= shown_ms + self.window for one in found)


class Table:
    """One row for each opportunity, as VW and LightGBM want it."""

    def __init__(self, lines, window):
        asked = [line for line in lines if line["kind"] == "opportunity"]
        self.actions = sorted({line["action"] for line in lines if line["kind"] == "action"})
        self.context = sorted({name for line in asked for name in line.get("context", {})})
        self.numbers = sorted({name for line in asked for name in line.get("numbers", {})})
        different = {name: {line.get(name) for line in asked} for name in ("item", "category")}
        self.names = [name for name, values in different.items() if len(values) <= NAMES_MAX]
        self.codes = defaultdict(dict)
        self.histories = defaultdict(History)
        shown = {line["id"]: line["time_ms"] for line in lines if line["kind"] == "impression"}
        labels, waiting = Labels(lines, window), {}
        # Of each row: how it is named, what VW and LightGBM get, when it was asked for, when its window closes (never
        # where nothing was shown), and whether it converts.
        self.ids, self.words, self.rows, self.times, self.closes, self.positive = [], [], [], [], [], []
        for line in lines:
            if line["kind"] == "opportunity":
                shown_ms = shown.get(line["id"])
                self.add(line)
                self.closes.append(math.inf if shown_ms is None else shown_ms + window)
                self.positive.append(shown_ms is not None and labels.convert(line, shown_ms))
                waiting[line["id"]] = line
            else:
                self.learn(line, waiting)

    def histories_of(self, line):
        """Those of the user, of the user with the item and with the category."""
        of = (line["user"], line["advertiser"])
        yield self.histories[of]
        for name in ("item", "category"):
            if name in line:
                yield self.histories[*of, name, line[name]]

    def learn(self, line, waiting):
        if line["kind"] == "impression":
            asked = waiting.pop(line["id"], None)
            for history in self.histories_of(asked) if asked else []:
                history.shown += 1
            return
        for history in self.histories_of(line):
            if line["kind"] == "action":
                history.act(line["action"], line["time_ms"])
            else:
                history.converted += 1

    def add(self, line):
        time, hour = line["time_ms"], line["time_ms"] // UNITS_MS["h"] % 24
        of = (line["user"], line["advertiser"])
        about = [self.histories.get((*of, name, line.get(name)), History()) for name in ("item", "category")]
        histories = [self.histories.get(of, History()), *about]
        numbers = [line.get("numbers", {}).get(name) for name in self.numbers]
        texts = [line.get("context", {}).get(name, "") for name in self.context]
        texts += [line["goal"], *(line.get(name, "") for name in self.names)]
        words = [f"hour={hour}", *(f"{place}={text}" for place, text in enumerate(texts))]
        words += [f"n{place}={'' if one is None else step(4 * one)}" for place, one in enumerate(numbers)]
        for name, history in zip("uic", histories):
            words += history.words(name, time)
        # A space, a bar and a colon mean something to VW.
        self.words.append(" ".join(word.translate({32: "_", 124: "_", 58: "_"}) for word in words))
        row = [float(self.code(place, text)) for place, text in enumerate(texts)]
        row += [hour, time // UNITS_MS["d"] % 7, *(math.nan if one is None else one for one in numbers)]
        for history in histories:
            row += history.numbers(self.actions, time)
        self.rows.append(row)
        self.ids.append((line["id"], line["advertiser"], line["goal"]))
        self.times.append(time)

    def code(self, place, text):
        codes = self.codes[place]
        return codes.setdefault(text, len(codes))

    def categorical(self):
        return list(range(len(self.context) + 1 + len(self.names)))


def vw(table, rate):
    """Each prediction before anything later, as a bidder would have had it."""
    learner = vowpalwabbit.Workspace(
        f"--loss_function logistic --link logistic -b 22 --quiet --ftrl --ftrl_alpha {rate} --ftrl_beta 1 --l2 1"
    )
    predicted, waiting = [], []
    for number, words in enumerate(table.words):
        while waiting and waiting[0][0] <= table.times[number]:
            _, closed = heapq.heappop(waiting)
            learner.learn(f"{1 if table.positive[closed] else -1} | {table.words[closed]}")
        predicted.append(learner.predict(f"| {words}"))
        if table.closes[number] < math.inf:
            heapq.heappush(waiting, (table.closes[number], number))
    return predicted


def trees(table, start):
    """Trained anew in equal steps from the start of the evaluated part on, from what had closed by then."""
    rows, positive = numpy.array(table.rows), numpy.array(table.positive, dtype=float)
    times, closes = numpy.array(table.times), numpy.array(table.closes)
    before = positive[closes < start]
    predicted = numpy.full(len(times), (before.sum() + 1) / (len(before) + 2))
    bounds = numpy.linspace(start, times.max() + 1, TRAININGS + 1)
    for since, until in zip(bounds, bounds[1:]):
        known, asked = closes <= since, (times >= since) & (times < until)
        if asked.any() and len(set(positive[known])) == 2:
            data = lightgbm.Dataset(rows[known], positive[known], categorical_feature=table.categorical())
            predicted[asked] = lightgbm.train(TREES, data, TREE_COUNT).predict(rows[asked])
    return predicted


def span(text):
    """A span such as 10m or 24h, in milliseconds."""
    if text[-1:] not in UNITS_MS:
        raise argparse.ArgumentTypeError(f"'{text}' is no number with s, m, h or d")
    return int(text[:-1]) * UNITS_MS[text[-1]]


def start_of(text, times):
    """The beginning of the evaluated part: a date, or a share of the time between first and last opportunity."""
    if "-" in text:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() * 1_000
    return min(times) + float(text) * (max(times) - min(times))


def write(path, table, predicted):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "advertiser", "goal", "p"])
        writer.writerows((*names, repr(float(p))) for names, p in zip(table.ids, predicted))
    print(path, flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("log", type=Path, help="journey log, NDJSON, plain or gzip")
    arguments.add_argument("to", type=Path, help="directory for the predictions")
    arguments.add_argument("--window", type=span, default="1d", help="label window, such as 10m or 24h [1d]")
    arguments.add_argument("--evaluate-from", default="0.5", help="a date, or a share of the time [0.5]")
    given = arguments.parse_args()
    with (gzip.open if given.log.suffix == ".gz" else open)(given.log, "rt") as file:
        table = Table([json.loads(line) for line in file], given.window)
    if not table.times:
        sys.exit(f"{given.log}: holds no opportunities")
    given.to.mkdir(parents=True, exist_ok=True)
    for rate in VW_RATES:
        write(given.to / f"vw-{rate}.csv", table, vw(table, rate))
    predicted = trees(table, start_of(given.evaluate_from, table.times))
    write(given.to / "lightgbm.csv", table, predicted)


if __name__ == "__main__":
    main()
