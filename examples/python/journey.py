"""Writes a small made-up journey log: 1,000 lines of 60 invented people and a shop. No line tells of a real person.

    python3 examples/python/journey.py > examples/journey.ndjson
    inkling replay examples/journey.ndjson

The same seed gives the same log. Who looks at a product, and more so who puts it into the cart, buys more often; phones
convert less than desktops. It shows the format; it is far too small to say how good any learner is.
"""

import json
import random
import sys

LINES = 1_000
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY_MS = 86_400_000
ITEMS = [(f"sku-{number}", category) for number, category in enumerate(["shoes", "shoes", "bags", "bags", "hats"], 1)]


def lines(chance):
    """All that happens, as (time, object), in no order."""
    devices = ["phone", "desktop"]
    people = [dict(user=f"user-{number:02}", device=chance.choice(devices)) for number in range(60)]
    opportunity = 0
    while True:
        person = chance.choice(people)
        time = START_MS + chance.randrange(10 * DAY_MS)
        item, category = chance.choice(ITEMS)
        of = dict(user=person["user"], advertiser="shop")
        about = dict(item=item, category=category)
        carted = False
        for action, share in [("session_start", 1.0), ("view_item", 0.8), ("add_to_cart", 0.35)]:
            if chance.random() >= share:
                break
            carted = action == "add_to_cart"
            yield time, dict(kind="action", **of, action=action, **({} if action == "session_start" else about))
            time += chance.randrange(20_000, 300_000)
        for _ in range(chance.randrange(1, 4)):
            time += chance.randrange(60_000, 3_600_000)
            opportunity += 1
            name = f"o-{opportunity}"
            asked = dict(kind="opportunity", id=name, **of, goal="purchase", **about)
            asked["context"] = dict(device_type=person["device"], country=chance.choice(["DE", "FR", "US"]))
            asked["numbers"] = dict(position=chance.randrange(1, 6))
            yield time, asked
            if chance.random() >= 0.8:
                continue  # The auction was lost: an opportunity without an impression.
            yield time + 500, dict(kind="impression", id=name, cost_micros=chance.randrange(500, 3_000))
            buys = (0.30 if carted else 0.04) * (1.0 if person["device"] == "desktop" else 0.6)
            if chance.random() < buys:
                bought = time + chance.randrange(600_000, 8 * 3_600_000)
                paid = chance.randrange(20, 90) + 0.9
                yield bought, dict(kind="conversion", **of, goal="purchase", **about, value=paid)
                break


def main():
    told = []
    for time, line in lines(random.Random(1)):
        told.append((time, line))
        if len(told) == LINES:
            break
    told.sort(key=lambda pair: pair[0])
    for time, line in told:
        sys.stdout.write(json.dumps(dict(time_ms=time, **line), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
