"""Calls any method by its name with JSON, as grpcurl does: the service itself says what its messages are.

    python3 -m venv venv && venv/bin/pip install -r examples/python/requirements.txt
    venv/bin/python examples/python/reflect.py 127.0.0.1:7610
    venv/bin/python examples/python/reflect.py 127.0.0.1:7610 inkling.v1.SignalService/Score '{"opportunity_id": "o-1"}'

Without a method it lists all there are. No .proto file is read; - instead of the JSON reads it from standard input.
"""

import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def methods(database, pool):
    """Full names of all methods that the service offers."""
    for service in sorted(database.get_services()):
        try:
            described = pool.FindServiceByName(service)
        except KeyError:
            continue  # Reflection itself is listed, but not described.
        yield from (f"{service}/{method.name}" for method in described.methods)


def call(channel, pool, name, text):
    """The answer of one method to one message, as JSON."""
    service, _, method = name.partition("/")
    try:
        described = pool.FindServiceByName(service).FindMethodByName(method)
    except KeyError:
        sys.exit(f"there is no method {name}: call without one to see all")
    if described.client_streaming or described.server_streaming:
        sys.exit(f"{name} is a stream: this script makes single calls only")
    request = message_factory.GetMessageClass(described.input_type)
    answer = message_factory.GetMessageClass(described.output_type)
    stub = channel.unary_unary(
        f"/{name}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )
    return json_format.MessageToJson(stub(json_format.Parse(text, request()), timeout=5), ensure_ascii=False)


def main(address="127.0.0.1:7610", name=None, text="{}"):
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        if name is None:
            print("\n".join(methods(database, pool)))
        else:
            print(call(channel, pool, name, sys.stdin.read() if text == "-" else text))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except json_format.ParseError as error:
        sys.exit(f"not a message of this method: {error}")
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
