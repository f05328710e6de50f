"""A bidder and a tracker in Python: tracks some acts, asks for a multiplier, reports impression, click and purchase.

    python3 -m venv venv && venv/bin/pip install -r examples/python/requirements.txt
    venv/bin/python examples/python/client.py 127.0.0.1:7610

The messages are made from proto/ while it runs. In production generate them once:
    python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/inkling/v1/*.proto
"""

import sys
import time
from pathlib import Path

import grpc

# grpc looks for .proto files where Python looks for modules.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "proto"))
event_pb, event_grpc = grpc.protos_and_services("inkling/v1/event.proto")
signal_pb, signal_grpc = grpc.protos_and_services("inkling/v1/signal.proto")

# Seconds that a bid may wait for its multiplier, there and back. Later than that the bid goes out without one.
BID_TIMEOUT = 0.02
# Events are in no hurry: a call that fails is made again, so many times in all, with pauses that double. One that is
# still not acknowledged then goes into a queue of your own.
EVENT_TIMEOUT = 5
EVENT_TRIES = 6
EVENT_PAUSE = 0.1


def action(user, name, event_id, **more):
    """An act with an id of its own, so that it can be sent again when an answer was lost."""
    act = dict(user=user, advertiser="acme", action=name, item="sku-7", **more)
    return event_pb.Event(event_id=event_id, action=act)


def track(events, *what):
    """Sends events. A refused one keeps no other out and stays refused."""
    answer = acknowledged(events, event_pb.TrackRequest(events=what))
    print(f"{answer.accepted} accepted, {answer.duplicate} known already, {answer.rejected} refused")
    for result in answer.results:
        if result.HasField("rejection"):
            print(f"event {result.index}: {result.rejection.code}: {result.rejection.message}", file=sys.stderr)


def acknowledged(events, request):
    """Sends events until they are acknowledged: again while the service is away or has no room. With their ids, events
    count once, whether or not the call that failed had reached it."""
    pause = EVENT_PAUSE
    for tries_left in reversed(range(EVENT_TRIES)):
        try:
            return events.Track(request, timeout=EVENT_TIMEOUT)
        except grpc.RpcError as error:
            again = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
            if not again or not tries_left:
                raise
        time.sleep(pause)
        pause *= 2


def multiplier_or_one(signals, request, timeout):
    """The factor on the bid and the answer it comes from. Whatever goes wrong, the factor is 1: the bid goes out as it
    would without Inkling, and nothing is asked twice."""
    try:
        answer = signals.Score(request, timeout=timeout)
    except grpc.RpcError as error:
        print(f"no multiplier: {error.code().name}: {error.details()}", file=sys.stderr)
        return 1.0, None
    result = answer.results[0] if answer.results else answer
    if result.HasField("rejection"):
        print(f"no multiplier: {result.rejection.code}: {result.rejection.message}", file=sys.stderr)
        return 1.0, None
    if not answer.results or not result.signals:
        return 1.0, None
    return result.signals[0].multiplier, result


def main(address="127.0.0.1:7610", user="u-82", opportunity="auction-2", timeout=BID_TIMEOUT):
    # One channel serves any number of calls at a time.
    with grpc.insecure_channel(address) as channel:
        events = event_grpc.EventServiceStub(channel)
        signals = signal_grpc.SignalServiceStub(channel)

        track(
            events,
            action(user, "view_item", f"{opportunity}-0"),
            action(user, "view_item", f"{opportunity}-1"),
            action(user, "add_to_cart", f"{opportunity}-2"),
        )

        request = signal_pb.ScoreRequest(
            opportunity_id=opportunity,
            users=[user],
            context=[dict(name="device_type", value="phone")],
            targets=[dict(advertiser="acme", item="sku-7", goals=["purchase"])],
            reasons_max=3,
            words=True,
            # What the service may take: the rest of the time is for the way.
            tmax_ms=15,
        )
        multiplier, result = multiplier_or_one(signals, request, float(timeout))
        print(f"bid × {multiplier:.2f}")
        for signal in result.signals if result else []:
            suppressed = ", do not bid at all" if signal.suppress else ""
            print(f"{signal.goal}: bid × {signal.multiplier:.2f} (p {signal.p_conversion:.4f}){suppressed}")
            for reason in signal.reasons:
                print(f"  {reason.words}")

        # The token holds what was scored: it comes back with impression and click. Without one, name the opportunity.
        if result and result.token:
            of = dict(token=result.token)
        else:
            of = dict(opportunity=dict(advertiser="acme", opportunity_id=opportunity, user=user, goals=["purchase"]))
        suppressed = next((signal for signal in result.signals if signal.suppress), None) if result else None
        if suppressed:
            # No bid, and nothing shown. Of who is held out, to measure what ads add, tell what would have been: send that
            # only where the bid, at this multiplier, would have won.
            if suppressed.suppress_reason == signal_pb.SUPPRESS_REASON_HOLDOUT:
                track(events, event_pb.Event(ghost_impression=of))
            return
        cost, bid = (dict(micros=micros, currency="USD") for micros in (1_200, 1_500))
        track(events, event_pb.Event(impression=dict(cost=cost, bid=bid, **of)))
        track(events, event_pb.Event(event_id=f"{opportunity}-click", click=of))
        value = dict(micros=39_900_000, currency="USD")
        track(events, action(user, "purchase", f"order-{opportunity}", value=value))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
